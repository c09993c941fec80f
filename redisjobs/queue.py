"""The queue as services see it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypedDict, Unpack

from redisjobs.address import client_from_url
from redisjobs.errors import InvalidJobError, JobExistsError, RedisJobsError
from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.limits import MAX_JOBS_PER_CALL, normalise_id
from redisjobs.operations import one_job
from redisjobs.operations.enqueue import enqueue
from redisjobs.producers import Lanes, Ticket
from redisjobs.record import EncodedJob, encode_job
from redisjobs.settings import (
    FAILED_LIMIT,
    FAILED_RETENTION,
    MAX_PAYLOAD,
    MAX_RESULT,
    RETENTION,
    RETENTION_LIMIT,
    QueueSettings,
)
from redisjobs.transport import Lines

if TYPE_CHECKING:
    import redis

    from redisjobs.context import Context
    from redisjobs.operations.inspect import CheckReport, Stats
    from redisjobs.operations.listing import JobPage


# What one call may carry: the server is held while it runs, and buffers all of it.
MAX_CALL_BYTES = 64 * 2**20


class Enqueued(NamedTuple):
    """What an enqueue call stored."""

    created: tuple[str, ...]


class QueueKeywords(TypedDict, total=False):
    """The settings of a queue, as `RedisQueue` takes them."""

    retention: float | timedelta
    retention_limit: int
    failed_retention: float | timedelta
    failed_limit: int
    max_payload: int
    max_result: int


class JobQueue(Protocol):
    """What a worker needs of a queue. Any object with these two methods will do."""

    def enqueue(self, *jobs: Job) -> Any:
        """Stores all of these jobs, or none."""

    def dequeue(self, kinds: Sequence[str], fn: Callable[[Context, Job], Job]) -> bool:
        """Takes one ready job, keeps it locked while `fn` runs, stores what `fn` returned. False if
        none was ready.
        """


class RedisQueue:
    """A queue of jobs in Redis. Threads may share it, and it outlives a fork.

    Args:
        client: a `redis.Redis` without `decode_responses`; only its connection settings are used.
        name: the namespace of the queue's keys.
        retention: seconds (or a timedelta) for which the record of a DONE job is kept; 0 keeps
            none.
        retention_limit: how many DONE records are kept for each kind.
        failed_retention: the same for FAILED, PANIC and CANCELLED jobs.
        failed_limit: how many of these are kept for each kind and status.
        max_payload: the largest payload that `enqueue` takes, in bytes.
        max_result: the largest result that a worker over this queue stores, in bytes.

    Raises:
        ConfigurationError: a setting, the name or the client cannot be used.
    """

    def __init__(
        self,
        client: redis.Redis,
        name: str = "default",
        *,
        retention: float | timedelta = RETENTION,
        retention_limit: int = RETENTION_LIMIT,
        failed_retention: float | timedelta = FAILED_RETENTION,
        failed_limit: int = FAILED_LIMIT,
        max_payload: int = MAX_PAYLOAD,
        max_result: int = MAX_RESULT,
    ) -> None:
        self.settings = QueueSettings.of(
            retention, retention_limit, failed_retention, failed_limit, max_payload, max_result
        )
        self.keys = Keys(name)
        self.lines = Lines(client)
        self._lanes = Lanes()

    @classmethod
    def from_url(cls, url: str, name: str = "default", **settings: Unpack[QueueKeywords]) -> Self:
        """A queue on the server at this URL: `redis://[[user]:password@]host:port/0`, `rediss://…`
        or `unix:///path`.

        Raises:
            ConfigurationError: the URL cannot be read, or a setting cannot be used.
        """
        return cls(client_from_url(url), name, **settings)

    @property
    def name(self) -> str:
        """The namespace of the queue's keys."""
        return self.keys.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} on {self.lines.address.name}>"

    def enqueue(self, *jobs: Job) -> Enqueued:
        """Stores all of these jobs, 1 to 10,000 of any kinds, or none. The Job objects are not
        changed.

        Raises:
            JobExistsError: some ids exist (`.ids`).
            InvalidJobError: a job that cannot be stored, an id twice, or too many in one call.
            QueueUnavailableError: Redis could not be reached.
            QueueFullError: Redis is at its memory limit.
        """
        if not jobs:
            return Enqueued(())
        lane = self._lanes.take()
        ticket = lane.next_ticket()
        encoded = _encode(jobs, ticket, self.settings.max_payload)
        try:
            self.lines.run(lambda: enqueue(self.keys, ticket.producer, ticket.number, encoded))
        except JobExistsError:
            self._lanes.put_back(lane)
            raise
        self._lanes.put_back(lane)
        return Enqueued(tuple(job.id for job in encoded))

    def enqueue_many(self, jobs: Iterable[Job], chunk: int = 1000) -> int:
        """Stores any number of jobs, `chunk` at a time, each chunk whole or not at all. Returns how
        many.

        Raises:
            RedisJobsError: as `enqueue`; its `stored` says how many jobs of the iterable were
                stored before it.
        """
        if not 1 <= chunk <= MAX_JOBS_PER_CALL:
            raise InvalidJobError(f"chunk must be from 1 to {MAX_JOBS_PER_CALL:,}, not {chunk}")
        stored = 0
        try:
            for part in _chunks(jobs, chunk):
                self.enqueue(*part)
                stored += len(part)
        except RedisJobsError as err:
            err.stored = stored
            raise
        except Exception as err:
            err.add_note(f"{stored:,} jobs of this enqueue_many were stored before")
            raise
        return stored

    def dequeue(self, kinds: Sequence[str], fn: Callable[[Context, Job], Job]) -> bool:
        """Takes one ready job of these kinds, keeps it locked until `fn(ctx, job)` returns, and
        stores what it returned.

        Returns False if none was ready. If `fn` raises, the job is given back and the error raised
        again.

        Raises:
            LockLostError: the lock was lost meanwhile; what `fn` returned was not stored.
        """
        from redisjobs.dequeue import Source, dequeue  # a producer has no use for it

        return dequeue(Source(self.keys, self.settings, self.lines), kinds, fn)

    def get(self, id: str) -> Job | None:
        """The job as it stands, or None if there is none or its record's time is over."""
        return self.lines.run(lambda: one_job.get(self.keys, normalise_id(id)))

    def cancel(self, id: str) -> bool:
        """Ends a waiting job as CANCELLED. False: none of this id waits, and nothing changed."""
        return self._once(one_job.cancel, id)

    def retry(self, id: str) -> bool:
        """Makes a FAILED, PANIC or CANCELLED job wait again, due now, as if it had never run.
        False: it is none of these.
        """
        return self._once(one_job.retry, id)

    def delete(self, id: str) -> bool:
        """Removes a job that waits or has ended. False: there is none, or it runs."""
        return self._once(one_job.delete, id)

    def _once(self, operation: Callable[[Keys, str], Any], id: str) -> bool:
        checked = normalise_id(id)
        return bool(self.lines.run(lambda: operation(self.keys, checked), repeatable=False))

    def jobs(
        self,
        *,
        status: str | None = None,
        kind: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> JobPage:
        """A page of up to `limit` jobs (1 to 1,000): those that run, those that wait, in the order
        in which they come due, then those that have ended, the latest first.

        What stays where it is, is on exactly one page, whatever ends or vanishes meanwhile. A page
        of large jobs stops after about 8 MiB.

        Args:
            status: a `Status`, or of those that are PENDING "running", "ready" or "scheduled".
            kind: None for all.
            limit: how many at most.
            after: the `after` of the page before; that of the last page is None.

        Raises:
            ConfigurationError: a status, limit or `after` that cannot be.
            InvalidJobError: no job can have that kind.
        """
        from redisjobs.operations import listing

        return self.lines.run(lambda: listing.list_jobs(self.keys, status, kind, limit, after))

    def stats(self) -> Stats:
        """How many jobs of each kind wait, run and have ended, and which workers there are."""
        from redisjobs.operations import inspect

        return self.lines.run(lambda: inspect.stats(self.keys))

    def check(self) -> CheckReport:
        """The broken invariants that stored data can show: an empty list when the queue is
        sound.
        """
        from redisjobs.operations import inspect

        return self.lines.run(lambda: inspect.check(self.keys))

    def close(self) -> None:
        """Closes the idle connections. The queue can still be used: it opens new ones."""
        self.lines.close()


def _encode(jobs: Sequence[Job], ticket: Ticket, max_payload: int) -> list[EncodedJob]:
    if len(jobs) > MAX_JOBS_PER_CALL:
        raise InvalidJobError(
            f"{len(jobs):,} jobs in one call: enqueue takes at most {MAX_JOBS_PER_CALL:,};"
            " use enqueue_many"
        )
    for job in jobs:
        if not isinstance(job, Job):
            raise InvalidJobError(f"enqueue takes Job objects, not {type(job).__name__}")
    encoded = [encode_job(job, ticket.mark, max_payload) for job in jobs]
    if len(encoded) > 1:
        _check_together(encoded)
    return encoded


def _check_together(encoded: Sequence[EncodedJob]) -> None:
    seen: set[str] = set()
    for job in encoded:
        if job.id in seen:
            raise InvalidJobError(f"job id {job.id!r} is there twice in one call")
        seen.add(job.id)
    size = sum(len(job.record) for job in encoded)
    if size > MAX_CALL_BYTES:
        raise InvalidJobError(
            f"{size:,} bytes in one call: enqueue takes at most {MAX_CALL_BYTES:,};"
            " use enqueue_many"
        )


def _chunks(jobs: Iterable[Job], chunk: int) -> Iterator[list[Job]]:
    """Parts of at most `chunk` jobs, and of at most a quarter of what one call may carry."""
    part: list[Job] = []
    size = 0
    for job in jobs:
        payload = getattr(job, "payload", b"")
        part.append(job)
        size += len(payload) if isinstance(payload, bytes) else 0
        if len(part) == chunk or size > MAX_CALL_BYTES // 4:
            yield part
            part, size = [], 0
    if part:
        yield part
