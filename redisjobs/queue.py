"""The queue as services see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from redisjobs.address import Address, client_from_url
from redisjobs.batches import Chunks, telling_what_was_stored
from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.limits import normalise_id
from redisjobs.operations import one_job
from redisjobs.queue_base import Enqueued, QueueBase
from redisjobs.source import Source
from redisjobs.transport import Lines
from redisjobs.waiting import longest_call_s, waiting

if TYPE_CHECKING:
    import redis

    from redisjobs.context import Context
    from redisjobs.operations.inspect import CheckReport, Stats
    from redisjobs.operations.listing import JobPage
    from redisjobs.operations.repair import RepairReport

__all__ = ["Enqueued", "JobQueue", "RedisQueue"]


class JobQueue(Protocol):
    """What a worker needs of a queue. Any object with these two methods will do."""

    def enqueue(self, *jobs: Job) -> Any:
        """Stores all of these jobs, or none."""

    def dequeue(self, kinds: Sequence[str], fn: Callable[[Context, Job], Job]) -> bool:
        """Takes one ready job, keeps it locked while `fn` runs, stores what `fn` returned. False if
        none was ready.
        """


class RedisQueue(QueueBase["redis.Redis"]):
    """A queue of jobs in Redis. Threads may share it, and it outlives a fork.

    Args:
        client: a `redis.Redis` without `decode_responses`; only its connection settings are used.
        name: the namespace of the queue's keys.
        retention: seconds (or a timedelta) for which the record of a DONE job is kept, and its id
            taken; 0 keeps none. Of this and the next three, what a worker's queue was given counts
            for the whole queue, and what only a producer's was given has no effect.
        retention_limit: how many DONE records are kept for each kind.
        failed_retention: the same for FAILED, PANIC and CANCELLED jobs.
        failed_limit: how many of these are kept for each kind and status.
        max_payload: the largest payload that `enqueue` takes, in bytes.
        max_result: the largest result that a worker over this queue stores, in bytes.
        min_replicas: `enqueue` returns only when so many replicas have the jobs; 0 asks for none.
        min_replicas_timeout: seconds (or a timedelta) that this may take, up to 5.

    Raises:
        ConfigurationError: a setting, the name or the client cannot be used.
    """

    _client_from_url = staticmethod(client_from_url)

    def _connect(self, client: redis.Redis) -> Address:
        self.lines = Lines(client)
        return self.lines.address

    @property
    def source(self) -> Source:
        """What a worker needs of this queue."""
        return Source(self.keys, self.settings, self.lines)

    def enqueue(self, *jobs: Job) -> Enqueued:
        """Stores all of these jobs, 1 to 10,000 of any kinds, or none. The Job objects are not
        changed.

        Raises:
            JobExistsError: some ids exist (`.ids`).
            InvalidJobError: a job that cannot be stored, an id twice, or too many in one call.
            QueueUnavailableError: Redis could not be reached.
            NotReplicatedError: the jobs are stored, but fewer than `min_replicas` replicas have
                them.
            QueueFullError: Redis is at its memory limit.
        """
        if not jobs:
            return Enqueued(())
        with self._lanes.ticket() as ticket:
            enqueued, make = self._enqueueing(jobs, ticket)
            self.lines.run(make)
        return enqueued

    def enqueue_many(self, jobs: Iterable[Job], chunk: int = 1000) -> int:
        """Stores any number of jobs, `chunk` at a time, each chunk whole or not at all. Returns how
        many.

        Raises:
            RedisJobsError: as `enqueue`; its `stored` says how many jobs of the iterable were
                stored before it.
        """
        chunks = Chunks(chunk)
        with telling_what_was_stored() as stored:
            for part in chunks.of(jobs):
                self.enqueue(*part)
                stored.count += len(part)
        return stored.count

    def dequeue(self, kinds: Sequence[str], fn: Callable[[Context, Job], Job]) -> bool:
        """Takes one ready job of these kinds, keeps it locked until `fn(ctx, job)` returns, and
        stores what it returned.

        Returns False if none was ready. If `fn` raises, the job is given back and the error raised
        again.

        Raises:
            LockLostError: the lock was lost meanwhile; what `fn` returned was not stored.
        """
        from redisjobs.dequeue import dequeue  # a producer has no use for it

        return dequeue(self.source, kinds, fn)

    def get(self, id: str) -> Job | None:
        """The job as it stands, or None if there is none or its record's time is over."""
        return self.lines.run(lambda: one_job.get(self.keys, normalise_id(id)))

    def cancel(self, id: str) -> bool:
        """Ends a waiting job as CANCELLED. False: none of this id waits, and nothing changed."""
        return self._once(one_job.cancel, id)

    def retry(self, id: str) -> bool:
        """Makes a FAILED, PANIC or CANCELLED job wait again, due now: its attempts and losses count
        no more, and its `last_error` stays. False: it is none of these.
        """
        return self._once(one_job.retry, id)

    def delete(self, id: str) -> bool:
        """Removes a job that waits or has ended. False: there is none, or it runs."""
        return self._once(one_job.delete, id)

    def wait(self, id: str, timeout: float | timedelta | None = None) -> Job:
        """The job when it has ended, however: woken by its end, not polling.

        `timeout`: seconds (or a timedelta); None waits for ever.

        Raises:
            TimeoutError: it has not ended by then; if Redis is away until then, too.
            JobNotFoundError: there is no such job, or it ended and its record is not kept.
        """
        steps = waiting(self.keys, normalise_id(id), timeout, time.monotonic)
        return self.lines.wait(steps, longest_call_s(timeout))

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
        of large jobs stops after about 8 MiB. All of them, page by page:

            after = None
            while True:
                page = queue.jobs(status="failed", limit=1000, after=after)
                for job in page.jobs:
                    queue.retry(job.id)
                if (after := page.after) is None:
                    break

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

    def repair(self, *, dry_run: bool = False) -> RepairReport:
        """Mends what an older bug, an eviction or a human hand broke, and says what it did. The
        queue may be in use meanwhile.

        `dry_run`: only say what would be done.
        """
        from redisjobs.operations import repair

        report = repair.RepairReport(dry_run=dry_run)
        return self.lines.run(lambda: repair.repair(self.keys, report))

    def close(self) -> None:
        """Closes the idle connections. The queue can still be used: it opens new ones."""
        self.lines.close()
