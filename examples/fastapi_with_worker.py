"""A FastAPI service that runs its jobs itself, on its own event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from examples.mail import registry, render_preview
from redisjobs import AsyncRedisQueue, Worker


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, AsyncRedisQueue]]:
    """Runs a worker for as long as the service runs; at the end its jobs may finish."""
    async with AsyncRedisQueue.from_url(os.environ["REDISJOBS_URL"], "mail") as queue:
        worker = Worker(queue, registry, concurrency=4, shutdown_timeout=10.0)
        running = asyncio.create_task(worker.arun())
        try:
            yield {"queue": queue}
        finally:
            worker.stop()
            await running


app = FastAPI(lifespan=lifespan)


@app.post("/previews")
async def preview(template: str, request: Request) -> dict[str, str]:
    """Renders on this process's worker, or on another one's."""
    queue: AsyncRedisQueue = request.state.queue
    job = render_preview.job(template, ["you"])
    await queue.enqueue(job)
    return {"text": await render_preview.wait(queue, job, timeout=5.0)}
