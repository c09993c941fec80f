"""Lines that the tasks of an event loop share: `transport.Lines`' counterpart."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tenacity import AsyncRetrying

from redisjobs.address import Address
from redisjobs.async_line import AsyncLine, drive
from redisjobs.async_listening import Inbox, Listener
from redisjobs.generation import generation
from redisjobs.job import Job
from redisjobs.operations.library import Library, standard
from redisjobs.operations.operation import Operation
from redisjobs.patience import TIMEOUT_S, LineError, Patience
from redisjobs.waiting import Ask, Hear, Listen, Pause, Step, Waiting

T = TypeVar("T")

# How many connections one event loop has open for calls; more calls at once wait for one of them.
MOST_LINES = 64
# What parents of this process had when they forked.
_of_parents: list[object] = []


class _OfLoop:
    """What one event loop has: its idle lines, how many calls may be under way, and who listens."""

    def __init__(self, listener: Listener) -> None:
        self.idle: deque[AsyncLine] = deque()
        self.slots = asyncio.Semaphore(MOST_LINES)
        self.listener = listener


class AsyncLines:
    """Lines that any number of tasks share, each for one operation at a time; each event loop has
    its own.

    Args:
        server: the address of a `redis.asyncio.Redis`'s server.
    """

    def __init__(
        self, address: Address, library: Library | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.address = address
        self._library = library or standard()
        self._timeout_s = timeout_s
        self._of_loops: dict[asyncio.AbstractEventLoop, _OfLoop] = {}
        self._generation = generation()

    def new_line(self, timeout_s: float) -> AsyncLine:
        """A line for one task alone."""
        return AsyncLine(self.address, self._library, timeout_s)

    def _of_this_loop(self) -> _OfLoop:
        if self._generation != generation():
            # Not dropped: to close them would take them out of the parent's loop, which shares its
            # list of what to wait for with this process.
            _of_parents.append(self._of_loops)
            self._generation, self._of_loops = generation(), {}
        loop = asyncio.get_running_loop()
        mine = self._of_loops.get(loop)
        if mine is None:
            for other in [other for other in list(self._of_loops) if other.is_closed()]:
                self._of_loops.pop(other, None)
            mine = self._of_loops[loop] = _OfLoop(Listener(lambda: self.new_line(self._timeout_s)))
        return mine

    async def run_once(self, operation: Operation[T]) -> T:
        """Carries an operation out, once."""
        mine = self._of_this_loop()
        async with mine.slots:
            line = mine.idle.pop() if mine.idle else self.new_line(self._timeout_s)
            line.freshen()
            try:
                return await drive(operation, line)
            finally:
                if line.is_open:
                    mine.idle.append(line)

    async def run(self, make: Callable[[], Operation[T]], *, repeatable: bool = True) -> T:
        """As `Lines.run`, awaited.

        Raises:
            QueueUnavailableError: the server could not be reached.
        """
        patience = Patience(repeatable=repeatable)
        try:
            return await self.run_once(make())
        except LineError as err:
            if not patience.tries_again_after(err) or patience.is_over():
                raise patience.explained(err) from None

        async def try_again() -> T:
            return await self.run_once(make())

        try:
            return await AsyncRetrying(**patience.terms())(try_again)
        except LineError as err:
            raise patience.explained(err) from None

    async def wait(self, steps: Waiting, longest_s: float) -> Job:
        """Waits for the end of a job. All waits of a loop share one connection that listens. No
        call takes longer than this.
        """
        listener = self._of_this_loop().listener
        with listener.inbox() as inbox:
            try:
                step = next(steps)
                while True:
                    try:
                        answer = await self._do(step, listener, inbox, longest_s)
                    except LineError as err:
                        step = steps.throw(err)
                    else:
                        step = steps.send(answer)
            except StopIteration as end:
                job: Job = end.value
                return job

    async def _do(self, step: Step, listener: Listener, inbox: Inbox, longest_s: float) -> Any:
        match step:
            case Ask(operation):
                return await self._in_time(self.run_once(operation), longest_s)
            case Listen(channel):
                return await self._in_time(listener.subscribe(channel, inbox), longest_s)
            case Hear(seconds):
                return await inbox.heard(seconds)
            case Pause(seconds):
                return await asyncio.sleep(seconds)

    async def _in_time(self, call: Coroutine[Any, Any, T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await call
        except TimeoutError as err:
            raise self.address.unavailable(err, sent=True) from None

    async def close(self) -> None:
        """Closes this loop's idle connections."""
        mine = self._of_this_loop()
        while mine.idle:
            await mine.idle.pop().wait_closed()
