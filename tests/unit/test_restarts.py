from __future__ import annotations

import pytest

from redisjobs.supervisor.restarts import (
    HEALTHY_AFTER_S,
    LONGEST_DELAY_S,
    MOST_REMEMBERED,
    Backoff,
    Deaths,
)


def without_chance() -> Backoff:
    return Backoff(chance=lambda: 0.0)


def test_the_first_death_costs_nothing_and_each_early_one_after_it_twice_as_much() -> None:
    backoff = without_chance()
    delays = [backoff.delay_s(lived_s=0.2) for _ in range(9)]
    assert delays == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_DELAY_S, LONGEST_DELAY_S]


def test_a_life_of_ten_seconds_makes_up_for_all_early_deaths() -> None:
    backoff = without_chance()
    for _ in range(5):
        backoff.delay_s(lived_s=0.2)
    assert backoff.delay_s(HEALTHY_AFTER_S) == 0.0
    assert backoff.delay_s(lived_s=0.2) == 0.5


def test_a_life_just_short_of_that_does_not() -> None:
    backoff = without_chance()
    backoff.delay_s(lived_s=0.2)
    assert backoff.delay_s(HEALTHY_AFTER_S - 0.001) == 0.5


def test_only_long_lives_are_never_waited_for() -> None:
    backoff = without_chance()
    assert [backoff.delay_s(3600.0) for _ in range(5)] == [0.0] * 5


@pytest.mark.parametrize(("chance", "delay_s"), [(0.0, 0.5), (0.5, 0.4375), (1.0, 0.375)])
def test_a_quarter_of_the_delay_is_left_to_chance(chance: float, delay_s: float) -> None:
    backoff = Backoff(chance=lambda: chance)
    assert backoff.delay_s(0.0) == 0.0
    assert backoff.delay_s(0.0) == delay_s


def test_processes_that_die_together_do_not_start_together() -> None:
    delays = set()
    for _ in range(8):
        backoff = Backoff()
        backoff.delay_s(0.0)
        delays.add(backoff.delay_s(0.0))
    assert len(delays) > 1


def test_a_crash_loop_of_months_ends_in_no_error() -> None:
    backoff = without_chance()
    assert {backoff.delay_s(0.0) for _ in range(5000)} == {0.0, 0.5, 1, 2, 4, 8, 16, 30}


def test_a_death_is_told_to_the_next_one() -> None:
    deaths = Deaths()
    deaths.add(1, now=100.0)
    deaths.add(2, now=100.0)
    assert deaths.to_tell(births=[], now=100.0) == (1, 2)


def test_a_death_is_told_again_to_each_that_follows_while_none_has_lived_long() -> None:
    deaths = Deaths()
    deaths.add(1, now=100.0)
    deaths.add(2, now=500.0)
    assert deaths.to_tell(births=[], now=900.0) == (1, 2)
    assert deaths.to_tell(births=[895.0], now=900.0) == (1, 2)


def test_a_death_is_forgotten_when_one_that_was_told_at_its_birth_has_lived_ten_seconds() -> None:
    deaths = Deaths()
    deaths.add(1, now=100.0)
    assert deaths.to_tell(births=[101.0], now=110.9) == (1,)
    assert deaths.to_tell(births=[101.0, 110.0], now=111.0) == ()
    assert deaths.to_tell(births=[], now=111.0) == ()


def test_a_sibling_of_long_standing_needs_ten_seconds_from_the_death_on() -> None:
    deaths = Deaths()
    deaths.add(7, now=5000.0)
    assert deaths.to_tell(births=[1.0], now=5009.9) == (7,)
    assert deaths.to_tell(births=[1.0], now=5010.0) == ()


def test_each_death_is_forgotten_by_itself() -> None:
    deaths = Deaths()
    deaths.add(1, now=100.0)
    deaths.add(2, now=108.0)
    assert deaths.to_tell(births=[50.0], now=112.0) == (2,)


def test_no_more_is_remembered_than_a_new_process_can_be_told() -> None:
    deaths = Deaths()
    for spawn in range(MOST_REMEMBERED + 3):
        deaths.add(spawn, now=0.0)
    assert deaths.to_tell([], now=0.0) == tuple(range(3, MOST_REMEMBERED + 3))
