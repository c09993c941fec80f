# mypy: disable-error-code="import-not-found, untyped-decorator"
"""ArdiQ: a Rust core on streams, at-least-once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ardiq import Ardiq

from benchmarks.peers.common import at_once, handle_async, url

app = Ardiq(
    redis_url=url(), queue_name="peer", concurrency=at_once(), prefetch=1000, result_ttl_ms=1
)


@app.task
async def noop(payload: str) -> None:
    """The handler."""
    await handle_async(payload)


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """Nothing to connect: the core does."""
    yield


async def one(payload: str) -> None:
    """One job."""
    await noop.enqueue(payload)


async def many(number: int, payload: str) -> None:
    """So many at once."""
    await app.enqueue_many([noop.prepare(payload) for _ in range(number)])


async def later(payload: str, due: float) -> None:
    """One job, for a moment in seconds since the epoch; kept in whole milliseconds."""
    await noop.options(schedule_ms=round(due * 1000)).enqueue(payload)
