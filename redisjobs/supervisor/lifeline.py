"""A child's end of the pair of sockets: who it is, which siblings died, and when to stop."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator

from redisjobs.supervisor.protocol import Birth, News, failure_line, read_birth, read_news, say
from redisjobs.worker.worker import Parentage, Worker

_exit_at_once = os._exit

_LOGGER = logging.getLogger("redisjobs.supervisor")


class Lifeline:
    """Minds the supervisor's words on a thread of its own, from construction on.

    Until the worker is there, a word to stop, and the supervisor's end, end this process at once:
    nothing was begun. Later they stop the worker gracefully.

    Args:
        descriptor: the file descriptor of this end.
    """

    def __init__(self, descriptor: int) -> None:
        # Processes that handlers start have no business with it.
        os.set_inheritable(descriptor, False)
        self._socket = socket.socket(fileno=descriptor)
        self._lines = self._read_lines()
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._birth = self._read_birth()
        self._dead = list(self._birth.dead)
        threading.Thread(target=self._listen, name="redisjobs-lifeline", daemon=True).start()

    def _read_lines(self) -> Iterator[bytes]:
        # Not by a file object, whose lock a daemon thread would hold at the interpreter's end.
        rest = b""
        while part := self._socket.recv(4096):
            *lines, rest = (rest + part).split(b"\n")
            yield from lines

    def _read_birth(self) -> Birth:
        line = next(self._lines, None)
        if line is None:
            self._socket.close()
            raise SystemExit(0)  # the supervisor is gone already
        return read_birth(line)

    def hand_over(self, worker: Worker) -> Parentage:
        """From now on this worker hears what comes. What came until now is returned."""
        with self._lock:
            self._worker = worker
            self._say(say(running=True))
            return Parentage(self._birth.supervisor, self._birth.spawn, tuple(self._dead))

    def fail(self, reason: str) -> None:
        """Tells the supervisor why this child cannot run."""
        self._say(failure_line(reason))

    def _say(self, line: bytes) -> None:
        with contextlib.suppress(OSError):  # it is gone, or will be told by the exit code
            self._socket.send(line, socket.MSG_DONTWAIT)

    def _listen(self) -> None:
        try:
            with contextlib.suppress(OSError):  # so it ends where the other end had not read all
                for line in self._lines:
                    self._heed(read_news(line))
        except Exception:
            self._stop()
            _LOGGER.exception("the supervisor cannot be understood: this worker stops")
        else:
            self._stop()
            _LOGGER.warning("the supervisor is gone: this worker stops when its jobs have ended")
        finally:
            self._socket.close()

    def _heed(self, news: News) -> None:
        for spawn in news.dead:
            self._on_death(spawn)
        if news.stop:
            self._stop()
            _LOGGER.debug("the supervisor stops this worker")

    def _on_death(self, spawn: int) -> None:
        with self._lock:
            if self._worker is None:
                self._dead.append(spawn)
            else:
                self._worker.sibling_died(self._birth.supervisor, spawn)

    def _stop(self) -> None:
        with self._lock:
            if self._worker is None:
                _exit_at_once(0)
            else:
                self._worker.stop()
