"""A worker whose jobs do what their payload says.

    redisjobs worker examples.worker:worker
    redisjobs enqueue example --payload hello
    redisjobs enqueue example --payload fail_after_3

| payload | what becomes of the job |
|---|---|
| `fail_after_3` | fails three times and runs again each time, 5 s later; then it is DONE |
| `panic` | PANIC: the handler raises what is no `Exception`; the worker goes on |
| `fail` | FAILED, with the error in `last_error` |
| anything else | DONE, with the result `job is done` |
"""

from __future__ import annotations

import os

from redisjobs import Context, Job, RedisQueue, RetryableError, Worker

ATTEMPTS_THAT_FAIL = 3


class Panic(BaseException):
    """What no handler should raise."""


def example(ctx: Context, job: Job) -> bytes:
    """Does what the payload says."""
    ctx.logger.info("attempt %d: %r", ctx.attempt, job.payload)
    if job.payload == b"panic":
        raise Panic("the payload says so")
    if job.payload == b"fail":
        raise ValueError("the payload says so")
    if job.payload == b"fail_after_3" and ctx.attempt <= ATTEMPTS_THAT_FAIL:
        raise RetryableError(f"attempt {ctx.attempt} fails")
    return b"job is done"


def make_worker() -> Worker:
    """A worker of the queue that REDISJOBS_QUEUE names, on the Redis that REDISJOBS_URL names."""
    url = os.environ.get("REDISJOBS_URL") or os.environ.get("REDIS_URL", "redis://localhost:6379/0")
    queue = RedisQueue.from_url(url, os.environ.get("REDISJOBS_QUEUE", "default"))
    return Worker(queue, {"example": example})


worker = make_worker()
