"""Which kinds a claim asks for. Pure: the time is handed in.

A claim over 200 kinds costs eight times one over a few. So those are asked that had work or have
some left, and those whose bells rang, 40 at most; and all of them when a poll is due, or every
20 ms while there is work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

FEW = 8
MANY = 40
ALL_EVERY_S = 0.02


class Asked:
    """The kinds of one claim, in their order, and whether they are all of them."""

    __slots__ = ("all", "kinds")

    def __init__(self, kinds: Sequence[str], *, all_kinds: bool) -> None:
        self.kinds = kinds
        self.all = all_kinds


class KindsInTurn:
    """Those come first whose last turn is longest ago, so that a flood of one kind starves no
    other; and before them those that are known to wait and had no turn when others had.

    Attributes:
        have_more: the last claim did not ask for all the kinds that had work.
    """

    def __init__(self) -> None:
        self._order: dict[str, None] = {}
        self._busy: frozenset[str] = frozenset()
        self._passed_over: frozenset[str] = frozenset()
        self._rang: str | None = None
        self._all_at = float("-inf")
        self.have_more = False

    def rang(self, kind: str) -> None:
        """The bell of this kind rang."""
        self._rang = kind

    def ask(
        self, kinds: Sequence[str], now: float, *, all_due: bool, working: bool, besides: str | None
    ) -> Asked:
        """The kinds to ask for now.

        Args:
            kinds: all that this worker runs. It may be more than last time.
            all_due: whether all must be asked.
            working: whether due jobs are left over, so that others may be waiting, too.
            besides: a kind that must be among them.
        """
        if len(self._order) < len(kinds):
            for kind in kinds:
                self._order.setdefault(kind)
        first = dict.fromkeys(kind for kind in (besides, self._rang) if kind)
        few = first | dict.fromkeys(kind for kind in self._order if kind in self._busy)
        overdue = working and now - self._all_at >= ALL_EVERY_S
        if len(kinds) <= FEW or all_due or overdue or not few:
            waiting = dict.fromkeys(kind for kind in self._order if kind in self._passed_over)
            return Asked(list(first | waiting | self._order), all_kinds=True)
        return Asked(list(islice(few, MANY)), all_kinds=False)

    def answered(self, asked: Asked, found: Iterable[str], left: Iterable[str], now: float) -> None:
        """A claim was answered with jobs of these kinds, in this order; `left`: of which kinds more
        are due. Only what took some is a turn: many a question is not asked for want of room.
        """
        unasked = self._busy.difference(asked.kinds)
        self._rang = None
        served = list(dict.fromkeys(found))
        # The first one goes last: where all of a few are served each time, each is first in turn.
        for kind in served[1:] + served[:1]:
            del self._order[kind]
            self._order[kind] = None
        self._busy = unasked.union(served, left)
        self._passed_over = self._busy.difference(served)
        self.have_more = bool(unasked)
        if asked.all:
            self._all_at = now
