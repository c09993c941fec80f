# mypy: disable-error-code="import-not-found, untyped-decorator"
"""taskiq over a Redis stream: asyncio, acknowledged when executed; no results."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskiq_redis import RedisStreamBroker

from benchmarks.peers.common import handle_async, url

broker = RedisStreamBroker(url(), queue_name="peer", consumer_id="0", xread_count=1000)


@broker.task
async def noop(payload: str) -> None:
    """The handler."""
    await handle_async(payload)


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """Connects."""
    await broker.startup()
    yield
    await broker.shutdown()


async def one(payload: str) -> None:
    """One job."""
    await noop.kiq(payload)
