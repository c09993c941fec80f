from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjobs.attempt import Outcome, outcome_of_exception, run, run_async
from redisjobs.context import CancelReason, Context
from redisjobs.job import Job
from redisjobs.limits import MAX_ERROR_CHARS, MAX_RETRY_AFTER
from redisjobs.retry import RetryableError
from redisjobs.states import Status

FLOOR = timedelta(seconds=5)
MINUTE = timedelta(minutes=1)

Handler = Callable[[Context, Job], Any]


class Runner(Protocol):
    def __call__(
        self, fn: Handler, ctx: Context | None = None, max_result: int | None = None
    ) -> Outcome: ...


def run_plain(fn: Handler, ctx: Context | None = None, max_result: int | None = None) -> Outcome:
    return run(fn, ctx or Context.background(), Job("mail"), FLOOR, max_result)


def run_awaited(fn: Handler, ctx: Context | None = None, max_result: int | None = None) -> Outcome:
    async def handler(ctx: Context, job: Job) -> Any:
        await asyncio.sleep(0)
        return fn(ctx, job)

    job = Job("mail")
    return asyncio.run(run_async(handler, ctx or Context.background(), job, FLOOR, max_result))


both_ways = pytest.mark.parametrize("attempt", [run_plain, run_awaited])


def raising(error: BaseException) -> Handler:
    def handler(ctx: Context, job: Job) -> None:
        raise error

    return handler


def returning(result: object) -> Handler:
    return lambda ctx, job: result


class StrangeExit(BaseException):
    pass


class Unreadable(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


# Returned


@both_ways
@pytest.mark.parametrize("result", [b"", b"x", b"x" * 1000])
def test_what_returns_is_done_with_its_result(attempt: Runner, result: bytes) -> None:
    assert attempt(returning(result), max_result=1000) == Outcome(Status.DONE, result)


@both_ways
def test_what_returns_nothing_is_done_without_a_result(attempt: Runner) -> None:
    assert attempt(returning(None), max_result=0) == Outcome(Status.DONE)


@both_ways
def test_the_handler_gets_the_context_and_the_job(attempt: Runner) -> None:
    ctx = Context.background()
    seen: list[tuple[Context, Job]] = []
    attempt(lambda ctx, job: seen.append((ctx, job)), ctx)
    assert seen[0][0] is ctx
    assert seen[0][1].kind == "mail"


@both_ways
@pytest.mark.parametrize(
    ("result", "name"),
    [("text", "str"), (0, "int"), (False, "bool"), (bytearray(b"x"), "bytearray"), ({}, "dict")],
)
def test_a_result_that_is_not_bytes_fails_and_names_its_type(
    attempt: Runner, result: object, name: str
) -> None:
    outcome = attempt(returning(result))
    assert outcome.status is Status.FAILED
    assert outcome.error == f"the result must be bytes or None, not {name}: encode it first"
    assert outcome.result is None


@both_ways
def test_a_result_over_the_limit_fails_and_names_both_sizes(attempt: Runner) -> None:
    outcome = attempt(returning(b"x" * 2001), max_result=2000)
    assert outcome.status is Status.FAILED
    assert outcome.result is None
    assert outcome.error is not None
    assert outcome.error.startswith("the result has 2,001 bytes, over the limit of 2,000")


@both_ways
def test_without_a_limit_any_size_is_stored(attempt: Runner) -> None:
    assert attempt(returning(b"x" * 2**21)).status is Status.DONE


# Raised RetryableError


class Odd(RetryableError):
    retry_after = 60  # type: ignore[assignment]

    def __str__(self) -> str:
        return "come again"


RETRYABLE = [
    pytest.param(RetryableError("busy"), "retryable-error: busy", FLOOR, id="no delay"),
    pytest.param(
        RetryableError("busy", FLOOR - timedelta(microseconds=1)),
        "retryable-error: busy",
        FLOOR,
        id="below the floor",
    ),
    pytest.param(RetryableError("busy", MINUTE), "retryable-error: busy", MINUTE, id="above it"),
    pytest.param(
        RetryableError("busy", timedelta.max),
        "retryable-error: busy",
        MAX_RETRY_AFTER,
        id="longer than can be stored",
    ),
    pytest.param(
        RetryableError(OSError("no route")), "retryable-error: no route", FLOOR, id="an exception"
    ),
    pytest.param(
        RetryableError(Unreadable()),
        "retryable-error: its message cannot be read: KeyboardInterrupt",
        FLOOR,
        id="an unreadable cause",
    ),
    pytest.param(
        ExceptionGroup("group", [OSError(), RetryableError("busy", MINUTE)]),
        "retryable-error: busy",
        MINUTE,
        id="in a group",
    ),
    pytest.param(Odd(), "retryable-error: come again", FLOOR, id="a subclass that breaks rules"),
]


@both_ways
@pytest.mark.parametrize(("error", "text", "after"), RETRYABLE)
def test_a_retryable_error_waits_again(
    attempt: Runner, error: BaseException, text: str, after: timedelta
) -> None:
    outcome = attempt(raising(error))
    assert outcome == Outcome(Status.PENDING, None, text, after, error)


@both_ways
def test_a_retryable_error_is_found_in_the_chain_of_causes(attempt: Runner) -> None:
    def handler(ctx: Context, job: Job) -> None:
        try:
            try:
                raise RetryableError("busy", MINUTE)
            except RetryableError as err:
                raise OSError("no route") from err
        except OSError as err:
            raise ValueError("bad") from err

    outcome = attempt(handler)
    assert outcome.status is Status.PENDING
    assert (outcome.error, outcome.retry_after) == ("retryable-error: busy", MINUTE)
    assert isinstance(outcome.exception, ValueError)


# Any other Exception


def recursing(ctx: Context, job: Job) -> None:
    recursing(ctx, job)


@both_ways
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (ValueError(), "ValueError"),
        (ValueError(" "), "ValueError"),
        (KeyError("k"), "KeyError: 'k'"),
        (MemoryError("full"), "MemoryError: full"),
        (TimeoutError(), "TimeoutError"),
        (Unreadable(), "Unreadable: its message cannot be read: KeyboardInterrupt"),
        (ValueError("a\ud800b"), "ValueError: a?b"),
        (ValueError("grün €"), "ValueError: grün €"),
        (ExceptionGroup("two", [OSError(), ValueError()]), "two (2 sub-exceptions)"),
    ],
)
def test_any_other_exception_fails(attempt: Runner, error: Exception, text: str) -> None:
    outcome = attempt(raising(error))
    assert outcome.status is Status.FAILED
    assert outcome.error is not None
    assert outcome.error.endswith(text)
    assert outcome.exception is error
    assert (outcome.result, outcome.retry_after) == (None, None)


def test_a_stop_iteration_fails() -> None:  # which no coroutine can raise
    assert run_plain(raising(StopIteration())).error == "StopIteration"


@both_ways
def test_a_recursion_without_end_fails(attempt: Runner) -> None:
    outcome = attempt(recursing)
    assert outcome.status is Status.FAILED
    assert outcome.error is not None
    assert outcome.error.startswith("RecursionError: maximum recursion depth")


@both_ways
def test_a_long_message_is_cut(attempt: Runner) -> None:
    error = attempt(raising(ValueError("x" * 10**6))).error
    assert error is not None
    assert error.startswith("ValueError: xxx")
    assert error.endswith("x…")
    assert len(error) == MAX_ERROR_CHARS


@both_ways
def test_a_message_that_just_fits_is_not_cut(attempt: Runner) -> None:
    message = "x" * (MAX_ERROR_CHARS - len("ValueError: "))
    assert attempt(raising(ValueError(message))).error == f"ValueError: {message}"


@given(st.text(st.characters(codec=None), max_size=50), st.integers(0, 9000))
def test_every_error_can_be_stored(message: str, repeat: int) -> None:
    for error in (ValueError(message * repeat), RetryableError(message * repeat), SystemExit()):
        text = outcome_of_exception(error, Context.background(), FLOOR).error
        assert text is not None
        assert 0 < len(text.strip()) <= len(text) <= MAX_ERROR_CHARS
        assert text.encode().decode() == text


# A BaseException that is no Exception


@both_ways
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SystemExit(3), "panic: SystemExit: 3"),
        (SystemExit(), "panic: SystemExit"),
        (KeyboardInterrupt(), "panic: KeyboardInterrupt"),
        (GeneratorExit(), "panic: GeneratorExit"),
        (StrangeExit("out"), "panic: StrangeExit: out"),
        (
            BaseExceptionGroup("two", [SystemExit(), RetryableError()]),
            "panic: BaseExceptionGroup: two (2 sub-exceptions)",
        ),
    ],
)
def test_what_is_no_exception_panics(attempt: Runner, error: BaseException, text: str) -> None:
    assert attempt(raising(error)) == Outcome(Status.PANIC, None, text, None, error)


@both_ways
def test_a_panic_that_was_caused_by_a_retryable_error_is_a_panic(attempt: Runner) -> None:
    error = SystemExit(3)
    error.__cause__ = RetryableError("busy")
    assert attempt(raising(error)).status is Status.PANIC


# Cancellation

REASONS = list(CancelReason)


def cancelled_while_running(reason: CancelReason, error: BaseException) -> Handler:
    def handler(ctx: Context, job: Job) -> None:
        ctx.cancel(reason)
        raise error

    return handler


@both_ways
@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize(
    "error",
    [
        pytest.param(asyncio.CancelledError(), id="plain"),
        pytest.param(
            BaseExceptionGroup("g", [BaseExceptionGroup("h", [asyncio.CancelledError()])]),
            id="in groups",
        ),
    ],
)
def test_a_cancelled_run_gives_the_job_back(
    attempt: Runner, reason: CancelReason, error: BaseException
) -> None:
    assert attempt(cancelled_while_running(reason, error)) == Outcome(None, exception=error)


@both_ways
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (asyncio.CancelledError("why"), "CancelledError: why"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
)
def test_a_cancellation_that_was_not_the_contexts_fails(
    attempt: Runner, error: asyncio.CancelledError, text: str
) -> None:
    assert attempt(raising(error)) == Outcome(Status.FAILED, error=text, exception=error)


@both_ways
@pytest.mark.parametrize("reason", REASONS)
def test_a_run_that_returns_after_its_cancellation_is_done(
    attempt: Runner, reason: CancelReason
) -> None:
    def handler(ctx: Context, job: Job) -> bytes:
        ctx.cancel(reason)
        with contextlib.suppress(asyncio.CancelledError):
            ctx.raise_if_cancelled()
        return b"r"

    assert attempt(handler) == Outcome(Status.DONE, b"r")


@both_ways
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("bad"), Status.FAILED),
        (RetryableError("busy"), Status.PENDING),
        (SystemExit(3), Status.PANIC),
        (BaseExceptionGroup("g", [asyncio.CancelledError(), ValueError()]), Status.PANIC),
    ],
)
def test_a_cancelled_run_that_raises_something_else_is_an_attempt(
    attempt: Runner, error: BaseException, status: Status
) -> None:
    assert attempt(cancelled_while_running(CancelReason.SHUTDOWN, error)).status is status


@both_ways
@pytest.mark.parametrize("reason", REASONS)
def test_a_run_cancelled_before_it_began_calls_nothing(
    attempt: Runner, reason: CancelReason
) -> None:
    ctx, calls = Context.background(), list[Job]()
    ctx.cancel(reason)
    outcome = attempt(lambda ctx, job: calls.append(job), ctx)
    assert outcome == Outcome(Status.PENDING, error=f"cancelled: {reason}", retry_after=FLOOR)
    assert calls == []


# Sync and async


async def return_later(ctx: Context, job: Job) -> bytes:
    await asyncio.sleep(0)
    return b"r"


def test_an_async_def_run_as_a_plain_handler_fails_and_leaves_no_warning() -> None:
    outcome = run(return_later, Context.background(), Job("mail"), FLOOR)  # type: ignore[arg-type]
    gc.collect()  # a coroutine that was never awaited would warn here, and warnings are errors
    assert outcome.status is Status.FAILED
    assert outcome.error is not None
    assert "returned a coroutine" in outcome.error
    assert "`async def`" in outcome.error


def test_a_plain_function_run_as_async_fails() -> None:
    handler: Any = returning(b"r")
    outcome = asyncio.run(run_async(handler, Context.background(), Job("mail"), FLOOR))
    assert outcome.status is Status.FAILED
    assert outcome.error is not None
    assert outcome.error.startswith("the handler returned bytes, which cannot be awaited")


def test_whatever_can_be_awaited_is() -> None:
    def handler(ctx: Context, job: Job) -> asyncio.Task[bytes]:
        return asyncio.ensure_future(return_later(ctx, job))

    async def attempt() -> Outcome:
        return await run_async(handler, Context.background(), Job("mail"), FLOOR)

    assert asyncio.run(attempt()) == Outcome(Status.DONE, b"r")


def test_cancelling_the_task_of_a_run_ends_in_an_outcome() -> None:
    async def attempt(reason: CancelReason | None) -> Outcome:
        started = asyncio.Event()

        async def handler(ctx: Context, job: Job) -> bytes:
            started.set()
            await asyncio.Event().wait()
            raise AssertionError("nobody sets it")

        ctx = Context.background()
        task = asyncio.create_task(run_async(handler, ctx, Job("mail"), FLOOR))
        ctx.on_cancel(task.cancel)
        await asyncio.wait_for(started.wait(), 10)
        if reason is None:
            task.cancel()
        else:
            ctx.cancel(reason)
        return await asyncio.wait_for(task, 10)

    assert asyncio.run(attempt(CancelReason.SHUTDOWN)).status is None
    assert asyncio.run(attempt(CancelReason.LEASE_LOST)).status is None
    assert asyncio.run(attempt(None)).status is Status.FAILED


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_what_would_end_the_event_loop_does_not_reach_it(error: BaseException) -> None:
    async def handler(ctx: Context, job: Job) -> bytes:
        await asyncio.sleep(0)
        raise error

    async def attempts() -> list[Outcome]:
        calls = [
            run_async(fn, Context.background(), Job("mail"), FLOOR)
            for fn in (handler, return_later)
        ]
        return list(await asyncio.gather(*calls))

    assert [outcome.status for outcome in asyncio.run(attempts())] == [Status.PANIC, Status.DONE]


def test_an_error_before_the_first_await_is_an_outcome() -> None:
    async def takes_nothing() -> None: ...

    handler: Any = takes_nothing
    outcome = asyncio.run(run_async(handler, Context.background(), Job("mail"), FLOOR))
    assert outcome.status is Status.FAILED
    assert outcome.error is not None
    assert "takes_nothing() takes 0 positional arguments but 2 were given" in outcome.error


class _Unreadable(RetryableError):
    """Its delay cannot be read."""

    @property
    def retry_after(self) -> timedelta:
        raise LookupError("no delay")

    @retry_after.setter
    def retry_after(self, delay: timedelta) -> None: ...


def test_an_error_that_cannot_be_looked_into_is_an_outcome_too() -> None:
    """Or the thread would end, and its job be held for ever."""

    def fn(ctx: Context, job: Job) -> None:
        raise _Unreadable

    outcome = run(fn, Context.background(), Job("kind"), timedelta(0))
    assert outcome.status is Status.FAILED
    assert outcome.error == "_Unreadable: it cannot be read: LookupError"
