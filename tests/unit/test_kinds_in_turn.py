"""Which kinds a claim asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from redisjobs.worker.kinds_in_turn import ALL_EVERY_S, FEW, MANY, Asked, KindsInTurn

KINDS = tuple(f"kind-{number}" for number in range(200))
NOW = 1000.0


def ask(turns: KindsInTurn, kinds: Sequence[str] = KINDS, now: float = NOW, **state: Any) -> Asked:
    usual: dict[str, Any] = {"all_due": False, "working": False, "besides": None}
    return turns.ask(kinds, now, **(usual | state))


def after(found: Sequence[str], left: Sequence[str] = (), now: float = NOW) -> KindsInTurn:
    turns = KindsInTurn()
    turns.answered(ask(turns, all_due=True), found, left, now)
    return turns


def test_few_kinds_are_all_asked_each_beginning_in_turn() -> None:
    turns, kinds = KindsInTurn(), KINDS[:FEW]
    asked = []
    for _ in range(FEW):
        asked.append(ask(turns, kinds))
        turns.answered(asked[-1], asked[-1].kinds, asked[-1].kinds, NOW)
    assert all(one.all for one in asked)
    assert {one.kinds[0] for one in asked} == set(kinds)
    assert all(sorted(one.kinds) == sorted(kinds) for one in asked)


def test_the_first_claim_asks_for_all_of_many() -> None:
    asked = ask(KindsInTurn())
    assert asked.all
    assert sorted(asked.kinds) == sorted(KINDS)


def test_a_bell_that_rang_is_asked_alone() -> None:
    turns = after([])
    turns.rang("kind-7")
    asked = ask(turns)
    assert (list(asked.kinds), asked.all) == (["kind-7"], False)


def test_kinds_that_had_work_are_asked_again_with_the_bell_that_rang() -> None:
    turns = after(["kind-3", "kind-5", "kind-3"])
    turns.rang("kind-7")
    asked = ask(turns)
    assert sorted(asked.kinds) == ["kind-3", "kind-5", "kind-7"]
    assert not asked.all


def test_a_bell_is_asked_for_once() -> None:
    turns = after([])
    turns.rang("kind-7")
    turns.answered(ask(turns), ["kind-9"], (), NOW)
    assert list(ask(turns).kinds) == ["kind-9"]


def test_all_are_asked_when_they_are_due() -> None:
    turns = after(["kind-3"])
    assert not ask(turns).all
    assert ask(turns, all_due=True).all


def test_while_there_is_work_all_are_asked_every_20_ms() -> None:
    turns = after(["kind-3"])
    assert not ask(turns, now=NOW + ALL_EVERY_S / 2, working=True).all
    assert ask(turns, now=NOW + 1.01 * ALL_EVERY_S, working=True).all


def test_a_claim_for_some_does_not_put_off_the_one_for_all() -> None:
    turns = after(["kind-3"])
    turns.answered(ask(turns), ["kind-3"], (), NOW + ALL_EVERY_S / 2)
    assert ask(turns, now=NOW + 1.01 * ALL_EVERY_S, working=True).all


def test_where_nothing_is_left_all_are_not_asked_for_the_sake_of_time() -> None:
    assert not ask(after(["kind-3"]), now=NOW + 10.0).all


def test_a_kind_that_a_worker_empties_itself_for_is_always_asked() -> None:
    assert sorted(ask(after(["kind-3"]), besides="kind-9").kinds) == ["kind-3", "kind-9"]


def test_no_kinds_at_all() -> None:
    assert list(ask(KindsInTurn(), ()).kinds) == []


@pytest.mark.parametrize("kinds", [("a", "b"), tuple("abcd"), KINDS])
def test_every_kind_is_served_in_its_turn_however_many_questions_are_not_asked(
    kinds: Sequence[str],
) -> None:
    """A worker without a free slot asks itself what to claim, and then does not: no turn."""
    turns, served, now = KindsInTurn(), list[str](), NOW
    for _ in kinds:
        now += ALL_EVERY_S * 0.6
        asked = ask(turns, kinds, now, working=True)
        served.append(asked.kinds[0])
        turns.answered(asked, asked.kinds[:1], asked.kinds, now)
        ask(turns, kinds, now, working=True)  # no slot is free: it is not asked
    assert sorted(served) == sorted(kinds)


def test_kinds_of_which_more_is_due_are_asked_though_there_was_no_room_for_any() -> None:
    turns = after(["kind-3"], left=["kind-3", "kind-5"])
    assert sorted(ask(turns).kinds) == ["kind-3", "kind-5"]


def test_those_come_first_whose_last_turn_is_longest_ago() -> None:
    turns = after(["kind-0", "kind-1"], left=KINDS[:4])
    assert list(ask(turns).kinds) == ["kind-2", "kind-3", "kind-1", "kind-0"]
    everything = list(ask(turns, all_due=True).kinds)
    assert everything == [*KINDS[2:], "kind-1", "kind-0"]


def test_of_many_that_have_work_some_are_asked_and_the_others_next_time() -> None:
    turns = after(KINDS[:3], left=KINDS)
    asked = ask(turns)
    assert (list(asked.kinds), asked.all) == (list(KINDS[3 : 3 + MANY]), False)
    turns.answered(asked, asked.kinds[:2], asked.kinds, NOW)
    assert turns.have_more
    again = ask(turns)
    assert list(again.kinds) == list(KINDS[5 : 5 + MANY])


def test_a_bell_and_a_last_chance_are_asked_first_of_many() -> None:
    turns = after(KINDS[:3], left=KINDS)
    turns.rang("kind-199")
    assert list(ask(turns, besides="kind-198").kinds[:3]) == ["kind-198", "kind-199", "kind-3"]


def test_those_that_had_nothing_and_have_nothing_left_are_not_asked_again() -> None:
    turns = after(KINDS[:MANY])
    turns.answered(ask(turns), (), (), NOW)
    assert not turns.have_more
    assert ask(turns).all, "nothing is known to have work"


def test_of_one_claim_that_cannot_serve_all_each_is_served_in_turn() -> None:
    turns, served = KindsInTurn(), list[str]()
    for _ in range(20):
        asked = ask(turns, all_due=True)
        served += asked.kinds[:10]
        turns.answered(asked, asked.kinds[:10], KINDS, NOW)
    assert sorted(served) == sorted(KINDS)


def test_a_kind_without_jobs_takes_no_turn_of_those_that_have_some() -> None:
    """The first in turn gets a place beside a flood of short jobs, which the long ones need."""
    turns, kinds = KindsInTurn(), ("idle", "short", "long")
    turns.answered(ask(turns, kinds), ["short"], ["short", "long"], NOW)
    assert list(ask(turns, kinds).kinds) == ["long", "idle", "short"]


def test_beside_a_flood_and_kinds_without_jobs_long_ones_have_every_other_turn() -> None:
    turns, kinds, served = KindsInTurn(), ("idle", "short", "long", "also-idle"), 0
    for _ in range(20):
        asked = ask(turns, kinds)
        found = ["long", "short"] if asked.kinds[0] == "long" else ["short"]
        served += "long" in found
        turns.answered(asked, found, ["short", "long"], NOW)
    assert served == 10


def test_the_first_job_of_a_kind_is_taken_before_those_of_a_flood() -> None:
    turns, kinds = KindsInTurn(), ("flood", "new")
    for _ in range(3):
        turns.answered(ask(turns, kinds), ["flood"], ["flood"], NOW)
    assert list(ask(turns, kinds).kinds) == ["new", "flood"]
