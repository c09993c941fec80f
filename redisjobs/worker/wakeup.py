"""Wakes the one thread that sleeps on sockets."""

from __future__ import annotations

import contextlib
import os
import weakref


class Wakeup:
    """A pipe to itself. `armed` is true while the sleeper wants to be woken, so that others need
    not write for nothing.

    The pipe is closed when nobody can ring any more, not before: a handler that was left behind
    would write into whatever has its number by then.
    """

    def __init__(self) -> None:
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        os.set_blocking(self._write_end, False)
        closing = weakref.finalize(self, _close, self._read_end, self._write_end)
        closing.atexit = False  # the process's end closes it anyway
        self.armed = False

    def fileno(self) -> int:
        """What the sleeper waits on."""
        return self._read_end

    def wake(self) -> None:
        """Wakes the sleeper, or lets its next sleep end at once. Safe in signal handlers."""
        self.armed = False
        with contextlib.suppress(BlockingIOError):  # full: it will wake
            os.write(self._write_end, b"\0")

    def drain(self) -> None:
        """The sleeper is awake."""
        self.armed = False
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._read_end, 512)) == 512:
                pass


def _close(*ends: int) -> None:
    for end in ends:
        os.close(end)
