"""The queue as asyncio services see it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from redisjobs.address import Address, async_client_from_url
from redisjobs.async_transport import AsyncLines
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
    import redis.asyncio

    from redisjobs.async_dequeue import AsyncJobFunction
    from redisjobs.operations.inspect import CheckReport, Stats
    from redisjobs.operations.listing import JobPage
    from redisjobs.operations.repair import RepairReport


class AsyncRedisQueue(QueueBase["redis.asyncio.Redis"]):
    """A `RedisQueue` whose methods are coroutines. Any tasks of any event loops may share it.

    A call that is cancelled leaves nothing behind that another call could mistake for its own
    reply; what it asked may have been carried out all the same.

    Args:
        client: a `redis.asyncio.Redis` without `decode_responses`; only its connection settings are
            used. The others are those of `RedisQueue`.

    Raises:
        ConfigurationError: a setting, the name or the client cannot be used.
    """

    lines: AsyncLines

    _client_from_url = staticmethod(async_client_from_url)

    def _connect(self, client: redis.asyncio.Redis) -> Address:
        address = Address(client, is_async=True)
        self.lines = AsyncLines(address)
        self._blocking_lines = Lines(address)
        return address

    @property
    def source(self) -> Source:
        """What a worker needs of this queue: its connections are blocking ones."""
        return Source(self.keys, self.settings, self._blocking_lines)

    async def enqueue(self, *jobs: Job) -> Enqueued:
        """As `RedisQueue.enqueue`."""
        if not jobs:
            return Enqueued(())
        with self._lanes.ticket() as ticket:
            enqueued, make = self._enqueueing(jobs, ticket)
            await self.lines.run(make)
        return enqueued

    async def enqueue_many(
        self, jobs: Iterable[Job] | AsyncIterable[Job], chunk: int = 1000
    ) -> int:
        """As `RedisQueue.enqueue_many`; the jobs may also come from an async iterable."""
        with telling_what_was_stored() as stored:
            async for part in _parts(jobs, Chunks(chunk)):
                await self.enqueue(*part)
                stored.count += len(part)
        return stored.count

    async def dequeue(self, kinds: Sequence[str], fn: AsyncJobFunction) -> bool:
        """As `RedisQueue.dequeue`. An `async def` is awaited on this event loop, and cancelled with
        its context; a plain function runs on a thread.
        """
        from redisjobs.async_dequeue import dequeue_async  # a producer has no use for it

        return await dequeue_async(self.source, kinds, fn)

    async def get(self, id: str) -> Job | None:
        """As `RedisQueue.get`."""
        return await self.lines.run(lambda: one_job.get(self.keys, normalise_id(id)))

    async def wait(
        self,
        id: str,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - RedisQueue has it, too
    ) -> Job:
        """As `RedisQueue.wait`. All waits of one event loop share one connection."""
        steps = waiting(self.keys, normalise_id(id), timeout, time.monotonic)
        return await self.lines.wait(steps, longest_call_s(timeout))

    async def cancel(self, id: str) -> bool:
        """As `RedisQueue.cancel`."""
        return await self._once(one_job.cancel, id)

    async def retry(self, id: str) -> bool:
        """As `RedisQueue.retry`."""
        return await self._once(one_job.retry, id)

    async def delete(self, id: str) -> bool:
        """As `RedisQueue.delete`."""
        return await self._once(one_job.delete, id)

    async def _once(self, operation: Callable[[Keys, str], Any], id: str) -> bool:
        checked = normalise_id(id)
        return bool(await self.lines.run(lambda: operation(self.keys, checked), repeatable=False))

    async def jobs(
        self,
        *,
        status: str | None = None,
        kind: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> JobPage:
        """As `RedisQueue.jobs`."""
        from redisjobs.operations import listing

        return await self.lines.run(
            lambda: listing.list_jobs(self.keys, status, kind, limit, after)
        )

    async def stats(self) -> Stats:
        """As `RedisQueue.stats`."""
        from redisjobs.operations import inspect

        return await self.lines.run(lambda: inspect.stats(self.keys))

    async def check(self) -> CheckReport:
        """As `RedisQueue.check`."""
        from redisjobs.operations import inspect

        return await self.lines.run(lambda: inspect.check(self.keys))

    async def repair(self, *, dry_run: bool = False) -> RepairReport:
        """As `RedisQueue.repair`."""
        from redisjobs.operations import repair

        report = repair.RepairReport(dry_run=dry_run)
        return await self.lines.run(lambda: repair.repair(self.keys, report))

    async def close(self) -> None:
        """Closes the idle connections of this event loop. The queue can still be used."""
        await self.lines.close()
        self._blocking_lines.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _parts(
    jobs: Iterable[Job] | AsyncIterable[Job], chunks: Chunks
) -> AsyncIterator[list[Job]]:
    if isinstance(jobs, AsyncIterable):
        async for job in jobs:
            if part := chunks.add(job):
                yield part
        if part := chunks.rest():
            yield part
    else:
        for part in chunks.of(jobs):
            yield part
