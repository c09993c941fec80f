"""How a call waits for the end of a job, the same for every driver. Pure: it yields what is to be
done and is handed the time.

It listens first and looks then, so that an end between the two is heard. It looks again now and
then: a message can be lost with a failover, and what settles is to publish only for waits that are
alive.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any, NamedTuple, TypeAlias

from redisjobs.errors import ConfigurationError, JobNotFoundError
from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.operations.one_job import get
from redisjobs.operations.operation import Operation
from redisjobs.operations.wait import DELETED, Sight, look
from redisjobs.patience import LineError
from redisjobs.states import STATE_OF_LETTER, Status

LOOK_EVERY_S = 15.0
# An end is published for this long after a look.
_KEEP_MS = 40_000
_SHORTEST_CALL_S = 1.0
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0


class Listen(NamedTuple):
    """Hear this channel from now on, over a new connection."""

    channel: bytes


class Hear(NamedTuple):
    """Wait for what is said on it: bytes, or None when the time is over."""

    seconds: float


class Ask(NamedTuple):
    """Carry an operation out, once."""

    operation: Operation[Any]


class Pause(NamedTuple):
    """Let time pass."""

    seconds: float


Step: TypeAlias = Listen | Hear | Ask | Pause
# A step that fails is answered with the LineError, thrown.
Waiting: TypeAlias = Generator[Step, Any, Job]


def waiting(
    keys: Keys, id: str, timeout: float | timedelta | None, clock: Callable[[], float]
) -> Waiting:
    """Returns the job when it has ended.

    Raises:
        ConfigurationError: the timeout is no time.
        TimeoutError: it has not ended in time, or Redis was away at the end of it.
        JobNotFoundError: there is no such job (any more).
    """
    timeout_s = _seconds(timeout)
    deadline = clock() + timeout_s
    failure: LineError | None = None
    pause_s = _SHORTEST_PAUSE_S
    while True:
        try:
            yield Listen(keys.end_of(id))
            while True:
                job = yield from _look(keys, id)
                failure, pause_s = None, _SHORTEST_PAUSE_S
                if job is not None:
                    return job
                job = yield from _hear(keys, id, _left(deadline, clock))
                if job is not None:
                    return job
                if _left(deadline, clock) <= 0:
                    raise _late(id, timeout_s, None)
        except LineError as err:
            failure = err
        if _left(deadline, clock) <= 0:
            raise _late(id, timeout_s, failure)
        yield Pause(min(pause_s * random.uniform(0.5, 1.0), _left(deadline, clock)))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def longest_call_s(timeout: float | timedelta | None) -> float:
    """How long one call of such a wait may take: a Redis that hangs must not make it much longer,
    nor a short one too short for a round trip.
    """
    return max(_SHORTEST_CALL_S, _seconds(timeout))


def _seconds(timeout: object) -> float:
    if timeout is None:
        return math.inf
    if isinstance(timeout, timedelta):
        timeout = timeout.total_seconds()
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or math.isnan(timeout):
        raise ConfigurationError(f"timeout must be seconds, a timedelta or None, not {timeout!r}")
    return float(timeout)


def _left(deadline: float, clock: Callable[[], float]) -> float:
    return max(0.0, deadline - clock())


def _look(keys: Keys, id: str) -> Generator[Step, Any, Job | None]:
    while True:
        sight: Sight = yield Ask(look(keys, id, _KEEP_MS))
        if sight is Sight.WAITS:
            return None
        job: Job | None = None
        if sight is Sight.ENDED:
            job = yield Ask(get(keys, id))
        if job is None:
            raise JobNotFoundError(
                f"job {id!r} is not in queue {keys.name!r}: it was never enqueued, was deleted, or"
                " has ended and its record is not kept any more"
            )
        if job.status is not Status.PENDING:
            return job
        # Somebody has it tried again since the look.


def _hear(keys: Keys, id: str, left_s: float) -> Generator[Step, Any, Job | None]:
    said: bytes | None = yield Hear(min(LOOK_EVERY_S, left_s))
    if said is None:
        return None
    if said == DELETED:
        raise JobNotFoundError(f"job {id!r} was deleted from queue {keys.name!r}")
    job: Job | None = yield Ask(get(keys, id))
    if job is None:
        raise JobNotFoundError(
            f"job {id!r} has ended as {STATE_OF_LETTER[said].status}, and queue {keys.name!r} keeps"
            " no record of it (retention)"
        )
    return None if job.status is Status.PENDING else job


def _late(id: str, timeout_s: float, failure: LineError | None) -> TimeoutError:
    why = "" if failure is None else f"; {failure}"
    return TimeoutError(f"job {id!r} has not ended within {timeout_s:g} s{why}")
