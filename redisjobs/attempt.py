"""What one run of a handler amounts to. Pure: no clock, nothing stored."""

from __future__ import annotations

import asyncio
import inspect
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import CoroutineType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from redisjobs.context import CancelReason, Context, running_context
from redisjobs.errors import message_of
from redisjobs.limits import MAX_ERROR_CHARS, MAX_RETRY_AFTER
from redisjobs.retry import RetryableError, find_retryable
from redisjobs.states import Status

if TYPE_CHECKING:
    from redisjobs.job import Job

SyncHandler: TypeAlias = "Callable[[Context, Job], bytes | None]"
AsyncHandler: TypeAlias = "Callable[[Context, Job], Awaitable[bytes | None]]"

_GIVES_BACK = (CancelReason.SHUTDOWN, CancelReason.LEASE_LOST)


class Outcome(NamedTuple):
    """What a run came to.

    Attributes:
        status: the job's status after it. None: given back, which is no attempt.
        result: what the handler returned, for DONE.
        error: the job's new `last_error`, for all but DONE.
        retry_after: for PENDING, how long until the next attempt; the floor is applied.
        exception: what the handler raised, for the log.
    """

    status: Status | None
    result: bytes | None = None
    error: str | None = None
    retry_after: timedelta | None = None
    exception: BaseException | None = None


# Of nearly every run.
PLAINLY_DONE = Outcome(Status.DONE)

_set_running = running_context.set


def run(
    fn: SyncHandler, ctx: Context, job: Job, floor: timedelta, max_result: int | None = None
) -> Outcome:
    """Calls `fn(ctx, job)` and tells what came of it. Raises nothing that `fn` raises.

    `floor` is the shortest delay before another attempt, `max_result` the most bytes of a result.
    """
    before = running_context.set(ctx)
    try:
        return run_in_own_context(fn, ctx, job, floor, max_result)
    finally:
        running_context.reset(before)


def run_in_own_context(
    fn: SyncHandler, ctx: Context, job: Job, floor: timedelta, max_result: int | None = None
) -> Outcome:
    """As `run`, for a caller that gives each run a copy of its `contextvars` and throws it away."""
    if ctx.cancelled:
        return _cancelled_before(ctx, floor)
    _set_running(ctx)
    try:
        result = fn(ctx, job)
    except BaseException as err:  # noqa: BLE001 - what ends a handler must not end the worker
        return outcome_of_exception(err, ctx, floor)
    if result is None:
        return PLAINLY_DONE
    return _outcome_of_result(result, max_result)


async def run_async(
    fn: AsyncHandler, ctx: Context, job: Job, floor: timedelta, max_result: int | None = None
) -> Outcome:
    """Awaits `fn(ctx, job)` and tells what came of it. Cancels it when the context is.

    Raises nothing that `fn` raises, also no SystemExit or KeyboardInterrupt: they would end the
    event loop. A cancellation of the task that runs it ends here, as an outcome, too.
    """
    if ctx.cancelled:
        return _cancelled_before(ctx, floor)
    before = running_context.set(ctx)
    try:
        with _cancelled_with(ctx):
            return await run_in_own_task(fn, ctx, job, floor, max_result)
    finally:
        with suppress(ValueError):
            # A coroutine that is thrown away unfinished is closed outside of its task's context.
            running_context.reset(before)


async def run_in_own_task(
    fn: AsyncHandler, ctx: Context, job: Job, floor: timedelta, max_result: int | None = None
) -> Outcome:
    """As `run_async`, for a caller that gives each run a task and a copy of its `contextvars`,
    throws both away, and cancels the task itself.
    """
    if ctx.cancelled:
        return _cancelled_before(ctx, floor)
    _set_running(ctx)
    try:
        awaitable: object = fn(ctx, job)
        if type(awaitable) is not CoroutineType and not inspect.isawaitable(awaitable):
            return _not_awaitable(awaitable)
        result = await awaitable
    except BaseException as err:  # noqa: BLE001 - what ends a handler must not end the loop
        return outcome_of_exception(err, ctx, floor)
    if result is None:
        return PLAINLY_DONE
    return _outcome_of_result(result, max_result)


@contextmanager
def _cancelled_with(ctx: Context) -> Iterator[None]:
    """Has the task that runs this cancelled when the context is, from whatever thread."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    over = False

    def cancel() -> None:
        if task is not None and not over:
            task.cancel()

    def cancel_from_any_thread() -> None:
        with suppress(RuntimeError):  # the loop is closed: nothing runs any more
            loop.call_soon_threadsafe(cancel)

    ctx.on_cancel(cancel_from_any_thread)
    try:
        yield
    finally:
        over = True


def outcome_of_exception(err: BaseException, ctx: Context, floor: timedelta) -> Outcome:
    """What a run came to that raised `err`, whatever code of the user's `err` is made of."""
    try:
        return _outcome_of_exception(err, ctx, floor)
    except BaseException as broken:  # noqa: BLE001 - or the job would be held for ever
        return Outcome(
            Status.FAILED if isinstance(err, Exception) else Status.PANIC,
            error=f"{type(err).__name__}: it cannot be read: {type(broken).__name__}",
            exception=err,
        )


def _outcome_of_exception(err: BaseException, ctx: Context, floor: timedelta) -> Outcome:
    if _is_cancellation(err):
        if ctx.cancel_reason in _GIVES_BACK:
            return Outcome(None, exception=err)
        return Outcome(Status.FAILED, error=_storable(_named(err)), exception=err)
    if not isinstance(err, Exception):
        return Outcome(Status.PANIC, error=_storable(f"panic: {_named(err)}"), exception=err)
    retryable = find_retryable(err)
    if retryable is None:
        return Outcome(Status.FAILED, error=_storable(_named(err)), exception=err)
    return Outcome(
        Status.PENDING,
        error=_storable(_prefixed("retryable-error", message_of(retryable))),
        retry_after=_delay(retryable, floor),
        exception=err,
    )


def _cancelled_before(ctx: Context, floor: timedelta) -> Outcome:
    return Outcome(Status.PENDING, error=f"cancelled: {ctx.cancel_reason}", retry_after=floor)


def _outcome_of_result(result: object, max_result: int | None) -> Outcome:
    if not isinstance(result, bytes):
        return Outcome(Status.FAILED, error=_wrong_result(result))
    if max_result is not None and len(result) > max_result:
        return Outcome(
            Status.FAILED,
            error=f"the result has {len(result):,} bytes, over the limit of {max_result:,}"
            " (RedisQueue(max_result=…)): store it elsewhere and return its name",
        )
    return Outcome(Status.DONE, result)


def _wrong_result(result: object) -> str:
    if inspect.iscoroutine(result):
        result.close()  # or Python warns that it was never awaited
        return "the handler returned a coroutine but was not run as an `async def`: await it in one"
    return f"the result must be bytes or None, not {type(result).__name__}: encode it first"


def _not_awaitable(returned: object) -> Outcome:
    return Outcome(
        Status.FAILED,
        error=f"the handler returned {type(returned).__name__}, which cannot be awaited:"
        " it must be an `async def`",
    )


def _is_cancellation(err: BaseException) -> bool:
    if isinstance(err, BaseExceptionGroup):
        return all(_is_cancellation(member) for member in err.exceptions)
    return isinstance(err, CancelledError)


def _delay(retryable: RetryableError, floor: timedelta) -> timedelta:
    asked: object = retryable.retry_after  # a subclass may have made anything of it
    return min(max(asked, floor), MAX_RETRY_AFTER) if isinstance(asked, timedelta) else floor


def _named(err: BaseException) -> str:
    """`TypeName: message`, or the name alone where there is no message."""
    name, message = type(err).__name__, message_of(err)
    return name if message == name else f"{name}: {message}"


def _prefixed(prefix: str, text: str) -> str:
    return text if text.startswith(prefix) else f"{prefix}: {text}"


def _storable(error: str) -> str:
    """Cut to size, and with what UTF-8 cannot encode replaced."""
    if len(error) > MAX_ERROR_CHARS:
        error = error[: MAX_ERROR_CHARS - 1] + "…"
    return error.encode(errors="replace").decode()
