"""Signals that a single thread waits for, with a time-out."""

from __future__ import annotations

import select
import signal
import socket
from collections import deque
from types import FrameType, TracebackType
from typing import Self


class Signals:
    """While entered, these signals do nothing but end a `wait()`. Only in the main thread.

    A byte in a pair of sockets ends the wait, so that a signal which comes just before it is not
    slept over.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers
        self._came: deque[int] = deque()

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in self._numbers}
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._before_fd)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float | None) -> list[signal.Signals]:
        """The signals that came since the last call, in their order; without any, waits for one
        this long, for ever if None.
        """
        if not self._came:
            select.select([self._reader], [], [], seconds)
        self._drain()
        came = []
        while self._came:
            came.append(signal.Signals(self._came.popleft()))
        return came

    def _drain(self) -> None:
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _note(self, number: int, _: FrameType | None) -> None:
        self._came.append(number)
