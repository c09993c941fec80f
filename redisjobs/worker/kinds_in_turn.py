"""Which kinds a claim asks for. Pure: the time is handed in.

A claim over 200 kinds costs eight times one over a few. So those are asked that had work, and those
whose bells rang; and all of them when a poll is due, or every 20 ms while there is work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

FEW = 8
ALL_EVERY_S = 0.02


class Asked:
    """The kinds of one claim, in their order, and whether they are all of them."""

    __slots__ = ("all", "kinds")

    def __init__(self, kinds: Sequence[str], *, all_kinds: bool) -> None:
        self.kinds = kinds
        self.all = all_kinds


class KindsInTurn:
    """Each claim begins with another kind, so that a flood of one starves no other."""

    def __init__(self) -> None:
        # Of claims for all kinds, and of those for a few: each of them takes turns of its own.
        self._rotation = {True: 0, False: 0}
        self._busy: tuple[str, ...] = ()
        self._rang: str | None = None
        self._all_at = float("-inf")

    def rang(self, kind: str) -> None:
        """The bell of this kind rang."""
        self._rang = kind

    def ask(
        self, kinds: Sequence[str], now: float, *, all_due: bool, working: bool, besides: str | None
    ) -> Asked:
        """The kinds to ask for now.

        Args:
            kinds: all that this worker runs.
            all_due: whether all must be asked.
            working: whether due jobs are left over, so that others may be waiting, too.
            besides: a kind that must be among them.
        """
        few = dict.fromkeys((*self._busy, *(kind for kind in (self._rang, besides) if kind)))
        overdue = working and now - self._all_at >= ALL_EVERY_S
        asks_all = len(kinds) <= FEW or all_due or overdue or not few
        chosen = kinds if asks_all else tuple(few)
        first = self._rotation[asks_all] % max(1, len(chosen))
        return Asked([*chosen[first:], *chosen[:first]], all_kinds=asks_all)

    def answered(self, asked: Asked, found: Iterable[str], now: float) -> None:
        """A claim was answered with jobs of these kinds. Only what took some is a turn: where every
        other question is not asked for want of room, one of two kinds would always come first.
        """
        self._rang = None
        self._busy = tuple(dict.fromkeys(found))
        if self._busy:
            self._rotation[asked.all] += 1
        if asked.all:
            self._all_at = now
