"""beat.lua: a worker's lease is prolonged, and it learns whose leases have lapsed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.errors import LockLostError

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


class TestItsOwnLease:
    def test_it_is_prolonged_from_now_on(self, bench: Bench) -> None:
        bench.register()
        bench.clock.advance(timedelta(seconds=10))
        before = bench.clock.now_us
        assert bench.beat(lease_us=3_000_000) == (False, [])
        lease = bench.client.zscore(bench.keys.workers, "w")
        assert before + 3_000_000 <= lease <= bench.clock.now_us + 3_000_000

    def test_that_it_had_lapsed_is_told_once(self, bench: Bench) -> None:
        bench.register()
        bench.clock.advance(timedelta(seconds=15))
        assert bench.beat() == (True, [])
        assert bench.beat() == (False, [])

    def test_a_worker_that_never_registered_is_told_so(self, bench: Bench) -> None:
        with pytest.raises(LockLostError):
            bench.beat()
        assert bench.codes == ["unregistered"]
        assert bench.snapshot() == {}

    def test_a_worker_that_a_reaper_has_begun_with_is_told_so(self, bench: Bench) -> None:
        bench.register()
        bench.client.zadd(bench.keys.workers, {"w": 0})
        stored = bench.snapshot()
        with pytest.raises(LockLostError):
            bench.beat(info=b"new")
        assert bench.snapshot() == stored

    def test_its_info_is_written_where_it_changed(self, bench: Bench) -> None:
        bench.register(info=b"old")
        bench.beat()
        assert bench.client.hget(bench.keys.worker_info, "w") == b"old"
        bench.beat(info=b"new")
        assert bench.client.hget(bench.keys.worker_info, "w") == b"new"

    def test_a_step_back_of_the_clock_is_survived(self, bench: Bench) -> None:
        bench.register()
        bench.clock.advance(timedelta(hours=-3))
        assert bench.beat() == (False, [])
        lease = bench.client.zscore(bench.keys.workers, "w")
        assert lease <= bench.clock.now_us + 15_000_000


class TestLapsedLeases:
    def test_they_are_named_with_their_time_and_info(self, bench: Bench) -> None:
        bench.register("dead", lease_us=1_000_000, info=b"of the dead")
        bench.register("alive")
        bench.register("w")
        bench.clock.advance(timedelta(seconds=2))
        (lapse,) = bench.beat("w").lapses
        assert (lapse.worker, lapse.info) == ("dead", b"of the dead")
        assert float(lapse.lapsed_at) == bench.client.zscore(bench.keys.workers, "dead")

    def test_their_time_is_the_text_that_a_reap_compares(self, bench: Bench) -> None:
        bench.register("dead", lease_us=1_000_000)
        bench.register("w")
        bench.clock.advance(timedelta(seconds=2))
        (lapse,) = bench.beat("w").lapses
        bench.reap("dead", lapse.lapsed_at)
        assert bench.codes == ["ok"]

    def test_one_that_is_reaped_by_half_is_named_with_0(self, bench: Bench) -> None:
        bench.register("w")
        bench.client.zadd(bench.keys.workers, {"dead": 0})
        assert bench.beat("w").lapses == [("dead", "0", b"")]

    def test_a_hundred_are_named_at_most_the_longest_lapsed_first(self, bench: Bench) -> None:
        bench.register("w")
        bench.client.zadd(
            bench.keys.workers, {f"dead-{number:03}": number + 1 for number in range(150)}
        )
        lapses = bench.beat("w").lapses
        assert [one.worker for one in lapses] == [f"dead-{number:03}" for number in range(100)]

    def test_none_is_lapsed_before_its_time(self, bench: Bench) -> None:
        bench.register("v", lease_us=300_000_000)
        bench.register("w", lease_us=900_000_000)
        bench.clock.advance(timedelta(minutes=3))
        assert bench.beat("w").lapses == []
        bench.clock.advance(timedelta(minutes=2))
        assert [one.worker for one in bench.beat("w").lapses] == ["v"]

    def test_a_beat_that_finds_its_own_lease_lapsed_tells_of_others_too(self, bench: Bench) -> None:
        bench.register("v")
        bench.register("w")
        bench.clock.advance(timedelta(minutes=1))
        beat = bench.beat("w")
        assert beat.own_lapsed
        assert [one.worker for one in beat.lapses] == ["v"]
