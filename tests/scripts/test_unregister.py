"""unregister.lua: a worker that holds nothing is forgotten. Beside it: who is there, with what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redisjobs.operations import membership

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


def unregister(bench: Bench, worker: str = "w") -> int:
    return bench.run(membership.unregister(bench.keys, worker))


def test_a_worker_that_holds_nothing_leaves_nothing(bench: Bench) -> None:
    bench.register("w")
    bench.register("v")
    assert unregister(bench) == 0
    assert bench.client.zrange(bench.keys.workers, 0, -1) == [b"v"]
    assert bench.client.hkeys(bench.keys.worker_info) == [b"v"]


def test_the_last_worker_leaves_only_the_schema(bench: Bench) -> None:
    bench.register()
    unregister(bench)
    assert set(bench.snapshot()) == {"meta"}


def test_a_worker_that_holds_jobs_stays_and_is_told_how_many(bench: Bench) -> None:
    bench.register()
    bench.enqueue(number=3)
    bench.take()
    stored = bench.snapshot()
    assert unregister(bench) == 3
    assert bench.snapshot() == stored


def test_a_worker_that_is_not_there_may_leave(bench: Bench) -> None:
    assert unregister(bench, "nobody") == 0
    assert bench.snapshot() == {}


def test_what_a_worker_holds_is_told_in_its_order(bench: Bench) -> None:
    bench.register()
    bench.enqueue(number=3)
    deliveries = bench.take()
    assert bench.run(membership.held(bench.keys, "w")) == deliveries
    assert bench.run(membership.held(bench.keys, "nobody")) == []


def test_the_infos_of_all_workers_are_told(bench: Bench) -> None:
    assert bench.run(membership.infos(bench.keys)) == {}
    bench.register("w", info=b"1")
    bench.register("v", info=b"2")
    assert bench.run(membership.infos(bench.keys)) == {"w": b"1", "v": b"2"}
