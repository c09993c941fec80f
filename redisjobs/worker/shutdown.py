"""The stages of a shutdown: asked for; its time is over; all is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# How long handlers may take to heed the cancellation of their contexts, and Redis to hear of it.
GRACE_S = 1.0


class Shutdown:
    """Asked for from any thread, once; the later requests change nothing.

    Args:
        timeout_s: how long running handlers may go on.
        on_request: called when it is asked for.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._requested_at: float | None = None
        self._event = threading.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def requested(self) -> bool:
        """Whether the worker is to stop."""
        return self._requested_at is not None

    def allow(self, timeout_s: float) -> None:
        """Has running handlers go on for this long."""
        self._timeout_s = timeout_s

    def request(self) -> None:
        """Asks for it. Safe in a signal handler."""
        if self._requested_at is None:
            self._requested_at = time.monotonic()
        self._event.set()
        for listener in tuple(self._listeners):
            listener()

    def on_request(self, listener: Callable[[], None]) -> None:
        """Has `listener` called when it is asked for, also if it was already."""
        self._listeners.append(listener)
        if self.requested:
            listener()

    def off_request(self, listener: Callable[[], None]) -> None:
        """Has `listener` called no more."""
        self._listeners.remove(listener)

    def wait(self, seconds: float | None = None) -> bool:
        """Blocks until it is asked for. Returns whether it was."""
        return self._event.wait(seconds)

    def pause(self, seconds: float) -> None:
        """Sleeps, but not on when the worker is asked to stop or the next stage has come."""
        if self.requested:
            time.sleep(min(seconds, max(0.0, self.next_stage_in())))
        else:
            self._event.wait(seconds)

    def _seconds_since(self) -> float:
        return 0.0 if self._requested_at is None else time.monotonic() - self._requested_at

    def handlers_time_is_over(self) -> bool:
        """Whether what still runs is to be cancelled."""
        return self.requested and self._seconds_since() >= self._timeout_s

    def is_over(self) -> bool:
        """Whether what still runs is to be given back and left behind."""
        return self.requested and self._seconds_since() >= self._timeout_s + GRACE_S

    def next_stage_in(self) -> float:
        """Seconds until the next of these."""
        if not self.requested:
            return float("inf")
        since = self._seconds_since()
        return (self._timeout_s if since < self._timeout_s else self._timeout_s + GRACE_S) - since
