"""How much a claim asks for, at which pace."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjobs.worker.capacity import (
    AHEAD_S,
    MOST_A_CLAIM,
    MOST_AHEAD,
    WINDOW_S,
    Capacity,
    Pace,
)


def _pace(**ended_per_second: float) -> Pace:
    """A pace that was measured over one second."""
    pace = Pace(0.0)
    pace.ended({kind: round(count) for kind, count in ended_per_second.items()}, 1.0)
    return pace


class TestPace:
    def test_is_not_known_at_first(self) -> None:
        assert Pace(0.0).of("email") == 0

    def test_a_window_has_100_ms_at_least(self) -> None:
        assert WINDOW_S >= 0.1
        pace = Pace(10.0)
        pace.ended({"email": 100}, 10.002)
        pace.ended({"email": 100}, 10.099)
        assert pace.of("email") == 0
        pace.ended({"email": 1}, 10.101)
        assert pace.of("email") == pytest.approx(201 / 0.101)

    def test_goes_on_with_the_last_whole_window(self) -> None:
        pace = _pace(email=50)
        pace.ended({"email": 1000}, 1.05)
        assert pace.of("email") == 50

    def test_of_a_kind_that_ended_nothing_in_the_last_window_is_not_known(self) -> None:
        pace = _pace(email=50, report=1)
        pace.ended({"report": 5}, 2.0)
        assert (pace.of("email"), pace.of("report")) == (0, 5)

    def test_a_long_pause_is_one_long_window(self) -> None:
        pace = Pace(0.0)
        pace.ended({"email": 10}, 0.01)
        pace.turn(100.0)
        assert pace.of("email") == pytest.approx(0.1)

    def test_is_not_known_after_what_was_prefetched_got_stuck(self) -> None:
        pace = _pace(email=1000)
        pace.ended({"email": 70}, 1.05)
        pace.forget(1.06)
        assert pace.of("email") == 0
        pace.turn(1.2)
        assert pace.of("email") == 0, "what ended before the jam counts no more"

    @given(st.lists(st.tuples(st.floats(0.0001, 0.5), st.integers(0, 50)), min_size=1))
    def test_never_tells_more_than_ended_in_100_ms(self, steps: list[tuple[float, int]]) -> None:
        """Whatever the rhythm: no burst looks faster than its count over a whole window."""
        pace, now, total = Pace(0.0), 0.0, 0
        for seconds, ended in steps:
            now += seconds
            total += ended
            pace.ended({"email": ended}, now)
            assert pace.of("email") <= total / WINDOW_S + 1e-6


class TestRoom:
    def test_an_unknown_kind_gets_free_slots_only(self) -> None:
        room = Capacity(10, "auto").room(3, 0, ["email", "report"], _pace())
        assert (room.limit, room.free, list(room.ahead)) == (7, 7, [0, 0])

    def test_a_known_kind_gets_what_starts_within_20_ms_too(self) -> None:
        room = Capacity(10, "auto").room(10, 0, ["email", "report"], _pace(email=1000))
        assert (room.limit, room.free, list(room.ahead)) == (20, 0, [20, 0])

    def test_the_kind_whose_turn_it_is_gets_one_place_where_others_are_prefetched(self) -> None:
        """Or no slot would be free for it while a flood of short jobs lasts."""
        room = Capacity(10, "auto").room(10, 0, ["report", "email"], _pace(email=1000))
        assert (room.limit, room.free, list(room.ahead)) == (21, 0, [1, 20])

    def test_without_prefetched_others_it_gets_free_slots_only(self) -> None:
        room = Capacity(10, "auto").room(40, 30, ["report", "email"], _pace(email=1000))
        assert (room.limit, list(room.ahead)) == (0, [0, 0])

    def test_what_waits_already_counts(self) -> None:
        room = Capacity(10, "auto").room(22, 12, ["email"], _pace(email=1000))
        assert (room.limit, room.free, list(room.ahead)) == (8, 0, [8])

    def test_with_more_waiting_than_it_starts_there_is_none(self) -> None:
        room = Capacity(10, "auto").room(50, 40, ["email"], _pace(email=1000))
        assert (room.limit, room.free, list(room.ahead)) == (0, 0, [0])

    def test_ghosts_may_occupy_more_than_there_is(self) -> None:
        assert Capacity(2, "auto").room(5, 0, ["email"], _pace()).limit == 0

    def test_without_prefetch_only_free_slots(self) -> None:
        room = Capacity(10, 0).room(4, 0, ["email"], _pace(email=10**6))
        assert (room.limit, room.free, list(room.ahead)) == (6, 6, [0])

    def test_a_fixed_prefetch_is_for_all_kinds_together(self) -> None:
        capacity, pace = Capacity(2, 5), _pace(email=10, report=10, thumbnail=10)
        kinds = ["email", "report", "thumbnail", "unknown"]
        room = capacity.room(0, 0, kinds, pace)
        assert (room.limit, room.free, list(room.ahead)) == (2 + 5, 2, [5, 5, 5, 0])
        room = capacity.room(2 + 3, 3, kinds, pace)
        assert (room.limit, room.free) == (2, 0)
        assert capacity.room(2 + 5, 5, kinds, pace).limit == 0

    def test_a_fixed_prefetch_waits_for_a_known_pace(self) -> None:
        assert Capacity(2, 5).room(0, 0, ["email"], _pace()).limit == 2

    @pytest.mark.parametrize("prefetch", ["auto", 10**6])
    def test_a_claim_has_a_bound_at_any_pace(self, prefetch: int | Literal["auto"]) -> None:
        capacity, pace = Capacity(5000, prefetch), _pace(a=10**9, b=10**9)
        room = capacity.room(0, 0, ["a", "b"], pace)
        assert (room.limit, room.free) == (MOST_A_CLAIM, MOST_A_CLAIM)
        assert capacity.room(5000, 0, ["a", "b"], pace).limit == min(MOST_AHEAD, MOST_A_CLAIM)


class TestLowWater:
    def test_is_two_thirds_of_what_may_wait(self) -> None:
        assert Capacity(10, "auto").low_water(["email"], _pace(email=1500)) == 20

    @pytest.mark.parametrize(("prefetch", "mark"), [("auto", 0), (0, 0), (8, 0)])
    def test_is_0_where_no_pace_is_known(self, prefetch: int | Literal["auto"], mark: int) -> None:
        assert Capacity(10, prefetch).low_water(["email"], _pace()) == mark

    def test_of_a_fixed_prefetch_is_as_much_of_it_however_many_kinds(self) -> None:
        assert Capacity(10, 9).low_water(["a", "b", "c"], _pace(a=10, b=10, c=10)) == 6


@given(
    slots=st.integers(1, 20),
    prefetch=st.one_of(st.just("auto"), st.integers(0, 30)),
    job_ms=st.sampled_from([1, 2, 5, 20, 50, 200]),
    claims=st.integers(1, 60),
)
def test_nothing_is_hoarded(
    slots: int, prefetch: int | Literal["auto"], job_ms: int, claims: int
) -> None:
    """With plenty of due jobs of one length: what waits is what starts within about 20 ms, or the
    fixed prefetch, and the slots never count twice.
    """
    capacity, pace = Capacity(slots, prefetch), Pace(0.0)
    now, running, waiting = 0.0, 0, 0
    bound = slots * AHEAD_S * 1000 / job_ms if prefetch == "auto" else prefetch
    for _ in range(claims):
        room = capacity.room(running + waiting, waiting, ["email"], pace)
        waiting += room.limit
        started = min(slots - running, waiting)
        running, waiting = running + started, waiting - started
        assert running <= slots
        # The windows are not in step with the runs: one run more for each slot may fall into one.
        assert waiting <= bound + slots * AHEAD_S / WINDOW_S + 1
        now += job_ms / 1000
        pace.ended({"email": running}, now)
        running = 0
