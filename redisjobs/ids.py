"""Ids for jobs that were given none: time-ordered, and distinct across processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Lock

_COUNTER_BITS = 56


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class IdSource:
    """Makes ids of 25 hex digits: milliseconds since the epoch, then a counter from random bits on.

    Each id is greater than all before it, also while the clock stands still or steps back.
    """

    def __init__(
        self,
        now_ms: Callable[[], int] = _wall_clock_ms,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._now_ms = now_ms
        self._random_bytes = random_bytes
        self._last = 0
        self.reseed()

    def reseed(self) -> None:
        """Starts at other random bits: a forked child must not go on where its parent does."""
        self._lock = Lock()  # a thread that is gone after the fork may have held the old one
        self._counter = int.from_bytes(self._random_bytes(_COUNTER_BITS // 8))
        if self._last:  # not a step of the parent's, which may stand still at `_last`, too
            self._last = ((self._last >> _COUNTER_BITS) + 1 << _COUNTER_BITS) | self._counter

    def next(self) -> str:
        """The next id."""
        with self._lock:
            self._counter = (self._counter + 1) % (1 << _COUNTER_BITS)
            fresh = (self._now_ms() << _COUNTER_BITS) | self._counter
            self._last = max(self._last + 1, fresh)
            return f"{self._last:025x}"


_source = IdSource()
os.register_at_fork(after_in_child=_source.reseed)
new_id = _source.next
