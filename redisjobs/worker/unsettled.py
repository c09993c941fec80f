"""Outcomes that Redis does not know yet. Those of jobs that are done at their first attempt, and
without a result, which are nearly all, are names and bodies by kind and nothing else. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

from redisjobs.operations.settle import Done, Settlement, all_of


class Settling(NamedTuple):
    """Outcomes of one call. `done`: those that are plainly done."""

    settlements: Sequence[Settlement]
    done: Done

    def __bool__(self) -> bool:
        return bool(self.settlements or self.done)

    def at(self, now: float) -> Settling:
        """As it is to be sent now."""
        if not self.settlements:
            return self
        return self._replace(
            settlements=[one if one.due_at is None else one.at(now) for one in self.settlements]
        )

    def without(self, refused: Sequence[Settlement]) -> Settling:
        """Those that were not refused."""
        gone = {one.delivery for one in refused}
        left = {
            kind: {name: body for name, body in bodies.items() if name not in gone}
            for kind, bodies in self.done.items()
        }
        return Settling(
            [one for one in self.settlements if one.delivery not in gone],
            {kind: bodies for kind, bodies in left.items() if bodies},
        )


NOTHING = Settling((), {})


class Unsettled:
    """Each is there until Redis has answered."""

    def __init__(self) -> None:
        self._settlements: dict[str, Settlement] = {}
        self._done: dict[str, dict[str, bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self._settlements or self._done)

    def __len__(self) -> int:
        return len(self._settlements) + sum(map(len, self._done.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._settlements or any(name in done for done in self._done.values())

    @property
    def names(self) -> list[str]:
        """Of all deliveries."""
        return [*self._settlements, *chain.from_iterable(self._done.values())]

    @property
    def all(self) -> list[Settlement]:
        """One for each."""
        return [*self._settlements.values(), *all_of(self._done)]

    def add(self, settlement: Settlement) -> None:
        """One more."""
        self._settlements[settlement.delivery] = settlement

    def add_done(self, kind: str, name: str, body: bytes) -> None:
        """One more, which is plainly done."""
        done = self._done.get(kind)
        if done is None:
            done = self._done[kind] = {}
        done[name] = body

    def first(self, most: int) -> Settling:
        """So many at most, those that have more to tell before the others."""
        settlements = list(islice(self._settlements.values(), most))
        most -= len(settlements)
        found: dict[str, Mapping[str, bytes]] = {}
        for kind, done in self._done.items():
            if most <= 0:
                break
            # A copy: more may come while these are sent.
            found[kind] = bodies = dict(islice(done.items(), most))
            most -= len(bodies)
        return Settling(settlements, found)

    def remove(self, settling: Settling) -> None:
        """Redis answered for these."""
        for settlement in settling.settlements:
            self._settlements.pop(settlement.delivery, None)
        for kind, names in settling.done.items():
            done = self._done.get(kind, {})
            for name in names:
                done.pop(name, None)
            if not done:
                self._done.pop(kind, None)

    def discard(self, name: str) -> None:
        """It is not to be settled any more."""
        self._settlements.pop(name, None)
        for kind, done in tuple(self._done.items()):
            done.pop(name, None)
            if not done:
                del self._done[kind]
