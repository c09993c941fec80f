"""Pauses after failures in a row."""

from __future__ import annotations

from redisjobs.worker.setbacks import CALM_AFTER_S, LONGEST_PAUSE_S, Setbacks


def test_the_first_failure_is_tried_again_at_once() -> None:
    assert Setbacks().failed(0.0) == 0


def test_each_next_one_pauses_longer_up_to_a_bound() -> None:
    setbacks = Setbacks()
    pauses = [setbacks.failed(now / 10) for now in range(200)]
    assert pauses[:4] == [0, 0.05, 0.1, 0.2]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S < CALM_AFTER_S


def test_after_a_while_without_a_failure_it_begins_anew() -> None:
    setbacks = Setbacks()
    assert [setbacks.failed(1.0), setbacks.failed(1.0)] == [0, 0.05]
    assert setbacks.failed(1.1 + CALM_AFTER_S) == 0
