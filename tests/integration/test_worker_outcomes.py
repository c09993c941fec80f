"""Each row of the contract's table of outcomes, through a real worker."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, RedisQueue, RetryableError, Status
from tests.running import assert_sound, running, wait_for_end, wait_for_status
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer


@pytest.fixture
def queue(redis_server: EmbeddedServer, queue_name: str) -> Iterator[RedisQueue]:
    made = RedisQueue.from_url(redis_server.url, queue_name, max_result=1000)
    yield made
    made.close()


def _sync(does: Callable[[], Any]) -> Callable[..., Any]:
    return lambda ctx, job: does()


def _async(does: Callable[[], Any]) -> Callable[..., Any]:
    async def fn(ctx: Context, job: Job) -> Any:
        await asyncio.sleep(0)
        return does()

    return fn


BOTH = pytest.mark.parametrize("handler", [_sync, _async])


def _outcome(queue: RedisQueue, fn: Callable[..., Any], **settings: Any) -> Job:
    """What became of a job that this handler ran once; the worker runs another one after it."""
    job, after = Job("kind"), Job("after")
    began = datetime.now(UTC)
    with running(queue, {"kind": fn, "after": lambda ctx, job: b"alive"}, **settings):
        queue.enqueue(job)

        def attempted() -> bool:
            stored = queue.get(job.id)
            return stored is not None and stored.attempts_done == 1

        wait_until(attempted, f"an attempt of {job.id} is stored")
        queue.enqueue(after)
        assert wait_for_end(queue, after.id)[0].result == b"alive", "the worker survives"
    stored = queue.get(job.id)
    assert stored is not None
    assert stored.attempts_done == 1
    assert stored.last_attempt_at is not None
    now = datetime.now(UTC)
    assert began <= stored.last_attempt_at <= now
    assert began <= stored.updated_at <= now
    return stored


def _raise(err: BaseException) -> Any:
    raise err


@BOTH
@pytest.mark.parametrize("result", [b"", b"result", None])
def test_what_returned_is_done(
    queue: RedisQueue, handler: Callable[..., Any], result: bytes | None
) -> None:
    job = _outcome(queue, handler(lambda: result))
    assert (job.status, job.result, job.last_error) == (Status.DONE, result, None)


@BOTH
@pytest.mark.parametrize(
    ("result", "error"),
    [
        ("text", "the result must be bytes or None, not str"),
        (7, "the result must be bytes or None, not int"),
        (bytearray(b"x"), "the result must be bytes or None, not bytearray"),
        (b"x" * 1001, "the result has 1,001 bytes, over the limit of 1,000"),
    ],
    ids=["str", "int", "bytearray", "too-large"],
)
def test_a_result_that_cannot_be_stored_is_a_failure(
    queue: RedisQueue, handler: Callable[..., Any], result: Any, error: str
) -> None:
    job = _outcome(queue, handler(lambda: result))
    assert (job.status, job.result) == (Status.FAILED, None)
    assert job.last_error is not None
    assert job.last_error.startswith(error)


def _retryable() -> Any:
    raise RetryableError("the shop is closed", retry_after=timedelta(minutes=1))


def _retryable_as_a_cause() -> Any:
    try:
        _retryable()
    except RetryableError as err:
        raise ValueError("no order") from err


@BOTH
@pytest.mark.parametrize("does", [_retryable, _retryable_as_a_cause])
def test_a_retryable_error_anywhere_among_the_causes_is_tried_again(
    queue: RedisQueue,
    client: redis.Redis,
    handler: Callable[..., Any],
    does: Callable[[], Any],
) -> None:
    seconds, _ = client.time()
    job = _outcome(queue, handler(does))
    assert (job.status, job.result) == (Status.PENDING, None)
    assert job.last_error == "retryable-error: the shop is closed"
    assert job.run_at is not None
    wait = job.run_at - datetime.fromtimestamp(seconds, UTC)
    assert timedelta(seconds=60) <= wait < timedelta(seconds=75)


@pytest.mark.parametrize(("floor", "at_least"), [(7.0, 7), (0.0, 2)])
def test_the_delay_of_a_retry_has_a_floor(
    queue: RedisQueue, client: redis.Redis, floor: float, at_least: int
) -> None:
    seconds, _ = client.time()
    error = RetryableError("soon", retry_after=timedelta(seconds=2))
    job = _outcome(queue, _sync(lambda: _raise(error)), min_retry_backoff=floor)
    assert job.run_at is not None
    wait = job.run_at - datetime.fromtimestamp(seconds, UTC)
    assert timedelta(seconds=at_least) <= wait < timedelta(seconds=at_least + 10)


@BOTH
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no order"), "ValueError: no order"),
        (ValueError(), "ValueError"),
        (asyncio.CancelledError("mine"), "CancelledError: mine"),
        (ExceptionGroup("two", [ValueError("a"), KeyError("b")]), "ExceptionGroup: two"),
    ],
    ids=["error", "without-words", "cancelled-by-itself", "group"],
)
def test_any_other_error_is_a_failure(
    queue: RedisQueue, handler: Callable[..., Any], error: BaseException, text: str
) -> None:
    job = _outcome(queue, handler(lambda: _raise(error)))
    assert (job.status, job.result) == (Status.FAILED, None)
    assert job.last_error is not None
    assert job.last_error.startswith(text)


@BOTH
@pytest.mark.parametrize(
    ("does", "text"),
    [
        (lambda: sys.exit(3), "panic: SystemExit: 3"),
        (lambda: _raise(KeyboardInterrupt()), "panic: KeyboardInterrupt"),
        (lambda: _raise(GeneratorExit("x")), "panic: GeneratorExit: x"),
    ],
    ids=["exit", "interrupt", "generator-exit"],
)
def test_what_is_no_exception_is_a_panic(
    queue: RedisQueue, handler: Callable[..., Any], does: Callable[[], Any], text: str
) -> None:
    job = _outcome(queue, handler(does))
    assert (job.status, job.result, job.last_error) == (Status.PANIC, None, text)


@BOTH
def test_done_after_a_retry_keeps_the_error_of_before(
    queue: RedisQueue, client: redis.Redis, handler: Callable[..., Any]
) -> None:
    errors = [RetryableError("first"), RetryableError("second")]
    job = Job("kind")

    def does() -> bytes:
        if errors:
            raise errors.pop(0)
        return b"at last"

    with running(queue, {"kind": handler(does)}, min_retry_backoff=0):
        queue.enqueue(job)
        (done,) = wait_for_end(queue, job.id)
    assert (done.status, done.result, done.attempts_done) == (Status.DONE, b"at last", 3)
    assert done.last_error == "retryable-error: second"
    assert_sound(client, queue)


@BOTH
def test_done_after_an_operators_retry_keeps_the_error_of_before(
    queue: RedisQueue, client: redis.Redis, handler: Callable[..., Any]
) -> None:
    """Its attempts are counted anew, so it is done at its first; and it has no result."""
    errors, job = [ValueError("smtp is down")], Job("kind")

    def does() -> None:
        if errors:
            raise errors.pop(0)

    with running(queue, {"kind": handler(does)}):
        queue.enqueue(job)
        wait_for_end(queue, job.id)
        assert queue.retry(job.id)
        wait_until(lambda: queue.stats().kinds["kind"].done == 1, "it is done")
    done = queue.get(job.id)
    assert done is not None
    assert (done.attempts_done, done.last_error) == (1, "ValueError: smtp is down")
    assert_sound(client, queue)


def test_each_attempt_tells_its_number_and_has_a_greater_token(queue: RedisQueue) -> None:
    seen: list[tuple[int, int]] = []

    def fn(ctx: Context, job: Job) -> None:
        seen.append((ctx.attempt, ctx.token))
        assert job.attempts_done == ctx.attempt - 1
        if ctx.attempt < 4:
            raise RetryableError("again")

    job = Job("kind")
    with running(queue, {"kind": fn}, min_retry_backoff=0):
        queue.enqueue(job)
        wait_for_end(queue, job.id)
    assert [attempt for attempt, _ in seen] == [1, 2, 3, 4]
    tokens = [token for _, token in seen]
    assert tokens == sorted(set(tokens))


def test_what_a_handler_writes_to_its_job_is_not_settled(queue: RedisQueue) -> None:
    def fn(ctx: Context, job: Job) -> bytes:
        job.id, job.kind, job.payload = "other", "other", b"other"
        job.status, job.attempts_done, job.last_error = Status.FAILED, 99, "other"
        job.run_at = datetime(2100, 1, 1, tzinfo=UTC)
        return b"mine"

    job = Job("kind", b"payload")
    with running(queue, {"kind": fn}):
        queue.enqueue(job)
        (done,) = wait_for_end(queue, job.id)
    assert (done.id, done.kind, done.payload) == (job.id, "kind", b"payload")
    assert (done.status, done.result, done.attempts_done) == (Status.DONE, b"mine", 1)
    assert done.last_error is None


def test_a_failed_job_that_is_retried_begins_anew(queue: RedisQueue) -> None:
    seen: list[int] = []

    def fn(ctx: Context, job: Job) -> bytes:
        seen.append(ctx.attempt)
        if len(seen) == 1:
            raise ValueError("no order")
        return b"now"

    job = Job("kind")
    with running(queue, {"kind": fn}):
        queue.enqueue(job)
        wait_for_end(queue, job.id)
        assert queue.retry(job.id)
        wait_until(lambda: len(seen) == 2, "it ran again")
        done = wait_for_status(queue, job.id, Status.DONE)
    assert (done.result, done.attempts_done) == (b"now", 1)
    assert seen == [1, 1]


def test_more_results_than_one_call_may_carry_are_all_stored(
    redis_server: EmbeddedServer, client: redis.Redis, queue_name: str
) -> None:
    queue = RedisQueue.from_url(redis_server.url, queue_name)
    jobs, barrier = [Job("kind") for _ in range(12)], threading.Barrier(12)

    def fn(ctx: Context, job: Job) -> bytes:
        barrier.wait(10)  # so that they end together
        return job.id.encode() * 40_000

    queue.enqueue(*jobs)
    with running(queue, {"kind": fn}, concurrency=12):
        ended = wait_for_end(queue, *(job.id for job in jobs))
    assert all(job.result == job.id.encode() * 40_000 for job in ended)
    assert_sound(client, queue)
    queue.close()


@BOTH
def test_the_log_tells_job_kind_and_attempt(
    queue: RedisQueue, caplog: pytest.LogCaptureFixture, handler: Callable[..., Any]
) -> None:
    caplog.set_level(logging.DEBUG, "redisjobs.worker")
    errors: list[BaseException] = [RetryableError("once"), ValueError("no order")]
    done, failed = Job("done"), Job("failed")

    def says(ctx: Context, job: Job) -> None:
        ctx.logger.info("packing", extra={"weight": 3})

    kinds = {"done": says, "failed": handler(lambda: _raise(errors.pop(0)))}
    with running(queue, kinds, min_retry_backoff=0):
        queue.enqueue(done, failed)
        wait_for_end(queue, done.id, failed.id)

    def told(level: int, job: Job) -> list[tuple[Any, ...]]:
        return [
            (fields["job_kind"], fields["attempt"], fields["queue_name"])
            for fields in map(vars, caplog.records)
            if fields["levelno"] == level and fields.get("job_id") == job.id
        ]

    assert told(logging.DEBUG, done) == [("done", 1, queue.name)]
    assert told(logging.INFO, done) == [("done", 1, queue.name)], "the handler's own"
    assert told(logging.WARNING, failed) == [("failed", 1, queue.name)]
    assert told(logging.ERROR, failed) == [("failed", 2, queue.name)]
    (packing,) = [vars(one) for one in caplog.records if one.getMessage() == "packing"]
    assert packing["weight"] == 3
    assert packing["worker_id"]
