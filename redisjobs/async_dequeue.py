"""AsyncRedisQueue.dequeue: the blocking one on a thread of its own, so that a busy event loop does
not cost the lock; what is awaited runs on the caller's loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from redisjobs.context import Context
from redisjobs.dequeue import dequeue
from redisjobs.job import Job
from redisjobs.source import Source

AsyncJobFunction: TypeAlias = Callable[[Context, Job], Awaitable[Job] | Job]


# How long a cancelled call waits for the job to be given back; then that goes on without it.
_GIVING_BACK_S = 2.0


async def dequeue_async(source: Source, kinds: Sequence[str], fn: AsyncJobFunction) -> bool:
    """What `AsyncRedisQueue.dequeue` promises. When cancelled, it gives the job back first."""
    call = _Call(fn, asyncio.get_running_loop())
    found: asyncio.Future[bool] = asyncio.wrap_future(
        _on_a_thread(lambda: dequeue(source, kinds, call.run))
    )
    try:
        return await asyncio.shield(found)
    except asyncio.CancelledError:
        if found.done():  # raised by `fn` itself
            raise
        call.cancel()
        await asyncio.wait([call.ended])
        await asyncio.wait([found], timeout=_GIVING_BACK_S)
        found.add_done_callback(_seen)  # the cancellation is what the caller is told
        raise


def _seen(found: asyncio.Future[bool]) -> None:
    if not found.cancelled():
        found.exception()


class _Call:
    """One call of `fn`, from the thread of the blocking dequeue.

    Attributes:
        ended: done when what is awaited for it has ended, or never will begin.
    """

    def __init__(self, fn: AsyncJobFunction, loop: asyncio.AbstractEventLoop) -> None:
        self._fn = fn
        self._loop = loop
        self._lock = threading.Lock()
        self._cancelled = False
        self._task: asyncio.Task[Job] | None = None
        self.ended: asyncio.Future[None] = loop.create_future()
        self._settle()

    def _settle(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def run(self, ctx: Context, job: Job) -> Job:
        with self._lock:
            if self._cancelled:
                raise asyncio.CancelledError
        returned = self._fn(ctx, job)
        if not inspect.isawaitable(returned):
            return returned
        coroutine = returned if inspect.iscoroutine(returned) else _awaiting(returned)
        outcome: concurrent.futures.Future[Job] = concurrent.futures.Future()
        self._loop.call_soon_threadsafe(self._begin, coroutine, outcome)
        ctx.on_cancel(lambda: self._loop.call_soon_threadsafe(self._cancel_task))
        return outcome.result()

    # On the caller's loop.

    def _begin(
        self, coroutine: Coroutine[Any, Any, Job], outcome: concurrent.futures.Future[Job]
    ) -> None:
        self.ended = self._loop.create_future()
        self._task = task = self._loop.create_task(coroutine)
        task.add_done_callback(lambda _: self._over(task, outcome))
        if self._cancelled:
            task.cancel()

    def _over(self, task: asyncio.Task[Job], outcome: concurrent.futures.Future[Job]) -> None:
        self._settle()
        if task.cancelled():
            outcome.set_exception(asyncio.CancelledError())
        elif (err := task.exception()) is not None:
            outcome.set_exception(err)
        else:
            outcome.set_result(task.result())

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def cancel(self) -> None:
        """Has `fn` not begin, or end."""
        with self._lock:
            self._cancelled = True
        self._cancel_task()


async def _awaiting(awaitable: Awaitable[Job]) -> Job:
    return await awaitable


def _on_a_thread(fn: Callable[[], bool]) -> concurrent.futures.Future[bool]:
    """Not one of the executor's: those are few, and a job may be held for long."""
    future: concurrent.futures.Future[bool] = concurrent.futures.Future()

    def run() -> None:
        try:
            future.set_result(fn())
        except StopIteration as err:
            # No future can carry it, nor can a coroutine raise it.
            future.set_exception(RuntimeError(f"the function of dequeue raised {err!r}"))
        except BaseException as err:  # noqa: BLE001 - raised where it is awaited
            future.set_exception(err)

    threading.Thread(target=run, name="redisjobs-dequeue", daemon=True).start()
    return future
