"""How many jobs to claim: what has a free slot, and what the process will start within about 20 ms
at its pace. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

AHEAD_S = 0.02
# A pace measured over 2 ms once hoarded 144 jobs of 20 ms each.
WINDOW_S = 0.1
FORGOTTEN_AFTER_S = 10.0
MOST_AHEAD = 2000
MOST_A_CLAIM = 1000
# A claim of more than this, or than there are free slots, is for half of the line: while handlers
# run the one half, Redis hands out the other. In one piece, they would wait for each other in turn:
# a thread that runs short handlers keeps the interpreter for 5 ms, and by then the line is empty.
_SMALL = 200
# For each run of a kind that was just seen to be short so many more are taken beyond the free
# slots: one proves little. So what is claimed of a new kind grows fourfold from claim to claim.
_FOR_EACH_SEEN = 3
_SHORTEST_S = 1e-6
_NOTHING = (0, 0.0)


class Pace:
    """What the process ended lately, and how fast.

    Two windows of at least 100 ms with work: the one under way, and the last whole one. Of a kind
    that ended nothing in either nothing is known.

    Attributes:
        per_second: runs of all kinds that ended in a second of the last whole window; None where
            none did.
        runs: how many of all kinds ended lately.
    """

    def __init__(self, now: float) -> None:
        self._began = self._looked_at = now
        self._ended: dict[str, tuple[int, float]] = {}
        self._last: Mapping[str, tuple[int, float]] = {}
        self.per_second: float | None = None
        self.runs = 0
        self._idle_s = 0.0

    def ended(self, runs: Mapping[str, Sequence[float]], now: float) -> None:
        """Of each kind, how long the runs took that ended since the last call."""
        for kind, lengths in runs.items():
            count, seconds = self._ended.get(kind, (0, 0.0))
            self._ended[kind] = (count + len(lengths), seconds + sum(lengths))
            self.runs += len(lengths)
        self.turn(now)

    def turn(self, now: float) -> None:
        """Closes the window when it is old enough."""
        self._looked_at = now
        seconds = now - self._began
        if seconds >= WINDOW_S:
            self._last = self._ended
            self.runs = sum(count for count, _ in self._last.values())
            self.per_second = self.runs / seconds if self.runs else None
            self._ended = {}
            self._began = now
            self._idle_s = 0.0

    def idle(self, now: float, since: float = 0.0) -> None:
        """There was nothing to do since then, or since the last call, if that is later: that time
        counts for no window. Else whoever waits for a Redis that serves others, too, would ask it
        for ever less. After some seconds of it what was known is forgotten: jobs may be longer by
        then.
        """
        seconds = now - max(since, self._looked_at)
        self._idle_s += seconds
        self._began += seconds
        self._looked_at = now
        if self._idle_s >= FORGOTTEN_AFTER_S:
            self.forget(now)

    def forget(self, now: float) -> None:
        """What was prefetched got stuck: the pace is not known any more."""
        self._last, self._ended, self.per_second, self.runs = {}, {}, None, 0
        self._began = self._looked_at = now
        self._idle_s = 0.0

    @property
    def kinds(self) -> Iterable[str]:
        """Those of which something is known."""
        return self._last.keys() | self._ended.keys()

    def runs_of(self, kind: str) -> int:
        """How many of a kind ended lately; 0 if nothing is known of it."""
        return self._of(kind)[0]

    def alone(self, kind: str, slots: int) -> float:
        """How many of a kind would end in a second if there were no others: as many as end of all
        kinds, but no more than slots allow for runs of its length. 0 if nothing is known of it.
        """
        count, seconds = self._of(kind)
        if not count:
            return 0.0
        allowed = slots * count / max(seconds, count * _SHORTEST_S)
        return allowed if self.per_second is None else min(self.per_second, allowed)

    def _of(self, kind: str) -> tuple[int, float]:
        last, ended = self._last.get(kind, _NOTHING), self._ended.get(kind, _NOTHING)
        return last[0] + ended[0], last[1] + ended[1]


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
        self.concurrency = concurrency
        self._prefetch = prefetch

    def _line_of(self, kind: str, pace: Pace) -> int:
        """How many may wait in this process for a slot, if the last of them is of this kind."""
        if self._prefetch == "auto":
            by_pace = int(pace.alone(kind, self.concurrency) * AHEAD_S)
            return min(MOST_AHEAD, by_pace, _FOR_EACH_SEEN * pace.runs)
        return self._prefetch if pace.runs_of(kind) else 0

    def room(self, occupied: int, waiting: int, kinds: Sequence[str], pace: Pace) -> Room:
        """The room for a claim of these kinds.

        Args:
            occupied: how many deliveries have a slot or wait for one.
            waiting: how many of these wait for one.
            kinds: the first one is the one whose turn it is.
        """
        free = max(0, self.concurrency - occupied)
        lines = [self._line_of(kind, pace) for kind in kinds]
        longest = max(lines, default=0)
        beyond = longest - waiting
        if beyond <= 0:
            limit = min(free, MOST_A_CLAIM)
            return Room(limit, limit, [0] * len(kinds))
        ahead = [max(0, line - waiting) for line in lines]
        if self._prefetch == "auto":
            ahead = [
                min(room, _FOR_EACH_SEEN * pace.runs_of(kind))
                for room, kind in zip(ahead, kinds, strict=True)
            ]
        # While short jobs keep the line filled no slot is ever free. So the first kind in turn gets
        # one place in the line at any pace: what it waits for is short.
        ahead[0] = max(1, ahead[0])
        most = min(MOST_A_CLAIM, max(free, _SMALL, longest // 2))
        limit = min(free + min(sum(ahead), beyond), most)
        return Room(limit, min(free, limit), ahead)

    def low_water(self, pace: Pace) -> int:
        """With this few deliveries waiting it is time to claim again, so that the slots do not run
        dry meanwhile: half, so that while the one half is run Redis hands out the other.
        """
        return max((self._line_of(kind, pace) for kind in pace.kinds), default=0) // 2
