"""The errors of this package. All are `RedisJobsError`s."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redisjobs.job import Job
    from redisjobs.states import Status

NAMED_IDS = 10


class RedisJobsError(Exception):
    """The root of all errors that this package raises on purpose.

    Attributes:
        stored: where `enqueue_many` raises it, how many jobs of the iterable were stored before it.
    """

    stored: int | None = None

    def __str__(self) -> str:
        if self.stored is None:
            return self._message()
        return f"{self._message()} ({self.stored:,} jobs of this enqueue_many were stored before)"

    def _message(self) -> str:
        return super().__str__()


class InvalidJobError(RedisJobsError, ValueError):
    """A job that cannot be: a blank id, a naive datetime, a payload that is not bytes."""


class JobExistsError(RedisJobsError):
    """Jobs with these ids are there already. Nothing was written.

    Attributes:
        ids: all of them, in the order of the call; after a lost reply the first 100.
        queue: the queue's name, or None.
    """

    def __init__(self, ids: Iterable[str], queue: str | None = None) -> None:
        self.ids = tuple(ids)
        self.queue = queue
        super().__init__(self.ids, queue)

    def _message(self) -> str:
        named = ", ".join(repr(name) for name in self.ids[:NAMED_IDS])
        more = len(self.ids) - NAMED_IDS
        if more > 0:
            named += f" and {more:,} more"
        where = "" if self.queue is None else f" in queue {self.queue!r}"
        if len(self.ids) == 1:
            return (
                f"job {named} exists already{where}; nothing was written: use another id, or"
                " delete it"
            )
        return (
            f"jobs {named} exist already{where}; nothing was written: use other ids, or delete them"
        )


class KindExistsError(RedisJobsError):
    """The kind has a handler already."""


class UnknownKindError(RedisJobsError):
    """No handler is registered for the kind."""


class LockLostError(RedisJobsError):
    """The worker does not hold the job any more. What it did for it is not recorded."""


class JobNotFoundError(RedisJobsError):
    """No such job is stored."""


class JobNotEndedError(RedisJobsError):
    """A result was asked of a job that waits or runs."""


class JobFailedError(RedisJobsError):
    """A result was asked of a job that ended without one: FAILED, PANIC or CANCELLED.

    Attributes:
        job: as it ended.
        status: how it ended.
        remote_error: what the worker wrote down, the job's `last_error`; None if it never ran.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.status: Status = job.status
        self.remote_error = job.last_error
        super().__init__(job)

    def _message(self) -> str:
        why = f": {self.remote_error}" if self.remote_error else ""
        return (
            f"job {self.job.id!r} ({self.job.kind}) ended as {self.status} and has no result{why}"
        )


class QueueUnavailableError(RedisJobsError):
    """Redis cannot be reached."""


class NotReplicatedError(QueueUnavailableError):
    """Jobs are stored, but fewer replicas than `min_replicas` had them in time. They will run
    unless the primary is lost before it has passed them on.

    Attributes:
        ids: the jobs.
        replicas: how many had them.
    """

    def __init__(
        self, ids: Iterable[str], queue: str, replicas: int, wanted: int, timeout_s: float
    ) -> None:
        self.ids = tuple(ids)
        self.replicas = replicas
        self._facts = queue, wanted, timeout_s
        super().__init__(self.ids, queue, replicas, wanted, timeout_s)

    def _message(self) -> str:
        queue, wanted, timeout_s = self._facts
        named = ", ".join(repr(name) for name in self.ids[:NAMED_IDS])
        more = len(self.ids) - NAMED_IDS
        if more > 0:
            named += f" and {more:,} more"
        jobs = f"job {named} is" if len(self.ids) == 1 else f"jobs {named} are"
        return (
            f"{jobs} stored in queue {queue!r}, but only {self.replicas} of {wanted} replicas had"
            f" them within {timeout_s:g} s: a loss of the primary could take them back; to be"
            " certain enqueue them again under the same ids: JobExistsError says they are there"
        )


class QueueFullError(RedisJobsError):
    """The server is at its `maxmemory` and takes no more jobs."""


class ConfigurationError(RedisJobsError, ValueError):
    """What cannot be worked with: a queue's name, a URL, a client, a handler, an old server."""


class IncompatibleQueueError(RedisJobsError):
    """The queue holds data of a newer release."""


class EmbeddedServerError(RedisJobsError):
    """The embedded server cannot be found or started."""


def message_of(err: BaseException) -> str:
    """What an exception says, or the name of its type where it says nothing."""
    try:
        return str(err).strip() or type(err).__name__
    except BaseException as broken:  # noqa: BLE001 - a user's __str__ may raise anything at all
        return f"its message cannot be read: {type(broken).__name__}"
