"""Hears the ends of jobs for all tasks of one event loop that wait for some: one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from redisjobs.async_line import AsyncLine
from redisjobs.errors import RedisJobsError
from redisjobs.patience import LineError

_CONFIRMED = b"subscribe"
_MESSAGE = b"message"


class Inbox:
    """What one task has not heard yet: messages, the server's word that a channel is heard (None),
    or why no more will come.
    """

    def __init__(self) -> None:
        self.channel = b""
        self._said: asyncio.Queue[bytes | RedisJobsError | None] = asyncio.Queue()

    def put(self, said: bytes | RedisJobsError | None) -> None:
        """Leaves it for the task."""
        self._said.put_nowait(said)

    def clear(self) -> None:
        """Forgets what was not heard."""
        while not self._said.empty():
            self._said.get_nowait()

    async def heard(self, seconds: float | None = None) -> bytes | None:
        """What is said next; None, if it is no message or the time is over.

        Raises:
            LineError: the connection broke.
        """
        try:
            async with asyncio.timeout(seconds):
                said = await self._said.get()
        except TimeoutError:
            return None
        if isinstance(said, RedisJobsError):
            raise said
        return said


class Listener:
    """Of one event loop. Its connection stands while somebody listens; only its own task reads from
    it, so a listener that is cancelled leaves nothing half read.
    """

    def __init__(self, new_line: Callable[[], AsyncLine]) -> None:
        self._new_line = new_line
        self._line: AsyncLine | None = None
        self._reader: asyncio.Task[None] | None = None
        self._inboxes: dict[bytes, list[Inbox]] = {}
        self._opening = asyncio.Lock()

    @contextmanager
    def inbox(self) -> Iterator[Inbox]:
        """A place for what one task hears, until the block is left."""
        inbox = Inbox()
        try:
            yield inbox
        finally:
            self._leave(inbox)
            if not self._inboxes and not self._opening.locked():
                self._close()

    async def subscribe(self, channel: bytes, inbox: Inbox) -> None:
        """Returns when what is said on this channel from now on goes to the inbox.

        Raises:
            LineError: the connection cannot be opened, or breaks.
        """
        self._leave(inbox)
        inbox.clear()
        async with self._opening:
            line = await self._opened()
        inbox.channel = channel
        self._inboxes.setdefault(channel, []).append(inbox)
        line.post(b"SUBSCRIBE", channel)
        try:
            async with asyncio.timeout(line.timeout_s):
                while await inbox.heard() is not None:
                    pass  # an end that is told by now is seen by the look that follows
        except TimeoutError:
            silent = line.silent()
            self._broken(line, silent)
            raise silent from None

    async def _opened(self) -> AsyncLine:
        if self._line is None:
            line = self._new_line()
            await line.begin_listening()
            self._line, self._reader = line, asyncio.create_task(self._read(line))
        return self._line

    def _leave(self, inbox: Inbox) -> None:
        inboxes = self._inboxes.get(inbox.channel, [])
        if inbox in inboxes:
            inboxes.remove(inbox)
            if not inboxes:
                del self._inboxes[inbox.channel]
                if self._line is not None:
                    with suppress(LineError):
                        self._line.post(b"UNSUBSCRIBE", inbox.channel)

    def _close(self) -> None:
        line, self._line = self._line, None
        reader, self._reader = self._reader, None
        if line is not None:
            line.close()
        if reader is not None and reader is not asyncio.current_task():
            reader.cancel()

    async def _read(self, line: AsyncLine) -> None:
        try:
            while True:
                kind, channel, said = await line.message()
                if kind in (_CONFIRMED, _MESSAGE):
                    for inbox in self._inboxes.get(bytes(channel), ()):
                        inbox.put(None if kind == _CONFIRMED else bytes(said))
        except RedisJobsError as err:
            self._broken(line, err)
        except BaseException:
            # Such as a cancellation of all tasks of the loop, which somebody does to clean up.
            self._broken(line, line.silent())
            raise

    def _broken(self, line: AsyncLine, err: RedisJobsError) -> None:
        if self._line is not line:
            return
        self._close()
        for inboxes in self._inboxes.values():
            for inbox in inboxes:
                inbox.put(err)
