"""The handlers of the demo's workers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from redisjobs.attempt import AsyncHandler, SyncHandler
from redisjobs.context import Context
from redisjobs.demo.figures import FIGURES, Figures
from redisjobs.demo.journal import Journal
from redisjobs.demo.plan import FLAKY_KIND, KINDS, SLOW_KINDS, Order
from redisjobs.job import Job
from redisjobs.retry import RetryableError


def handlers(journal: Journal) -> dict[str, SyncHandler | AsyncHandler]:
    """A handler for each kind, which writes its starts to the journal."""
    return {kind: _handler(kind, journal) for kind in KINDS}


def _handler(kind: str, journal: Journal) -> SyncHandler | AsyncHandler:
    if kind in SLOW_KINDS:
        return slow_handler(kind, journal)
    return flaky_handler(kind, journal) if kind == FLAKY_KIND else quick_handler(kind, journal)


def quick_handler(kind: str, journal: Journal) -> SyncHandler:
    """One that reads its file and answers."""

    def handle(ctx: Context, job: Job) -> bytes:
        journal.started(ctx, job)
        source = Path(Order.from_bytes(job.payload).path).read_bytes()
        return _as_result(FIGURES[kind](source))

    return handle


def slow_handler(kind: str, journal: Journal) -> AsyncHandler:
    """One that waits a while, as if for another service."""

    async def handle(ctx: Context, job: Job) -> bytes:
        journal.started(ctx, job)
        order = Order.from_bytes(job.payload)
        source = await asyncio.to_thread(Path(order.path).read_bytes)
        await asyncio.sleep(order.pause_s)
        return _as_result(FIGURES[kind](source))

    return handle


def flaky_handler(kind: str, journal: Journal) -> SyncHandler:
    """One whose first attempt always asks for another."""
    answer = quick_handler(kind, journal)

    def handle(ctx: Context, job: Job) -> bytes | None:
        if ctx.attempt == 1:
            journal.started(ctx, job)
            raise RetryableError("the first attempt always fails")
        return answer(ctx, job)

    return handle


def _as_result(figures: Figures) -> bytes:
    return json.dumps(figures).encode()
