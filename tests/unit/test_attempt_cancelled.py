"""Cancelling a context cancels the task of an async handler, from whatever thread."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

from redisjobs import CancelReason, Context, Job, Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def forever(ctx: Context, job: Job) -> bytes:
    await asyncio.Event().wait()
    return b"never"


def test_from_the_loops_own_thread() -> None:
    async def main() -> Job:
        ctx, job = Context.background(), Job("a")

        async def handler(ctx: Context, job: Job) -> bytes:
            asyncio.get_running_loop().call_soon(ctx.cancel, CancelReason.SHUTDOWN)
            return await forever(ctx, job)

        await asyncio.wait_for(job.attempt_async(ctx, NOW, handler), 10.0)
        return job

    job = asyncio.run(main())
    assert (job.status, job.attempts_done) == (Status.PENDING, 0)


def test_from_another_thread() -> None:
    async def main() -> Job:
        ctx, job = Context.background(), Job("a")
        began = threading.Event()

        async def handler(ctx: Context, job: Job) -> bytes:
            began.set()
            return await forever(ctx, job)

        def cancel() -> None:
            assert began.wait(10.0)
            ctx.cancel(CancelReason.LEASE_LOST)

        thread = threading.Thread(target=cancel)
        thread.start()
        await asyncio.wait_for(job.attempt_async(ctx, NOW, handler), 10.0)
        thread.join(10.0)
        return job

    assert asyncio.run(main()).attempts_done == 0


def test_a_context_cancelled_after_the_handler_ended_cancels_nothing_else() -> None:
    async def main() -> str:
        ctx, job = Context.background(), Job("a")

        async def handler(ctx: Context, job: Job) -> bytes:
            return b"done"

        await job.attempt_async(ctx, NOW, handler)
        ctx.cancel(CancelReason.SHUTDOWN)
        for _ in range(3):
            await asyncio.sleep(0)
        return "this task goes on"

    assert asyncio.run(main()) == "this task goes on"


def test_a_context_cancelled_when_its_loop_is_closed_raises_nothing() -> None:
    ctx = Context.background()

    async def main() -> None:
        async def handler(ctx: Context, job: Job) -> bytes:
            return b"done"

        await Job("a").attempt_async(ctx, NOW, handler)

    asyncio.run(main())
    ctx.cancel(CancelReason.SHUTDOWN)
    assert ctx.cancelled
