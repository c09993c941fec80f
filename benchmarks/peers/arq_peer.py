# mypy: disable-error-code="import-not-found, untyped-decorator"
"""arq: asyncio, at-least-once; no results kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks.peers.common import as_datetime, at_once, handle_async, url

_pool: Any = None


async def noop(_: dict[str, Any], payload: str) -> None:
    """The handler."""
    await handle_async(payload)


class WorkerSettings:
    """As `arq` takes them."""

    functions = (noop,)
    redis_settings = RedisSettings.from_dsn(url())
    max_jobs = at_once()
    poll_delay = 0.01
    keep_result = 0


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """Connects."""
    global _pool
    _pool = await create_pool(RedisSettings.from_dsn(url()))
    yield


async def one(payload: str) -> None:
    """One job."""
    await _pool.enqueue_job("noop", payload)


async def later(payload: str, due: float) -> None:
    """One job, for a moment in seconds since the epoch; kept in whole milliseconds."""
    await _pool.enqueue_job("noop", payload, _defer_until=as_datetime(due))
