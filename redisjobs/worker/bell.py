"""Sleeping until a job may be due: a blocking pop that is left pending, on a connection of its
own.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Sequence

from redisjobs.line import Line
from redisjobs.worker.wakeup import Wakeup


class Bell:
    """The tokens of a worker's kinds. Without a real socket (fakeredis) it never rings, and polling
    has to do.
    """

    def __init__(self, line: Line, wakeup: Wakeup) -> None:
        self._line = line
        self._wakeup = wakeup
        self._keys: tuple[bytes, ...] = ()
        self._socket: int | None = None

    @property
    def pending(self) -> bool:
        """Whether a pop is under way: a token may still come, also if it is not wanted any more."""
        return self._socket is not None

    def listen(self, keys: Sequence[bytes]) -> None:
        """Has a pop of these bells under way.

        Raises:
            LineError: the server cannot be reached.
        """
        wanted = tuple(keys)
        if self._socket is not None and wanted != self._keys:
            # A pending pop cannot be changed. A token that it takes from now on is lost with it:
            # polling makes up for it.
            self.close()
        if self._socket is None and wanted:
            self._socket = self._line.begin_pop(wanted)
            self._keys = wanted

    def sleep(self, seconds: float) -> bool:
        """Sleeps until the bell rings, the wakeup does, or the time is over. Returns whether it was
        the bell: `token` tells which.

        The time is the client's: a blocking command's own ends on the server's timer, up to 100 ms
        late.
        """
        sockets = [self._wakeup.fileno()]
        if self._socket is not None:
            sockets.append(self._socket)
        readable = _wait(sockets, seconds)
        if self._wakeup.fileno() in readable:
            self._wakeup.drain()
        return self._socket is not None and self._socket in readable

    def token(self) -> bytes | None:
        """After the bell rang: the bell whose token came, or None if none did.

        Raises:
            LineError: the connection broke.
        """
        if not self._line.has_reply():
            return None
        self._socket = None
        return self._line.end_pop()

    def close(self) -> None:
        """Gives up the pending pop."""
        self._socket = None
        self._line.close()


def _wait(sockets: Sequence[int], seconds: float) -> set[int]:
    """Waits until one is readable. poll() counts whole milliseconds, so the last fraction is
    select()'s, which takes only low numbers: where one is too high, the wait ends up to a
    millisecond late.
    """
    deadline = time.monotonic() + seconds
    exact = max(sockets) < 1024
    whole_ms = math.floor(seconds * 1000) if exact else math.ceil(seconds * 1000)
    if whole_ms > 1 or not exact:
        poll = select.poll()
        for socket in sockets:
            poll.register(socket, select.POLLIN)
        ready = {socket for socket, _ in poll.poll(max(0, whole_ms - 1 if exact else whole_ms))}
        if ready or not exact:
            return ready
    return set(select.select(sockets, [], [], max(0.0, deadline - time.monotonic()))[0])
