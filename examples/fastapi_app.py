"""A FastAPI service that enqueues, looks a job up, and waits for a result."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from examples.mail import render_preview, send_welcome
from redisjobs import AsyncRedisQueue, JobExistsError, JobFailedError, QueueUnavailableError


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, AsyncRedisQueue]]:
    """One queue for the whole service; its connections are closed at the end."""
    async with AsyncRedisQueue.from_url(os.environ["REDISJOBS_URL"], "mail") as queue:
        yield {"queue": queue}


app = FastAPI(lifespan=lifespan)


def queue_of(request: Request) -> AsyncRedisQueue:
    """The queue that `lifespan` made."""
    queue: AsyncRedisQueue = request.state.queue
    return queue


Queue = Annotated[AsyncRedisQueue, Depends(queue_of)]


class Signup(BaseModel):
    """Somebody who wants a mail."""

    address: str
    language: str = "en"


@app.post("/signups", status_code=202)
async def sign_up(signup: Signup, queue: Queue) -> dict[str, str]:
    """Answers as soon as the job is stored. While its record is kept, its id allows no second."""
    task = send_welcome.options(id=f"welcome-{signup.address}")
    job = task.job(signup.address, language=signup.language)
    try:
        await queue.enqueue(job)
    except JobExistsError:
        raise HTTPException(409, f"{signup.address} has signed up already") from None
    return {"job": job.id}


@app.get("/jobs/{id}")
async def show_job(id: str, queue: Queue) -> dict[str, str | None]:
    """What became of a job."""
    job = await queue.get(id)
    if job is None:
        raise HTTPException(404, f"no job {id}")
    return {"status": job.status, "error": job.last_error}


class Preview(BaseModel):
    """A template with a `{name}` in it."""

    template: str
    names: list[str]


@app.post("/previews")
async def preview(wanted: Preview, queue: Queue) -> dict[str, str]:
    """Waits for the result, but not for ever: the client should not hang with the worker."""
    job = render_preview.job(wanted.template, wanted.names)
    await queue.enqueue(job)
    try:
        text = await render_preview.wait(queue, job, timeout=5.0)
    except TimeoutError:
        raise HTTPException(504, f"job {job.id} takes longer; look it up later") from None
    except JobFailedError as err:
        raise HTTPException(422, err.remote_error) from err
    return {"text": text}


@app.exception_handler(QueueUnavailableError)
async def say_try_again(_: Request, __: Exception) -> JSONResponse:
    """Redis is away. A signup that was stored all the same is refused when it is tried again."""
    return JSONResponse({"detail": "try again later"}, 503, headers={"Retry-After": "5"})
