"""Waits that have a deadline and say what they waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

T = TypeVar("T")

POLL_S = 0.005


class Deadline:
    """A span of time that several waits share.

    deadline = Deadline(10)
    deadline.event(started, "the first job has started")
    deadline.until(lambda: queue.stats().workers == [], "the worker is gone")
    """

    def __init__(self, timeout: float = 10.0) -> None:
        self._timeout_s = timeout
        self._end = time.monotonic() + timeout

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; 0 after it."""
        return max(0.0, self._end - time.monotonic())

    def until(self, predicate: Callable[[], T], what: str) -> T:
        """The first true value of `predicate`, asked every 5 ms, once at least."""
        while True:
            value = predicate()
            if value:
                return value
            if not self.left_s:
                raise self._missed(what)
            time.sleep(POLL_S)

    def event(self, event: threading.Event, what: str) -> None:
        """Return as soon as `event` is set."""
        if not event.wait(self.left_s):
            raise self._missed(what)

    def _missed(self, what: str) -> AssertionError:
        return AssertionError(f"awaited for {self._timeout_s:g} s in vain: {what}")


def wait_until(predicate: Callable[[], T], what: str, timeout: float = 10.0) -> T:
    """The first true value of `predicate`, asked every 5 ms; fails naming `what` it waited for."""
    return Deadline(timeout).until(predicate, what)


def wait_for_event(event: threading.Event, what: str, timeout: float = 10.0) -> None:
    """Return as soon as `event` is set; fails naming `what` it waited for."""
    Deadline(timeout).event(event, what)
