"""Ids for jobs that were given none: time-ordered, and distinct across processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Lock

_COUNTER_BITS = 56
# In the order in which their bytes sort.
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
# The last two digits of an id: they change with every id, the others once a millisecond or so.
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_HEAD_LENGTH = 18


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class IdSource:
    """Makes ids of 20 digits to the base of 32: milliseconds since the epoch, then a counter from
    random bits on. They are short, since Redis holds two copies of one for a job that waits.

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
        self._head, self._head_text = 0, ""
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
            head = self._last >> 10
            if head != self._head or not self._head_text:
                self._head, self._head_text = head, _text(head)
            return self._head_text + _PAIRS[self._last & 1023]


def _text(head: int) -> str:
    return "".join(_DIGITS[head >> shift & 31] for shift in range(5 * (_HEAD_LENGTH - 1), -1, -5))


_source = IdSource()
os.register_at_fork(after_in_child=_source.reseed)
new_id = _source.next
