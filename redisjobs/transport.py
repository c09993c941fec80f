"""Lines that threads share: an operation is driven over one of them, again after reconnecting where
that does no harm.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from tenacity import Retrying

from redisjobs.address import Address
from redisjobs.generation import generation
from redisjobs.job import Job
from redisjobs.line import Line, drive
from redisjobs.operations.library import Library, standard
from redisjobs.operations.operation import Operation
from redisjobs.patience import TIMEOUT_S, LineError, Patience
from redisjobs.waiting import Ask, Hear, Listen, Pause, Step, Waiting

T = TypeVar("T")


class Lines:
    """Lines that any number of threads share, each for one operation at a time; also across a
    fork.

    Args:
        server: a `redis.Redis`, or the address of any client's server.
    """

    def __init__(
        self, server: Any, library: Library | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.address = server if isinstance(server, Address) else Address(server)
        self._library = library or standard()
        self._timeout_s = timeout_s
        self._idle: deque[Line] = deque()
        self._generation = generation()

    def new_line(self, timeout_s: float) -> Line:
        """A line for one thread alone."""
        return Line(self.address, self._library, timeout_s)

    def _take(self) -> Line:
        if self._generation != generation():
            self._generation, self._idle = generation(), deque()
        try:
            return self._idle.pop()
        except IndexError:
            return self.new_line(self._timeout_s)

    def run_once(self, operation: Operation[T]) -> T:
        """Carries an operation out, once."""
        line = self._take()
        line.freshen()
        try:
            return drive(operation, line)
        finally:
            if line.is_open:
                self._idle.append(line)

    def run(self, make: Callable[[], Operation[T]], *, repeatable: bool = True) -> T:
        """Carries an operation out, and again where that does no harm, until it succeeds or
        patience ends.

        Args:
            make: makes the operation; called once for each try.
            repeatable: whether a try that may have been carried out may be repeated.

        Raises:
            QueueUnavailableError: the server could not be reached.
        """
        patience = Patience(repeatable=repeatable)
        try:
            return self.run_once(make())
        except LineError as err:
            if not patience.tries_again_after(err) or patience.is_over():
                raise patience.explained(err) from None
        try:
            return Retrying(**patience.terms())(lambda: self.run_once(make()))
        except LineError as err:
            raise patience.explained(err) from None

    def wait(self, steps: Waiting, longest_s: float) -> Job:
        """Waits for the end of a job, on connections of its own: one listens, one asks. Neither
        waits for a reply for longer than this.
        """
        limit_s = min(self._timeout_s, longest_s)
        ears, line = self.new_line(limit_s), self.new_line(limit_s)
        try:
            step = next(steps)
            while True:
                try:
                    answer = _done(step, ears, line)
                except LineError as err:
                    step = steps.throw(err)
                else:
                    step = steps.send(answer)
        except StopIteration as end:
            job: Job = end.value
            return job
        finally:
            ears.close()
            line.close()

    def close(self) -> None:
        """Closes the idle connections."""
        while self._idle:
            self._idle.pop().close()


def _done(step: Step, ears: Line, line: Line) -> Any:
    match step:
        case Ask(operation):
            return drive(operation, line)
        case Listen(channel):
            return ears.listen(channel)
        case Hear(seconds):
            return ears.heard(seconds)
        case Pause(seconds):
            return time.sleep(seconds)
