# mypy: disable-error-code="import-not-found, untyped-decorator"
"""SAQ: asyncio, at-least-once; no results kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from saq import Queue

from benchmarks.peers.common import at_once, handle_async, url

queue = Queue.from_url(url())


async def noop(_: dict[str, Any], *, payload: str) -> None:
    """The handler."""
    await handle_async(payload)


settings = {"queue": queue, "functions": [noop], "concurrency": at_once()}


@asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """Connects."""
    await queue.connect()
    yield


async def one(payload: str) -> None:
    """One job."""
    await queue.enqueue("noop", payload=payload, ttl=-1)


async def later(payload: str, due: float) -> None:
    """One job, for a moment in seconds since the epoch; the worker looks each second."""
    await queue.enqueue("noop", payload=payload, ttl=-1, scheduled=due)
