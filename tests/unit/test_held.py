"""What a worker holds: each state against each event, then random events against a naive model."""

from __future__ import annotations

from enum import Enum, auto
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from redisjobs.operations.settle import Settlement
from redisjobs.worker.delivery import Batch, Delivery
from redisjobs.worker.held import Held, Reconciled, id_of
from redisjobs.worker.unsettled import Settling


def _delivery(
    token: int = 7, id: str = "job-1", losses: int = 0, *, alone: bool = False
) -> Delivery:
    batch = Batch(token, "worker", "email", None, False, alone, lambda *_: None)
    delivery = Delivery(batch, id, f"{token}:{id}", b"")
    delivery.losses = losses
    return delivery


def _settlement(delivery: Delivery, body: bytes = b"") -> Settlement:
    return Settlement(delivery.name, delivery.kind, b"D", 1, 0, body)


def _settling(delivery: Delivery) -> Settling:
    """As the outcome was sent, whichever way it was told."""
    return Settling([_settlement(delivery)], {delivery.kind: {delivery.name: b""}})


class State(Enum):
    UNKNOWN = auto()
    OPEN = auto()
    UNSETTLED = auto()
    TO_RELEASE = auto()


class Does(Enum):
    END = auto()
    END_PLAINLY = auto()
    GIVE_BACK = auto()
    HEAR_SETTLED = auto()
    HEAR_RELEASED = auto()
    FIND_LISTED = auto()
    FIND_MISSING = auto()
    LOSE_ALL = auto()


NOTHING, ORPHAN, LOST, DROPPED = "nothing", "orphan", "lost", "dropped"

# (before, event) -> (after, what the event returns; of a comparison, as what the delivery is named)
TABLE: dict[tuple[State, Does], tuple[State, object]] = {
    (State.UNKNOWN, Does.END): (State.UNKNOWN, False),
    (State.UNKNOWN, Does.END_PLAINLY): (State.UNKNOWN, False),
    (State.UNKNOWN, Does.GIVE_BACK): (State.UNKNOWN, False),
    (State.UNKNOWN, Does.HEAR_SETTLED): (State.UNKNOWN, None),
    (State.UNKNOWN, Does.HEAR_RELEASED): (State.UNKNOWN, None),
    (State.UNKNOWN, Does.FIND_LISTED): (State.UNKNOWN, ORPHAN),
    (State.UNKNOWN, Does.FIND_MISSING): (State.UNKNOWN, NOTHING),
    (State.UNKNOWN, Does.LOSE_ALL): (State.UNKNOWN, NOTHING),
    (State.OPEN, Does.END): (State.UNSETTLED, True),
    (State.OPEN, Does.END_PLAINLY): (State.UNSETTLED, True),
    (State.OPEN, Does.GIVE_BACK): (State.TO_RELEASE, True),
    (State.OPEN, Does.HEAR_SETTLED): (State.OPEN, None),
    (State.OPEN, Does.HEAR_RELEASED): (State.OPEN, None),
    (State.OPEN, Does.FIND_LISTED): (State.OPEN, NOTHING),
    (State.OPEN, Does.FIND_MISSING): (State.UNKNOWN, LOST),
    (State.OPEN, Does.LOSE_ALL): (State.UNKNOWN, LOST),
    (State.UNSETTLED, Does.END): (State.UNSETTLED, False),
    (State.UNSETTLED, Does.END_PLAINLY): (State.UNSETTLED, False),
    (State.UNSETTLED, Does.GIVE_BACK): (State.UNSETTLED, False),
    (State.UNSETTLED, Does.HEAR_SETTLED): (State.UNKNOWN, None),
    (State.UNSETTLED, Does.HEAR_RELEASED): (State.UNSETTLED, None),
    (State.UNSETTLED, Does.FIND_LISTED): (State.UNSETTLED, NOTHING),
    (State.UNSETTLED, Does.FIND_MISSING): (State.UNKNOWN, DROPPED),
    (State.UNSETTLED, Does.LOSE_ALL): (State.UNKNOWN, DROPPED),
    (State.TO_RELEASE, Does.END): (State.TO_RELEASE, False),
    (State.TO_RELEASE, Does.END_PLAINLY): (State.TO_RELEASE, False),
    (State.TO_RELEASE, Does.GIVE_BACK): (State.TO_RELEASE, False),
    (State.TO_RELEASE, Does.HEAR_SETTLED): (State.TO_RELEASE, None),
    (State.TO_RELEASE, Does.HEAR_RELEASED): (State.UNKNOWN, None),
    (State.TO_RELEASE, Does.FIND_LISTED): (State.TO_RELEASE, NOTHING),
    (State.TO_RELEASE, Does.FIND_MISSING): (State.UNKNOWN, DROPPED),
    (State.TO_RELEASE, Does.LOSE_ALL): (State.UNKNOWN, DROPPED),
}


def _bring_to(held: Held, state: State, delivery: Delivery) -> None:
    if state is State.UNKNOWN:
        return
    held.claimed([delivery])
    if state is State.UNSETTLED:
        held.ended(delivery, _settlement(delivery))
    elif state is State.TO_RELEASE:
        held.give_back(delivery)


def _state_of(held: Held, delivery: Delivery) -> State:
    states = [
        state
        for state, there in (
            (State.OPEN, delivery in held.open),
            (State.UNSETTLED, delivery.name in [one.delivery for one in held.unsettled]),
            (State.TO_RELEASE, delivery.name in held.to_release),
        )
        if there
    ]
    assert len(states) <= 1, f"{delivery} is in {states} at once"
    assert len(held) == len(states)
    return states[0] if states else State.UNKNOWN


def _do(held: Held, event: Does, delivery: Delivery) -> object:
    match event:
        case Does.END:
            return held.ended(delivery, _settlement(delivery))
        case Does.END_PLAINLY:
            return held.plainly_done(delivery, b"")
        case Does.GIVE_BACK:
            return held.give_back(delivery)
        case Does.HEAR_SETTLED:
            return held.settled(_settling(delivery))  # type: ignore[func-returns-value]
        case Does.HEAR_RELEASED:
            return held.released([delivery.name])  # type: ignore[func-returns-value]
        case Does.FIND_LISTED:
            return held.reconcile([delivery.name])
        case Does.FIND_MISSING:
            return held.reconcile([])
        case Does.LOSE_ALL:
            return held.lose_all()


def test_the_table_has_every_state_and_event() -> None:
    assert set(TABLE) == {(state, event) for state in State for event in Does}


@pytest.mark.parametrize(("before", "event"), TABLE, ids=lambda one: one.name.lower())
def test_each_event_in_each_state(before: State, event: Does) -> None:
    held, delivery = Held(), _delivery()
    after, returned = TABLE[before, event]
    _bring_to(held, before, delivery)
    assert _state_of(held, delivery) is before

    named: dict[object, object] = {
        NOTHING: Reconciled([], [], []),
        ORPHAN: Reconciled([delivery.name], [], []),
        LOST: Reconciled([], [delivery], []),
        DROPPED: Reconciled([], [], [delivery.id]),
    }
    assert _do(held, event, delivery) == named.get(returned, returned)
    assert _state_of(held, delivery) is after


def test_a_later_delivery_of_the_same_id_is_another_one() -> None:
    held, first, second = Held(), _delivery(7), _delivery(8)
    held.claimed([first])
    assert held.reconcile([second.name]) == Reconciled([second.name], [first], [])

    held.claimed([second])
    assert not held.ended(first, _settlement(first))
    assert held.ended(second, _settlement(second))
    assert [one.delivery for one in held.unsettled] == ["8:job-1"]


def test_the_first_outcome_stays() -> None:
    held, delivery = Held(), _delivery()
    held.claimed([delivery])
    held.ended(delivery, _settlement(delivery, b"first"))
    held.ended(delivery, _settlement(delivery, b"second"))
    assert [one.body for one in held.unsettled] == [b"first"]


def test_all_is_told_in_the_order_in_which_it_came() -> None:
    held = Held()
    deliveries = [_delivery(1, f"job-{number}") for number in range(6)]
    held.claimed(deliveries)
    assert list(held.open) == deliveries
    for one in (deliveries[4], deliveries[0]):
        held.ended(one, _settlement(one))
    for one in (deliveries[3], deliveries[1]):
        held.give_back(one)
    assert [id_of(one.delivery) for one in held.unsettled] == ["job-4", "job-0"]
    assert [id_of(name) for name in held.to_release] == ["job-3", "job-1"]
    assert held.lose_all() == Reconciled(
        [], [deliveries[2], deliveries[5]], ["job-4", "job-0", "job-3", "job-1"]
    )


def test_what_is_asked_for_is_a_copy() -> None:
    held, delivery = Held(), _delivery()
    held.claimed([delivery])
    held.ended(delivery, _settlement(delivery))
    held.unsettled.clear()
    held.to_release.clear()
    assert len(held) == 1


def test_suspects_count_only_while_they_are_open() -> None:
    held = Held()
    suspects = [_delivery(1, f"job-{losses}", losses) for losses in (0, 2, 2, 3)]
    suspects[2].name += "-twin"
    held.claimed(suspects)
    assert [held.count_of_losses(losses) for losses in (1, 2, 3)] == [0, 2, 1]
    held.ended(suspects[1], _settlement(suspects[1]))
    assert held.count_of_losses(2) == 1
    held.give_back(suspects[2])
    assert held.count_of_losses(2) == 0
    held.lose_all()
    assert held.count_of_losses(3) == 0


def test_a_last_chance_runs_alone_until_it_ends() -> None:
    held, delivery = Held(), _delivery(losses=3, alone=True)
    seen = []
    held.claimed([_delivery(1, "other", losses=3)])
    seen.append(held.runs_alone)
    held.claimed([delivery])
    seen.append(held.runs_alone)
    held.ended(delivery, _settlement(delivery))
    seen.append(held.runs_alone)
    assert seen == [False, True, False]


@pytest.mark.parametrize(
    ("name", "id"), [("7:job", "job"), ("123:a:b", "a:b"), ("1::", ":"), ("9:ü", "ü")]
)
def test_an_id_may_have_colons(name: str, id: str) -> None:
    assert id_of(name) == id


class PumpAndServer(RuleBasedStateMachine):
    """A worker's `Held`, used as the pump uses it, and a processing list on a server whose replies
    may be lost. What became of each delivery on the server is noted by hand.
    """

    deliveries = Bundle("deliveries")

    def __init__(self) -> None:
        super().__init__()
        self.tokens = count(1)
        self.held = Held()
        self.listed: list[str] = []
        self.fate: dict[str, set[str]] = {}  # what the server did with each delivery
        self.asked: dict[str, set[str]] = {}  # what this worker asked for
        self.open: dict[str, Delivery] = {}  # what the naive model says that it runs
        self.trusts = True  # no call failed since the last comparison

    @initialize()
    def begin(self) -> None:
        self.held = Held()

    def _leave_list(self, names: list[str], fate: str) -> None:
        for name in names:
            if name in self.listed:
                self.listed.remove(name)
                self.fate[name].add(fate)

    def _ask(self, names: list[str], what: str) -> None:
        for name in names:
            self.asked.setdefault(name, set()).add(what)

    @rule(
        target=deliveries, number=st.integers(1, 5), heard=st.booleans(), losses=st.integers(0, 3)
    )
    def claim(self, number: int, heard: bool, losses: int) -> object:
        token = next(self.tokens)
        claimed = [_delivery(token, f"job-{place}", losses) for place in range(number)]
        self.listed += [one.name for one in claimed]
        self.fate |= {one.name: set() for one in claimed}
        if not heard:
            self.trusts = False
            return multiple()
        self.held.claimed(claimed)
        self.open |= {one.name: one for one in claimed}
        return multiple(*claimed)

    @rule(delivery=consumes(deliveries), plainly=st.booleans())
    def handler_ends(self, delivery: Delivery, plainly: bool) -> None:
        known = self.open.pop(delivery.name, None) is not None
        if plainly:
            assert self.held.plainly_done(delivery, b"") == known
        else:
            assert self.held.ended(delivery, _settlement(delivery)) == known

    @rule(delivery=deliveries)
    def give_back(self, delivery: Delivery) -> None:
        known = self.open.pop(delivery.name, None) is not None
        assert self.held.give_back(delivery) == known

    @rule(most=st.integers(1, 10), carried_out=st.booleans(), heard=st.booleans())
    def settle(self, most: int, carried_out: bool, heard: bool) -> None:
        settling = self.held.to_settle(most)
        names = [one.delivery for one in settling.settlements]
        names += [name for done in settling.done.values() for name in done]
        assert len(names) == min(most, len(self.held.unsettled))
        assert bool(settling) == bool(names)
        self._ask(names, "settle")
        if carried_out or heard:
            self._leave_list(names, "settled")
        if heard:
            self.held.settled(settling)
        else:
            self.trusts = False

    @rule(carried_out=st.booleans(), heard=st.booleans())
    def release(self, carried_out: bool, heard: bool) -> None:
        names = self.held.to_release
        self._ask(names, "release")
        if carried_out or heard:
            self._leave_list(names, "released")
        if heard:
            self.held.released(names)
        else:
            self.trusts = False

    @rule(number=st.integers(1, 4))
    def another_reaps(self, number: int) -> None:
        self._leave_list(self.listed[-number:], "reaped")
        self.trusts = False

    @rule()
    def reconcile(self) -> None:
        result = self.held.reconcile(list(self.listed))
        assert {one.name for one in result.lost} == self.open.keys() - set(self.listed)
        for one in result.lost:
            del self.open[one.name]
        for name in result.orphans:
            assert not self.asked.get(name, set()) & {"settle"}, f"{name} was to be settled"
        self._ask(result.orphans, "release")
        self._leave_list(result.orphans, "released")
        self.trusts = True

    @rule()
    def lose_the_lease(self) -> None:
        result = self.held.lose_all()
        assert {one.name for one in result.lost} == set(self.open)
        assert len(self.held) == 0
        self.open.clear()
        self._leave_list(list(self.listed), "released")

    @invariant()
    def nothing_is_both_settled_and_released(self) -> None:
        for name, wanted in self.asked.items():
            assert len(wanted) <= 1, f"{name} was asked to be {wanted}"
        for name, fates in self.fate.items():
            assert len(fates) <= 1, f"{name} was {fates}"

    @invariant()
    def the_model_agrees(self) -> None:
        assert {one.name for one in self.held.open} == set(self.open)
        assert self.held.open_count == len(self.open)
        parts = [
            *(one.name for one in self.held.open),
            *(one.delivery for one in self.held.unsettled),
            *self.held.to_release,
        ]
        assert len(parts) == len(set(parts)) == len(self.held)

    @invariant()
    def what_stands_in_the_list_is_known_where_no_call_failed(self) -> None:
        if self.trusts:
            known = {one.name for one in self.held.open} | set(self.held.to_release)
            known |= {one.delivery for one in self.held.unsettled}
            assert set(self.listed) <= known

    def teardown(self) -> None:
        """However it went: one comparison, and all that was claimed leaves the list."""
        self.reconcile()
        for delivery in list(self.open.values()):
            self.handler_ends(delivery, plainly=False)
        self.settle(10**6, carried_out=True, heard=True)
        self.release(carried_out=True, heard=True)
        assert self.listed == []
        assert len(self.held) == 0
        assert all(len(fates) == 1 for fates in self.fate.values())


TestPumpAndServer = PumpAndServer.TestCase
TestPumpAndServer.settings = settings(max_examples=80, stateful_step_count=40)
