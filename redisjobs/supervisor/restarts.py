"""When a worker process that ended is started again, and of which deaths the next one is told."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
HEALTHY_AFTER_S = 10.0
# What is told at birth has to fit into an empty socket, wherever that is small.
MOST_REMEMBERED = 256


class Backoff:
    """How long to wait before one of the processes is started again.

    At once after the first death; 0.5 s, 1 s, 2 s … up to 30 s while each next process ends before
    it has lived for 10 s. A quarter of that is left to chance, so that processes which die together
    do not keep starting together.

    Args:
        chance: gives numbers from 0 to 1.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._early_deaths = 0

    def delay_s(self, lived_s: float) -> float:
        """Seconds to wait, now that a process has ended that lived this long."""
        if lived_s >= HEALTHY_AFTER_S:
            self._early_deaths = 0
        deaths, self._early_deaths = self._early_deaths, self._early_deaths + 1
        if deaths == 0:
            return 0.0
        # The exponent is bounded, since a float is.
        full = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(deaths - 1, 30))
        return full * (1 - self._chance() / 4)


class _Death(NamedTuple):
    spawn: int
    at: float


class Deaths:
    """The spawns that died and whose jobs may not have been taken back yet.

    A death is told to all that live, and to each that is born until one that was told has lived for
    10 s since. The latest 256 are remembered; what is forgotten too early waits for its lease.
    """

    def __init__(self) -> None:
        self._deaths: deque[_Death] = deque(maxlen=MOST_REMEMBERED)

    def add(self, spawn: int, now: float) -> None:
        """Remembers that this spawn has died."""
        self._deaths.append(_Death(spawn, now))

    def to_tell(self, births: Iterable[float], now: float) -> tuple[int, ...]:
        """Of which deaths a process that begins now is to be told, if those that live were born at
        these times.
        """
        born_first = min(births, default=now)
        told_in_time = now - HEALTHY_AFTER_S
        for death in list(self._deaths):
            if max(death.at, born_first) <= told_in_time:
                self._deaths.remove(death)
        return tuple(death.spawn for death in self._deaths)
