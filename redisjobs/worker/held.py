"""What a worker holds, and what is to be said of it. Decides without I/O; touched by one thread,
the pump.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from redisjobs.operations.settle import Settlement
from redisjobs.worker.delivery import Delivery
from redisjobs.worker.unsettled import Settling, Unsettled


class Reconciled(NamedTuple):
    """Where the processing list and the worker's knowledge differ.

    `orphans`: deliveries that stand there and that it does not know: the reply of their claim was
    lost. `lost`: those that it ran or was about to, and that are gone. `dropped`: ids of those that
    were to be settled or given back, and are gone: by a call whose reply was lost, or to another
    worker.
    """

    orphans: list[str]
    lost: list[Delivery]
    dropped: list[str]


class Held:
    """Deliveries on their way: claimed, then either ended (and unsettled) or to be given back, then
    gone.
    """

    def __init__(self) -> None:
        self._open: dict[str, Delivery] = {}  # claimed; waits for a slot, or runs
        self._suspects: dict[str, Delivery] = {}  # those of the open ones that lost a worker before
        self._unsettled = Unsettled()
        self._to_release: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._open) + len(self._unsettled) + len(self._to_release)

    @property
    def open_count(self) -> int:
        """How many wait for a slot or run."""
        return len(self._open)

    @property
    def open(self) -> Collection[Delivery]:
        """Those that wait for a slot or run, in the order in which they were handed out."""
        return self._open.values()

    def claimed(self, deliveries: Iterable[Delivery]) -> None:
        """The claim's reply came."""
        for delivery in deliveries:
            self._open[delivery.name] = delivery
            if delivery.losses:
                self._suspects[delivery.name] = delivery

    def _close(self, name: str) -> bool:
        if self._suspects:
            self._suspects.pop(name, None)
        return self._open.pop(name, None) is not None

    @property
    def runs_alone(self) -> bool:
        """Whether a job has its last chance here."""
        return any(delivery.batch.alone for delivery in self._suspects.values())

    def count_of_losses(self, losses: int) -> int:
        """How many open ones lost their worker this often, of those that did at all."""
        return sum(1 for delivery in self._suspects.values() if delivery.losses == losses)

    def ended(self, delivery: Delivery, settlement: Settlement) -> bool:
        """Its handler ended. False: it was lost meanwhile, and nothing is to be settled."""
        name = delivery.name
        if not self._close(name):
            return False
        self._unsettled.add(settlement)
        return True

    def plainly_done(self, delivery: Delivery, body: bytes) -> bool:
        """As `ended`, for one that is done, without a result, and had no state before. `body`: of
        the one that it has now, or nothing where no more of it is kept.
        """
        name = delivery.name
        if not self._close(name):
            return False
        self._unsettled.add_done(delivery.batch.kind, name, body)
        return True

    def give_back(self, delivery: Delivery) -> bool:
        """It is not to be run, or its run does not count. False: it was lost meanwhile."""
        if not self._close(delivery.name):
            return False
        self._to_release[delivery.name] = None
        return True

    @property
    def unsettled(self) -> list[Settlement]:
        """What is to be settled. It stays here until `settled` says that Redis knows."""
        return self._unsettled.all

    def to_settle(self, most: int) -> Settling:
        """The first so many of these, as they are sent."""
        return self._unsettled.first(most)

    @property
    def has_unsettled(self) -> bool:
        """Whether anything is to be settled."""
        return bool(self._unsettled)

    @property
    def to_release(self) -> list[str]:
        """What is to be given back. It stays here until `released` says that Redis knows."""
        return list(self._to_release)

    def settled(self, settling: Settling) -> None:
        """Redis answered: these are recorded, or refused for good."""
        self._unsettled.remove(settling)

    def released(self, names: Iterable[str]) -> None:
        """Redis answered: these are given back."""
        for name in names:
            self._to_release.pop(name, None)

    def reconcile(self, listed: Sequence[str]) -> Reconciled:
        """Compares with the processing list, as it was read between two of this worker's own round
        trips.

        What is unsettled and not there was settled by a call whose reply was lost, or is lost: it
        is done with.
        """
        there = set(listed)
        orphans = [
            name
            for name in listed
            if name not in self._open
            and name not in self._unsettled
            and name not in self._to_release
        ]
        lost = [delivery for name, delivery in self._open.items() if name not in there]
        for delivery in lost:
            self._close(delivery.name)
        dropped = [
            name for name in (*self._unsettled.names, *self._to_release) if name not in there
        ]
        for name in dropped:
            self._unsettled.discard(name)
            self._to_release.pop(name, None)
        return Reconciled(orphans, lost, [id_of(name) for name in dropped])

    def lose_all(self) -> Reconciled:
        """The lease is gone, and with it all that was held."""
        return self.reconcile([])


def id_of(name: str) -> str:
    """The job's id in `<token>:<id>`."""
    return name.split(":", 1)[1]
