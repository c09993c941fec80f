"""A worker over a plain `JobQueue` of somebody else's: any object with the two methods."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import (
    CancelReason,
    ConfigurationError,
    Context,
    Job,
    Status,
    UnknownKindError,
    Worker,
)
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class ListQueue:
    """A queue in memory. It calls `fn` with a context of its own, as any queue may."""

    def __init__(self) -> None:
        self.waiting: deque[Job] = deque()
        self.ended: list[Job] = []
        self.contexts: list[Context] = []
        self.failures = 0

    def enqueue(self, *jobs: Job) -> None:
        self.waiting.extend(jobs)

    def dequeue(self, kinds: Sequence[str], fn: Callable[[Context, Job], Job]) -> bool:
        if self.failures:
            self.failures -= 1
            raise OSError("the database is away")
        try:
            job = self.waiting.popleft()
        except IndexError:
            return False
        assert job.kind in kinds
        ctx = Context.background()
        self.contexts.append(ctx)
        self.ended.append(fn(ctx, job))
        return True


@pytest.fixture
def queue() -> ListQueue:
    return ListQueue()


def run(worker: Worker) -> threading.Thread:
    thread = threading.Thread(target=worker.run)
    thread.start()
    return thread


def test_sync_and_async_handlers_run_side_by_side(queue: ListQueue) -> None:
    async def shout(ctx: Context, job: Job) -> bytes:
        await asyncio.sleep(0)
        return job.payload.upper()

    worker = Worker(queue, {"echo": lambda ctx, job: job.payload, "shout": shout}, concurrency=3)
    worker.enqueue(*(Job("echo", b"a") for _ in range(5)), *(Job("shout", b"b") for _ in range(5)))
    worker.run(burst=True)
    assert sorted(job.result or b"" for job in queue.ended) == [b"B"] * 5 + [b"a"] * 5
    assert {job.status for job in queue.ended} == {Status.DONE}


def test_an_outcome_is_recorded_on_the_job(queue: ListQueue) -> None:
    def fail(ctx: Context, job: Job) -> bytes:
        raise ValueError("no")

    queue.enqueue(Job("fail"))
    Worker(queue, {"fail": fail}).run(burst=True)
    [job] = queue.ended
    assert (job.status, job.last_error, job.attempts_done) == (Status.FAILED, "ValueError: no", 1)


def test_unknown_kinds_are_refused(queue: ListQueue) -> None:
    with pytest.raises(UnknownKindError, match="'other'"):
        Worker(queue, {"a": lambda ctx, job: None}).enqueue(Job("a"), Job("other"))
    assert not queue.waiting


def test_a_dequeue_that_fails_is_tried_again(
    queue: ListQueue, caplog: pytest.LogCaptureFixture
) -> None:
    queue.failures = 2
    queue.enqueue(Job("a"))
    worker = Worker(queue, {"a": lambda ctx, job: None}, concurrency=1, poll_interval=0.1)
    thread = run(worker)
    wait_until(lambda: queue.ended, "the job to run after two failures")
    worker.stop()
    thread.join(10.0)
    assert not thread.is_alive()
    failures = [record for record in caplog.records if "dequeue failed" in record.message]
    assert len(failures) == 2


def test_a_kind_that_is_registered_while_it_runs_is_served(queue: ListQueue) -> None:
    worker = Worker(queue, poll_interval=0.1)
    thread = run(worker)
    queue.enqueue(Job("late"))
    worker.register("late", lambda ctx, job: None)
    wait_until(lambda: queue.ended, "the job of the late kind to run")
    worker.stop()
    thread.join(10.0)
    assert not thread.is_alive()


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_after_the_shutdowns_time_contexts_are_cancelled(queue: ListQueue, is_async: bool) -> None:
    begun = threading.Event()

    def wait(ctx: Context, job: Job) -> None:
        begun.set()
        assert ctx.wait_cancelled(30.0)
        ctx.raise_if_cancelled()

    async def wait_async(ctx: Context, job: Job) -> None:
        begun.set()
        await asyncio.sleep(30.0)

    handler: Any = wait_async if is_async else wait
    worker = Worker(queue, {"wait": handler}, concurrency=1, shutdown_timeout=0.05)
    queue.enqueue(Job("wait"))
    thread = run(worker)
    wait_for_event(begun, "the handler to begin")
    worker.stop()
    thread.join(10.0)
    assert not thread.is_alive()
    assert [ctx.cancel_reason for ctx in queue.contexts] == [CancelReason.SHUTDOWN]
    [job] = queue.ended
    assert (job.status, job.attempts_done) == (Status.PENDING, 0), "given back, and no attempt"


def test_its_log_names_the_job(queue: ListQueue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "redisjobs.worker")
    queue.enqueue(Job("a", id="x"))
    Worker(queue, {"a": lambda ctx, job: None}).run(burst=True)
    [record] = [one for one in caplog.records if getattr(one, "job_id", None) == "x"]
    assert (record.job_kind, record.attempt) == ("a", 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("queue", [None, object(), [], "redis://localhost"])
def test_what_is_no_queue_is_refused(queue: Any) -> None:
    with pytest.raises(ConfigurationError, match="enqueue"):
        Worker(queue)
