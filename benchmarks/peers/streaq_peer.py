# mypy: disable-error-code="import-not-found, untyped-decorator"
"""streaQ: asyncio on streams, at-least-once; no results kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streaq import Worker

from benchmarks.peers.common import as_datetime, at_once, handle_async, url

worker = Worker(redis_url=url(), queue_name="peer", concurrency=at_once(), prefetch=1000)


@worker.task(ttl=0, silent=True)
async def noop(payload: str) -> None:
    """The handler."""
    await handle_async(payload)


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """Connects."""
    async with worker:
        yield


async def one(payload: str) -> None:
    """One job."""
    await noop.enqueue(payload)


async def many(number: int, payload: str) -> None:
    """So many at once."""
    await worker.enqueue_many([noop.enqueue(payload) for _ in range(number)])


async def later(payload: str, due: float) -> None:
    """One job, for a moment in seconds since the epoch; the worker looks every 500 ms."""
    await noop.enqueue(payload).start(schedule=as_datetime(due))
