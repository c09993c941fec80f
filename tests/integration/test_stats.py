"""stats: how a queue stands."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations import inspect
from redisjobs.operations.inspect import KindStats, Stats, WorkerStats
from tests.scripts.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis


@pytest.fixture
def bench(every_client: redis.Redis, queue_name: str) -> Iterator[Bench]:
    made = Bench(every_client, queue_name)
    yield made
    made.close()


def stats(bench: Bench) -> Stats:
    return bench.run(inspect.stats(bench.keys))


def test_an_empty_queue_has_no_kinds_and_no_workers(bench: Bench) -> None:
    assert stats(bench) == Stats(bench.keys.name, {}, ())


def test_jobs_are_counted_by_kind_and_by_where_they_are(bench: Bench) -> None:
    for letter, number in ((b"D", 1), (b"F", 2), (b"X", 3), (b"C", 4)):
        bench.end(*bench.enqueue(number=number), letter=letter)
    bench.enqueue("sms", 2)
    bench.enqueue("email", 5)
    bench.enqueue("email", 6, delay=timedelta(hours=1))
    bench.register("a")
    bench.register("b")
    bench.take("a", ["email", "sms"], limit=2)
    bench.take("b", ["email"], limit=2)
    kinds = stats(bench).kinds
    assert list(kinds) == ["email", "sms"]
    age = kinds["email"].oldest_ready_age
    assert age is not None
    assert 0 <= age < 5
    assert kinds["email"] == KindStats(6, 2, 3, 1, 5, 4, age)
    assert (kinds["sms"].ready, kinds["sms"].running) == (1, 1)


def test_the_age_is_in_seconds(bench: Bench) -> None:
    bench.enqueue()
    bench.clock.advance(timedelta(minutes=2))
    age = stats(bench).kinds["email"].oldest_ready_age
    assert age is not None
    assert 120 <= age < 125


def test_a_kind_that_has_nothing_left_is_still_there(bench: Bench) -> None:
    bench.end(*bench.enqueue())
    bench.clock.advance(timedelta(hours=2))
    assert stats(bench).kinds == {"email": KindStats()}


def test_a_worker_says_where_it_runs_and_how_much_it_holds(bench: Bench) -> None:
    bench.enqueue(number=3)
    info = {
        "host": "höst", "pid": 4711, "kinds": ["email", "sms"], "concurrency": 10,
        "started": "2026-07-01T12:00:00.000+00:00", "version": "0.1.0", "lease_ms": 15000,
        "supervisor": None, "spawn": None,
    }  # fmt: skip
    bench.register("w", info=json.dumps(info, ensure_ascii=False).encode())
    bench.take("w")
    [worker] = stats(bench).workers
    assert 10 < worker.lease_left <= 15
    assert worker == WorkerStats(
        "w", "höst", 4711, ("email", "sms"), 3, worker.lease_left, 10,
        "2026-07-01T12:00:00.000+00:00", "0.1.0",
    )  # fmt: skip


@pytest.mark.parametrize("junk", [b"", b"\xff{", b"[1]", b'{"kinds":{},"pid":"x"}', b"[" * 10_000])
def test_junk_in_a_workers_info_is_passed_over(bench: Bench, junk: bytes) -> None:
    bench.register("w", info=junk)
    [worker] = stats(bench).workers
    assert worker == WorkerStats("w", None, None, (), 0, worker.lease_left, None, None, None)


def test_a_worker_whose_info_is_missing_is_there(bench: Bench) -> None:
    bench.register("w")
    bench.client.delete(bench.keys.worker_info)
    assert [worker.id for worker in stats(bench).workers] == ["w"]


def test_a_lease_that_lapsed_is_negative(bench: Bench) -> None:
    bench.register("w")
    bench.clock.advance(timedelta(seconds=25))
    [worker] = stats(bench).workers
    assert -15 < worker.lease_left <= -10


def test_workers_that_are_not_registered_are_none(bench: Bench) -> None:
    bench.client.hset(bench.keys.worker_info, "gone", b"{}")
    assert stats(bench).workers == ()


def test_what_many_workers_hold_is_counted_in_parts(bench: Bench) -> None:
    bench.enqueue("email", 1300)
    bench.enqueue("sms", 300)
    bench.register("big")
    while bench.client.llen(bench.keys.processing("big")) < 1200:
        bench.take("big", limit=600)
    for number in range(120):
        bench.register(f"small-{number:03}")
        bench.take(f"small-{number:03}", ["sms"], limit=2)
    found = stats(bench)
    assert (found.kinds["email"].running, found.kinds["sms"].running) == (1200, 240)
    assert [worker.held for worker in found.workers] == [1200, *[2] * 120]
    assert max(len(call.keys) for call in bench.calls) < 200
    assert len(bench.calls) < 200


def test_many_kinds_are_counted_in_parts(bench: Bench) -> None:
    kinds = [f"kind-{number:03}" for number in range(250)]
    for kind in kinds:
        bench.enqueue(kind)
    found = stats(bench)
    assert list(found.kinds) == kinds
    assert {one.ready for one in found.kinds.values()} == {1}


def test_it_can_be_written_as_json(bench: Bench) -> None:
    bench.enqueue()
    bench.register("w", info=b'{"host":"h","kinds":["email"]}')
    bench.take()
    plain = json.loads(json.dumps(stats(bench).to_dict()))
    assert plain["queue"] == bench.keys.name
    assert plain["kinds"]["email"] == {
        "scheduled": 0, "ready": 0, "running": 1, "done": 0, "failed": 0, "cancelled": 0,
        "oldest_ready_age": None,
    }  # fmt: skip
    [worker] = plain["workers"]
    assert worker.pop("lease_left") > 0
    assert worker == {
        "id": "w", "host": "h", "pid": None, "kinds": ["email"], "held": 1, "concurrency": None,
        "started": None, "version": None,
    }  # fmt: skip


def test_counting_writes_nothing(bench: Bench) -> None:
    bench.enqueue(number=3)
    bench.register()
    bench.take(limit=1)
    before = bench.snapshot()
    stats(bench)
    assert bench.snapshot() == before
