"""How much a claim asks for, at which pace."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjobs.worker.capacity import (
    AHEAD_S,
    FORGOTTEN_AFTER_S,
    MOST_A_CLAIM,
    MOST_AHEAD,
    WINDOW_S,
    Capacity,
    Pace,
)

SHORT_S = 0.0001


def _runs(**counts: int) -> dict[str, list[float]]:
    """So many short runs of these kinds."""
    return {kind: [SHORT_S] * count for kind, count in counts.items()}


def _pace(**ended_per_second: int) -> Pace:
    """A pace that was measured over one second."""
    pace = Pace(0.0)
    pace.ended(_runs(**ended_per_second), 1.0)
    return pace


class TestPace:
    def test_is_not_known_at_first(self) -> None:
        pace = Pace(0.0)
        assert (pace.per_second, pace.runs_of("email"), pace.alone("email", 10)) == (None, 0, 0)

    def test_a_window_has_100_ms_at_least(self) -> None:
        assert WINDOW_S >= 0.1
        pace = Pace(10.0)
        pace.ended(_runs(email=100), 10.002)
        pace.ended(_runs(email=100), 10.099)
        assert (pace.per_second, pace.runs_of("email")) == (None, 200)
        pace.ended(_runs(email=1), 10.101)
        assert pace.per_second == pytest.approx(201 / 0.101)
        assert pace.runs_of("email") == 201

    def test_goes_on_with_the_last_whole_window(self) -> None:
        pace = _pace(email=50)
        pace.ended(_runs(email=1000), 1.05)
        assert (pace.per_second, pace.runs_of("email")) == (50, 1050)

    def test_of_a_kind_that_ended_nothing_lately_nothing_is_known(self) -> None:
        pace = _pace(email=50, report=1)
        pace.ended(_runs(report=5), 2.0)
        assert (pace.runs_of("email"), pace.runs_of("report"), pace.runs) == (0, 5, 5)
        assert (pace.alone("email", 10), pace.per_second) == (0, 5)

    def test_a_window_in_which_nothing_ended_tells_nothing(self) -> None:
        pace = _pace(email=50)
        pace.turn(2.0)
        assert (pace.per_second, pace.runs) == (None, 0)

    def test_time_with_nothing_to_do_does_not_count(self) -> None:
        pace = Pace(0.0)
        pace.ended(_runs(email=10), 0.05)
        pace.idle(2.0)
        pace.idle(5.0)
        pace.ended(_runs(email=10), 5.04)
        assert pace.per_second is None
        pace.ended(_runs(email=20), 5.11)
        assert pace.per_second == pytest.approx(40 / 0.16)

    def test_is_forgotten_after_some_seconds_with_nothing_to_do(self) -> None:
        """Jobs may be longer tomorrow: a thousand short ones of yesterday prove nothing."""
        pace = _pace(email=1000)
        for second in range(1, int(FORGOTTEN_AFTER_S)):
            pace.idle(1.0 + second)
        assert pace.runs_of("email") == 1000
        pace.idle(1.0 + FORGOTTEN_AFTER_S)
        assert (pace.runs_of("email"), pace.runs, pace.per_second) == (0, 0, None)

    def test_is_not_known_after_what_was_prefetched_got_stuck(self) -> None:
        pace = _pace(email=1000)
        pace.ended(_runs(email=70), 1.05)
        pace.forget(1.06)
        assert (pace.per_second, pace.runs_of("email")) == (None, 0)
        pace.turn(1.2)
        assert pace.runs == 0, "what ended before the jam counts no more"

    def test_before_a_whole_window_it_goes_by_the_length_of_the_runs(self) -> None:
        pace = Pace(0.0)
        pace.ended({"email": [0.01] * 3}, 0.01)
        assert pace.alone("email", 10) == pytest.approx(10 / 0.01)

    def test_of_one_kind_alone_is_that_of_all(self) -> None:
        """Two hundred kinds that take turns are as fast as one."""
        pace = _pace(**{f"kind-{place}": 10 for place in range(200)})
        assert pace.alone("kind-7", 10) == pytest.approx(2000)

    def test_of_one_kind_alone_is_bounded_by_the_length_of_its_runs(self) -> None:
        pace = Pace(0.0)
        pace.ended({"email": [SHORT_S] * 990, "report": [0.05] * 10}, 1.0)
        assert pace.alone("report", 10) == pytest.approx(10 / 0.05)
        assert pace.alone("email", 10) == pytest.approx(1000)

    def test_runs_that_took_no_time_at_all_are_short(self) -> None:
        pace = Pace(0.0)
        pace.ended({"email": [0.0] * 10}, 1.0)
        assert pace.alone("email", 10) == 10

    @given(st.lists(st.tuples(st.floats(0.0001, 0.5), st.integers(0, 50)), min_size=1))
    def test_never_tells_more_than_ended_in_100_ms(self, steps: list[tuple[float, int]]) -> None:
        """Whatever the rhythm: no burst looks faster than its count over a whole window."""
        pace, now, total = Pace(0.0), 0.0, 0
        for seconds, ended in steps:
            now += seconds
            total += ended
            pace.ended(_runs(email=ended), now)
            assert (pace.per_second or 0.0) <= total / WINDOW_S + 1e-6

    def test_time_in_which_all_that_was_claimed_had_ended_counts_for_no_window(self) -> None:
        """Half of the time this worker waits for a Redis that serves another one, too."""
        pace, now = Pace(0.0), 0.0
        for _ in range(20):
            pace.ended(_runs(email=0), now + 0.001)
            pace.idle(now + 0.01, since=now + 0.005)
            now += 0.01
            pace.ended(_runs(email=500), now)
        assert pace.per_second == pytest.approx(500 / 0.005)

    def test_of_time_that_it_was_told_of_before_nothing_is_taken_back(self) -> None:
        pace = Pace(0.0)
        pace.ended(_runs(email=10), 0.05)
        pace.idle(0.07, since=0.01)
        pace.ended(_runs(email=10), 0.121)
        assert pace.per_second == pytest.approx(20 / 0.101)


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
        assert (room.limit, room.free, list(room.ahead)) == (20, 0, [1, 20])

    def test_without_prefetched_others_it_gets_free_slots_only(self) -> None:
        room = Capacity(10, "auto").room(40, 30, ["report", "email"], _pace(email=1000))
        assert (room.limit, list(room.ahead)) == (0, [0, 0])

    def test_kinds_that_take_turns_are_prefetched_as_one_would_be(self) -> None:
        """Counted each by itself, 200 kinds of short jobs would be claimed a few at a time."""
        kinds = [f"kind-{place}" for place in range(10)]
        room = Capacity(10, "auto").room(10, 0, kinds, _pace(**dict.fromkeys(kinds, 100)))
        assert (room.limit, list(room.ahead)) == (20, [20] * 10)

    def test_no_more_than_three_for_each_that_was_seen_to_be_short(self) -> None:
        pace = _pace(email=10_000, report=3)
        room = Capacity(10, "auto").room(10, 0, ["email", "report"], pace)
        assert (room.limit, list(room.ahead)) == (200, [200, 9])

    def test_a_great_claim_is_half_of_the_line(self) -> None:
        """So that Redis hands out one half while the other is run: the next claim begins at once,
        since half of the line is no more than the low-water mark.
        """
        capacity, pace = Capacity(10, "auto"), _pace(email=40_000)
        first = capacity.room(10, 0, ["email"], pace)
        assert first.limit == 400 == capacity.low_water(pace)
        assert capacity.room(410, 400, ["email"], pace).limit == 400
        assert capacity.room(810, 800, ["email"], pace).limit == 0

    def test_free_slots_are_filled_at_once(self) -> None:
        room = Capacity(900, "auto").room(0, 0, ["email"], _pace(email=1000))
        assert (room.limit, room.free) == (900, 900)

    def test_of_a_new_kind_it_grows_fourfold_from_claim_to_claim(self) -> None:
        """Two hundred jobs that come due in one instant are not claimed ten at a time."""
        capacity, pace, claims = Capacity(10, "auto"), Pace(0.0), list[int]()
        for claim in range(3):
            room = capacity.room(0, 0, ["email"], pace)
            claims.append(room.limit)
            pace.ended(_runs(email=room.limit), 0.001 * (claim + 1))
        assert claims == [10, 40, 160]

    def test_long_runs_are_prefetched_by_their_length_beside_short_ones(self) -> None:
        pace = Pace(0.0)
        pace.ended({"email": [SHORT_S] * 10_000, "report": [0.05] * 10}, 1.0)
        room = Capacity(10, "auto").room(10, 0, ["email", "report"], pace)
        assert list(room.ahead) == [200, 4]

    def test_what_waits_already_counts(self) -> None:
        room = Capacity(10, "auto").room(22, 12, ["email"], _pace(email=1000))
        assert (room.limit, room.free, list(room.ahead)) == (8, 0, [8])

    def test_with_more_waiting_than_it_starts_there_is_none(self) -> None:
        room = Capacity(10, "auto").room(50, 40, ["email"], _pace(email=1000))
        assert (room.limit, room.free, list(room.ahead)) == (0, 0, [0])

    def test_ghosts_may_occupy_more_than_there_is(self) -> None:
        assert Capacity(2, "auto").room(5, 0, ["email"], _pace()).limit == 0

    def test_without_prefetch_only_free_slots(self) -> None:
        room = Capacity(10, 0).room(4, 0, ["email"], _pace(email=10**5))
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
        capacity, pace = Capacity(5000, prefetch), _pace(a=10**5, b=10**5)
        room = capacity.room(0, 0, ["a", "b"], pace)
        assert (room.limit, room.free) == (MOST_A_CLAIM, MOST_A_CLAIM)
        assert capacity.room(5000, 0, ["a", "b"], pace).limit == min(MOST_AHEAD, MOST_A_CLAIM)


class TestLowWater:
    def test_is_half_of_what_may_wait(self) -> None:
        assert Capacity(10, "auto").low_water(_pace(email=1500)) == 15

    @pytest.mark.parametrize(("prefetch", "mark"), [("auto", 0), (0, 0), (8, 0)])
    def test_is_0_where_no_pace_is_known(self, prefetch: int | Literal["auto"], mark: int) -> None:
        assert Capacity(10, prefetch).low_water(_pace()) == mark

    def test_of_a_fixed_prefetch_is_as_much_of_it_however_many_kinds(self) -> None:
        assert Capacity(10, 9).low_water(_pace(a=10, b=10, c=10)) == 4


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
        pace.ended({"email": [job_ms / 1000] * running}, now)
        running = 0
