"""How many jobs to claim: what has a free slot, and what the process will start within about 20 ms
at its pace. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

AHEAD_S = 0.02
# A pace measured over 2 ms once hoarded 144 jobs of 20 ms each.
WINDOW_S = 0.1
MOST_AHEAD = 2000
MOST_A_CLAIM = 1000


class Pace:
    """How many runs of each kind end in a second, averaged over at least 100 ms.

    Two windows: the one under way, and the last whole one. A kind that ended nothing in either has
    no known pace.
    """

    def __init__(self, now: float) -> None:
        self._began = now
        self._ended: dict[str, int] = {}
        self._last: Mapping[str, float] = {}

    def ended(self, counts: Mapping[str, int], now: float) -> None:
        """So many runs of each kind ended since the last call."""
        ended = self._ended
        for kind, count in counts.items():
            ended[kind] = ended.get(kind, 0) + count
        self.turn(now)

    def turn(self, now: float) -> None:
        """Closes the window when it is old enough."""
        seconds = now - self._began
        if seconds >= WINDOW_S:
            self._last = {kind: count / seconds for kind, count in self._ended.items()}
            self._ended = {}
            self._began = now

    def forget(self, now: float) -> None:
        """What was prefetched got stuck: the pace is not known any more."""
        self._last, self._ended, self._began = {}, {}, now

    def of(self, kind: str) -> float:
        """Runs of this kind that end in a second; 0 if not known."""
        return self._last.get(kind, 0.0)


class Room:
    """What one claim may ask for: `limit` jobs, of which `free` start at once, and of each kind
    `ahead` beyond those.
    """

    __slots__ = ("ahead", "free", "limit")

    def __init__(self, limit: int, free: int, ahead: Sequence[int]) -> None:
        self.limit = limit
        self.free = free
        self.ahead = ahead


class Capacity:
    """Says how much room there is, from what is held and the pace."""

    def __init__(self, concurrency: int, prefetch: int | Literal["auto"]) -> None:
        self._concurrency = concurrency
        self._prefetch = prefetch
        self._most_ahead = MOST_AHEAD if prefetch == "auto" else prefetch

    def ahead_of(self, kind: str, pace: Pace) -> int:
        """How many jobs of a kind may wait in this process for a slot."""
        if self._prefetch == 0:
            return 0
        if self._prefetch == "auto":
            return min(MOST_AHEAD, int(pace.of(kind) * AHEAD_S))
        return self._prefetch if pace.of(kind) else 0

    def room(self, occupied: int, waiting: int, kinds: Sequence[str], pace: Pace) -> Room:
        """The room for a claim of these kinds.

        Args:
            occupied: how many deliveries have a slot or wait for one.
            waiting: how many of these wait for one.
            kinds: the first one is the one whose turn it is.
        """
        free = max(0, self._concurrency - occupied)
        ahead = [max(0, self.ahead_of(kind, pace) - waiting) for kind in kinds]
        if any(ahead):
            # While short jobs keep the line filled no slot is ever free. So the first kind in turn
            # gets one place in the line at any pace: what it waits for is short.
            ahead[0] = max(1, ahead[0])
        beyond = min(sum(ahead), max(0, self._most_ahead - waiting))
        limit = min(free + beyond, MOST_A_CLAIM)
        return Room(limit, min(free, limit), ahead)

    def low_water(self, kinds: Sequence[str], pace: Pace) -> int:
        """With this few deliveries waiting it is time to claim again, so that the slots do not run
        dry meanwhile: two thirds, so that the claim after the next may begin before the jobs of the
        next are unpacked.
        """
        return min(sum(self.ahead_of(kind, pace) for kind in kinds), self._most_ahead) * 2 // 3
