"""workers.lua: what is stored of workers, registered or not."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from redisjobs.operations.workers import SeenWorker, look_at_workers

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


def look(bench: Bench, *workers: str) -> list[SeenWorker]:
    return bench.run(look_at_workers(bench.keys, [worker.encode() for worker in workers]))


def test_a_worker_has_its_lease_its_info_and_what_it_holds(bench: Bench) -> None:
    bench.enqueue(number=3)
    bench.register("w", lease_us=60_000_000, info=b'{"pid":7}')
    bench.take("w", limit=2)
    [seen] = look(bench, "w")
    assert seen.lease_left_us is not None
    assert 50_000_000 < seen.lease_left_us <= 60_000_000
    assert seen[2:] == (False, b'{"pid":7}', 2)


def test_a_lease_that_lapsed_is_negative(bench: Bench) -> None:
    bench.register("w", lease_us=60_000_000)
    bench.clock.advance(timedelta(minutes=3))
    [seen] = look(bench, "w")
    assert seen.lease_left_us is not None
    assert -125_000_000 < seen.lease_left_us <= -120_000_000


def test_a_worker_with_a_lease_of_0_is_being_reaped(bench: Bench) -> None:
    bench.register("w")
    bench.client.zadd(bench.keys.workers, {"w": 0})
    assert look(bench, "w")[0].is_being_reaped


def test_what_is_stored_of_workers_that_are_not_registered_is_seen(bench: Bench) -> None:
    bench.client.rpush(bench.keys.processing("a"), "1:x")
    bench.client.hset(bench.keys.worker_info, "b", b"")
    assert look(bench, "a", "b", "c") == [
        SeenWorker(b"a", None, False, None, 1),
        SeenWorker(b"b", None, False, b"", 0),
        SeenWorker(b"c", None, False, None, 0),
    ]


def test_many_workers_are_looked_at_in_parts_of_one_round_trip(bench: Bench) -> None:
    workers = [f"w{number}" for number in range(250)]
    for worker in workers:
        bench.register(worker)
    seen = look(bench, *workers)
    assert [one.name.decode() for one in seen] == workers
    assert [len(answer) for answer in bench.answers] == [100, 100, 50]
    assert look(bench) == []
