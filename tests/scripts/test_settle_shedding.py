"""settle.lua: a settle drops up to twice as many finished records as it adds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.states import Status

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

ENDS = {b"F": Status.FAILED, b"X": Status.PANIC, b"C": Status.CANCELLED}


@pytest.fixture
def bench(bench: Bench) -> Bench:
    return bench.staffed()


@pytest.fixture
def one_bench(one_bench: Bench) -> Bench:
    return one_bench.staffed()


class TestShedding:
    def test_the_oldest_records_over_the_limit_are_dropped_whole(self, bench: Bench) -> None:
        bench.register("w", retention_limit=10)
        ids = bench.enqueue(number=15)
        for delivery in bench.take():
            bench.settle(delivery)
        assert bench.finished(Status.DONE) == ids[5:]
        assert bench.stored_ids() == set(ids[5:])
        assert [id for id in ids if bench.state(id)] == ids[5:]

    def test_each_kind_and_status_has_its_own_limit(self, bench: Bench) -> None:
        bench.register("w", failed_limit=2)
        for kind in ("a", "b"):
            for letter, status in ENDS.items():
                bench.enqueue(kind, 4)
                for delivery in bench.take(kinds=[kind]):
                    bench.settle(delivery, kind=kind, letter=letter)
                assert len(bench.finished(status, kind)) == 2

    def test_a_settle_drops_twice_what_it_adds_of_what_is_past_its_time(self, bench: Bench) -> None:
        bench.register("w", retention_us=60_000_000)
        old = bench.enqueue(number=50)
        for delivery in bench.take():
            bench.settle(delivery)
        bench.clock.advance(timedelta(minutes=1))
        new = bench.enqueue(number=5)
        bench.settle(*bench.take())
        assert bench.finished(Status.DONE) == old[10:] + new
        assert bench.stored_ids() == {*old[10:], *new}

    def test_a_settle_drops_twice_what_it_adds_of_what_is_over_a_lowered_limit(
        self, bench: Bench
    ) -> None:
        old = bench.enqueue(number=50)
        for delivery in bench.take():
            bench.settle(delivery)
        bench.register("w", retention_limit=20)
        new = bench.enqueue(number=5)
        bench.settle(*bench.take())
        assert bench.finished(Status.DONE) == old[10:] + new

    def test_a_settle_of_a_thousand_drops_two_thousand(self, one_bench: Bench) -> None:
        bench = one_bench
        bench.register("w", retention_us=60_000_000)
        bench.enqueue(number=4000)
        for _ in range(4):
            bench.settle(*bench.take())
        bench.clock.advance(timedelta(minutes=1))
        bench.enqueue(number=1000)
        bench.settle(*bench.take())
        assert len(bench.finished(Status.DONE)) == 3000

    def test_what_is_within_time_and_limit_stays(self, bench: Bench) -> None:
        bench.register("w", retention_us=60_000_000, retention_limit=10)
        ids = bench.enqueue(number=10)
        for delivery in bench.take():
            bench.settle(delivery)
        bench.clock.advance(timedelta(seconds=50))
        assert bench.finished(Status.DONE) == ids
