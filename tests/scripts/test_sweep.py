"""sweep.lua: finished records past their time, or over their limit, are dropped."""

from __future__ import annotations

import re
from datetime import timedelta
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from redisjobs.limits import (
    DEFAULT_FAILED_LIMIT,
    DEFAULT_FAILED_RETENTION_S,
    DEFAULT_RETENTION_LIMIT,
    DEFAULT_RETENTION_S,
)
from redisjobs.operations.sweep import MOST_KINDS, sweep
from redisjobs.states import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.scripts.bench import Bench

HOUR_US = 3_600_000_000
HOUR = timedelta(hours=1)


def run_sweep(bench: Bench, kinds: Sequence[str] = ("email",), most: int = 1000) -> int:
    return bench.run(sweep(bench.keys, kinds, most))


def ended(bench: Bench, number: int, letter: bytes = b"D", kind: str = "email") -> list[str]:
    """Jobs that have ended, one after the other."""
    ids = bench.enqueue(kind, number)
    for delivery in bench.take(kinds=[kind]):
        bench.settle(delivery, letter=letter, kind=kind)
    return ids


@pytest.fixture
def bench(bench: Bench) -> Bench:
    bench.register("w", retention_us=HOUR_US, failed_retention_us=2 * HOUR_US)
    return bench


class TestWhatIsDropped:
    def test_records_past_their_time_are_dropped_whole(self, bench: Bench) -> None:
        ended(bench, 3)
        bench.clock.advance(HOUR / 2)
        young = ended(bench, 2)
        bench.clock.advance(HOUR / 2)
        assert run_sweep(bench) == 3
        assert bench.finished(Status.DONE) == young
        assert bench.stored_ids() == set(young)
        assert {id.decode() for id in bench.client.hkeys(bench.keys.state)} == set(young)

    def test_nothing_is_dropped_before_its_time(self, bench: Bench) -> None:
        ended(bench, 3)
        bench.clock.advance(HOUR - timedelta(minutes=5))
        stored = bench.snapshot()
        assert run_sweep(bench) == 0
        assert bench.snapshot() == stored

    @pytest.mark.parametrize("letter", [b"F", b"X", b"C"])
    def test_failures_have_a_time_of_their_own(self, bench: Bench, letter: bytes) -> None:
        ended(bench, 2, letter)
        bench.clock.advance(HOUR)
        assert run_sweep(bench) == 0
        bench.clock.advance(HOUR)
        assert run_sweep(bench) == 2
        assert bench.stored_ids() == set()

    def test_the_condemned_are_dropped_like_other_failures(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take()
        bench.reap(max_losses=0)
        bench.clock.advance(2 * HOUR)
        assert run_sweep(bench) == 1
        assert bench.stored_ids() == set()

    def test_the_oldest_over_a_lowered_limit_are_dropped(self, bench: Bench) -> None:
        ids = ended(bench, 10)
        bench.register("w", retention_limit=4)
        assert run_sweep(bench) == 6
        assert bench.finished(Status.DONE) == ids[6:]

    def test_all_are_dropped_when_none_are_to_be_kept(self, bench: Bench) -> None:
        ended(bench, 5)
        bench.register("w", retention_us=0)
        assert run_sweep(bench) == 5

    def test_only_the_kinds_named_are_swept(self, bench: Bench) -> None:
        ended(bench, 1, kind="a")
        (left,) = ended(bench, 1, kind="b")
        bench.clock.advance(HOUR)
        assert run_sweep(bench, ["a", "c"]) == 1
        assert bench.stored_ids() == {left}

    def test_what_waits_or_is_held_is_never_dropped(self, bench: Bench) -> None:
        bench.enqueue(number=4)
        first, *_ = bench.take(limit=2)
        bench.settle(first, letter=b"P")
        bench.clock.advance(timedelta(days=1000))
        stored = bench.snapshot()
        assert run_sweep(bench) == 0
        assert bench.snapshot() == stored

    def test_a_thousand_years_are_no_limit(self, bench: Bench) -> None:
        ended(bench, 2)
        bench.register("w", retention_us=31_622_400_000_000_000)
        bench.clock.advance(timedelta(days=36500))
        assert run_sweep(bench) == 0


class TestHowMuch:
    def test_no_more_than_asked_for_the_oldest_first(self, bench: Bench) -> None:
        ids = ended(bench, 10)
        bench.clock.advance(HOUR)
        assert run_sweep(bench, most=4) == 4
        assert bench.finished(Status.DONE) == ids[4:]
        assert run_sweep(bench, most=1) == 1
        assert run_sweep(bench, most=4) == 4
        assert run_sweep(bench, most=4) == 1

    def test_the_bound_holds_over_all_kinds_and_statuses(self, bench: Bench) -> None:
        for kind in ("a", "b", "c"):
            ended(bench, 4, kind=kind)
            ended(bench, 4, b"F", kind)
        bench.clock.advance(2 * HOUR)
        assert run_sweep(bench, ["a", "b", "c"], most=10) == 10
        assert len(bench.stored_ids()) == 14

    def test_what_is_past_its_time_and_what_is_over_the_limit_share_the_bound(
        self, bench: Bench
    ) -> None:
        ended(bench, 4)
        bench.clock.advance(HOUR)
        young = bench.enqueue(number=6)
        for delivery in bench.take():
            bench.client.lrem(bench.keys.processing("w"), 1, delivery)
        for place, id in enumerate(young):
            score = bench.clock.now_us + place
            bench.client.zadd(bench.keys.finished(Status.DONE, "email"), {id: score})
        bench.register("w", retention_limit=2)
        assert run_sweep(bench, most=6) == 6
        assert bench.finished(Status.DONE) == young[2:]

    def test_fifty_kinds_are_swept_at_most(self, bench: Bench) -> None:
        kinds = [f"kind-{number}" for number in range(MOST_KINDS + 1)]
        run_sweep(bench, kinds)
        assert len(bench.calls[0].keys) == 3 + 4 * MOST_KINDS


def test_the_scripts_defaults_are_those_of_the_queue() -> None:
    text = files("redisjobs.operations").joinpath("include/retention.lua").read_text()
    defaults = [int(number) for number in re.findall(r"\bor (\d+)\)", text)]
    assert defaults == [
        DEFAULT_RETENTION_S * 1_000_000,
        DEFAULT_RETENTION_LIMIT,
        DEFAULT_FAILED_RETENTION_S * 1_000_000,
        DEFAULT_FAILED_LIMIT,
    ]
