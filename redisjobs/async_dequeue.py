"""AsyncRedisQueue.dequeue: the blocking one on a thread of its own, so that a busy event loop does
not cost the lock; what is awaited runs on the caller's loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from redisjobs.context import Context
from redisjobs.dequeue import dequeue
from redisjobs.job import Job
from redisjobs.source import Source

AsyncJobFunction: TypeAlias = Callable[[Context, Job], Awaitable[Job] | Job]


async def dequeue_async(source: Source, kinds: Sequence[str], fn: AsyncJobFunction) -> bool:
    """What `AsyncRedisQueue.dequeue` promises. When cancelled, it gives the job back first."""
    call = _Call(fn, asyncio.get_running_loop())
    found: asyncio.Future[bool] = asyncio.wrap_future(
        _on_a_thread(lambda: dequeue(source, kinds, call.run))
    )
    try:
        return await asyncio.shield(found)
    except asyncio.CancelledError:
        call.cancel()
        await asyncio.wait([found])
        if not found.cancelled():
            found.exception()  # seen: the cancellation is what the caller is told
        raise
    except concurrent.futures.CancelledError:
        raise asyncio.CancelledError from None  # raised by `fn` itself


class _Call:
    """One call of `fn`, from the thread of the blocking dequeue."""

    def __init__(self, fn: AsyncJobFunction, loop: asyncio.AbstractEventLoop) -> None:
        self._fn = fn
        self._loop = loop
        self._lock = threading.Lock()
        self._cancelled = False
        self._awaited: concurrent.futures.Future[Job] | None = None

    def run(self, ctx: Context, job: Job) -> Job:
        returned = self._fn(ctx, job)
        if not inspect.isawaitable(returned):
            return returned
        coroutine = returned if inspect.iscoroutine(returned) else _awaiting(returned)
        with self._lock:
            if self._cancelled:
                coroutine.close()
                raise concurrent.futures.CancelledError
            awaited = self._awaited = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        ctx.on_cancel(awaited.cancel)
        return awaited.result()

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._awaited is not None:
                self._awaited.cancel()


async def _awaiting(awaitable: Awaitable[Job]) -> Job:
    return await awaitable


def _on_a_thread(fn: Callable[[], bool]) -> concurrent.futures.Future[bool]:
    """Not one of the executor's: those are few, and a job may be held for long."""
    future: concurrent.futures.Future[bool] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(fn())
        except BaseException as err:  # noqa: BLE001 - raised where it is awaited
            future.set_exception(err)

    threading.Thread(target=run, name="redisjobs-dequeue", daemon=True).start()
    return future
