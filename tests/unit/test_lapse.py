"""When a silent worker counts as dead."""

from __future__ import annotations

import json

import pytest

from redisjobs.operations.membership import Lapse
from redisjobs.worker.lapse import LapseJudge, lease_of

LEASE_S = 15.0
BEAT_S = LEASE_S / 3


def _lapse(worker: str = "dead", at: str = "1000", lease_s: float | None = LEASE_S) -> Lapse:
    info = {} if lease_s is None else {"lease_ms": lease_s * 1000}
    return Lapse(worker, at, json.dumps(info).encode())


def _beats_until_dead(judge: LapseJudge, lapse: Lapse, interval_s: float, most: int = 40) -> int:
    """At which beat, counted from 1, the worker is judged dead."""
    for beat in range(1, most + 1):
        if judge.dead([lapse], beat * interval_s):
            return beat
    raise AssertionError(f"not judged in {most} beats")


def test_with_equal_leases_it_takes_two_beats() -> None:
    assert _beats_until_dead(LapseJudge(LEASE_S), _lapse(), BEAT_S) == 2


def test_beats_may_be_a_little_early() -> None:
    assert _beats_until_dead(LapseJudge(LEASE_S), _lapse(), BEAT_S * 0.95) == 2


def test_two_beats_in_quick_succession_are_not_enough() -> None:
    """register() has a beat come at once: the span counts, not the number."""
    judge = LapseJudge(LEASE_S)
    assert [judge.dead([_lapse()], now) for now in (0.0, 0.01, 0.02)] == [[], [], []]
    assert judge.dead([_lapse()], BEAT_S) == [_lapse()]


@pytest.mark.parametrize(
    ("own_s", "others_s", "beats"),
    [(15.0, 15.0, 2), (15.0, 1.0, 2), (3.0, 15.0, 10), (3.0, 30.0, 18), (15.0, 30.0, 4)],
)
def test_the_longer_of_both_leases_counts(own_s: float, others_s: float, beats: int) -> None:
    lapse = _lapse(lease_s=others_s)
    needed = _beats_until_dead(LapseJudge(own_s), lapse, own_s / 3)
    assert needed == pytest.approx(beats, abs=1)
    # Seen throughout two thirds of the longer lease, a beat speaking for the time before it.
    assert needed * own_s / 3 >= max(own_s, others_s) * 2 / 3 * 0.9


def test_a_worker_that_says_no_lease_is_judged_by_ours() -> None:
    assert _beats_until_dead(LapseJudge(LEASE_S), _lapse(lease_s=None), BEAT_S) == 2


def test_another_lapsed_time_begins_anew() -> None:
    """It beat in between: it lives, and is only slow."""
    judge = LapseJudge(LEASE_S)
    verdicts = [judge.dead([_lapse(at=str(beat))], beat * BEAT_S) for beat in range(1, 11)]
    assert verdicts == [[]] * 10
    assert judge.suspects


def test_a_beat_at_which_it_was_not_lapsed_begins_anew() -> None:
    judge = LapseJudge(LEASE_S)
    verdicts = [judge.dead([_lapse()], 0.0), judge.dead([], BEAT_S)]
    verdicts.append(judge.dead([_lapse()], 2 * BEAT_S))
    assert verdicts == [[], [], []]


def test_what_was_seen_before_a_failed_beat_or_an_own_lapse_is_forgotten() -> None:
    judge = LapseJudge(LEASE_S)
    assert judge.dead([_lapse()], 0.0) == []
    judge.forget()
    assert judge.dead([_lapse()], BEAT_S) == []
    assert judge.dead([_lapse()], 2 * BEAT_S) == [_lapse()]


def test_with_every_beat_failing_nobody_is_ever_judged() -> None:
    judge = LapseJudge(LEASE_S)
    for beat in range(20):
        assert judge.dead([_lapse()], beat * BEAT_S) == []
        judge.forget()


def test_one_that_is_being_reaped_is_dead_at_once() -> None:
    assert LapseJudge(LEASE_S).dead([_lapse(at="0")], 0.0) == [_lapse(at="0")]


def test_each_worker_is_judged_for_itself() -> None:
    judge = LapseJudge(LEASE_S)
    early, late, reaped = _lapse("early"), _lapse("late"), _lapse("reaped", at="0")
    assert judge.dead([early], 0.0) == []
    assert judge.dead([late, early, reaped], BEAT_S) == [early, reaped]
    assert judge.dead([late], 2 * BEAT_S) == [late]


def test_a_verdict_whose_reap_failed_takes_two_beats_again() -> None:
    judge = LapseJudge(LEASE_S)
    verdicts = [bool(judge.dead([_lapse()], beat * BEAT_S)) for beat in range(6)]
    assert verdicts == [False, True, False, True, False, True]


def test_suspects_are_those_that_are_not_judged_yet() -> None:
    judge = LapseJudge(LEASE_S)
    seen = [judge.suspects]
    for now, lapses in ((0.0, [_lapse()]), (BEAT_S, [_lapse()]), (2 * BEAT_S, [_lapse("b")])):
        judge.dead(lapses, now)
        seen.append(judge.suspects)
    judge.forget()
    assert [*seen, judge.suspects] == [False, True, False, True, False]


@pytest.mark.parametrize(
    "info",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b"\xff",
        b'{"lease_ms": null}',
        b'{"lease_ms": "soon"}',
        b"{}",
    ],
)
def test_junk_in_worker_info_counts_as_no_lease(info: bytes) -> None:
    assert lease_of(info, 7.0) == 7.0


def test_the_lease_in_worker_info_is_in_milliseconds() -> None:
    assert lease_of(b'{"lease_ms": 1500}', 7.0) == 1.5
