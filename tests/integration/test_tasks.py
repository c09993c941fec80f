"""Tasks on a real server: enqueued, run by a worker, waited for."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from redisjobs import (
    AsyncRedisQueue,
    Context,
    Job,
    JobFailedError,
    JobNotEndedError,
    JobNotFoundError,
    RedisQueue,
    Registry,
    Status,
    Worker,
    current_context,
    encode,
)
from tests.running import RunningWorker
from tests.unit import codec_types as types

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redisjobs.embedded import EmbeddedServer

WAIT_S = 20.0
registry = Registry()


@registry.task("order.total")
def total(order: types.Order) -> Decimal:
    return sum((line.price * line.count for line in order.lines), Decimal(0))


@registry.task("order.ship")
async def ship(ctx: Context, order: types.Order, at: datetime) -> dict[str, datetime]:
    await asyncio.sleep(0)
    assert current_context() is ctx
    return {f"{order.id} by {ctx.job_id}": at}


@registry.task("fail")
def fail(message: str) -> None:
    raise ValueError(message)


@registry.task("leave")
async def leave() -> None:
    raise SystemExit(3)


@registry.task("who")
def who() -> str:
    return called_deeper()


def called_deeper() -> str:
    return current_context().job_id


def plain(ctx: Context, job: Job) -> bytes:
    return current_context().job_id.encode()


registry.register("plain", plain)

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
ORDER = types.Order(id=types.AN_ID, placed=types.NOON, lines=[types.Line("a", Decimal("1.10"), 3)])


@contextmanager
def running(worker: Worker) -> Iterator[None]:
    started = RunningWorker(worker)
    try:
        yield
    finally:
        started.stop()


@pytest.fixture
def worker(queue: RedisQueue) -> Worker:
    return Worker(queue, registry)


def test_jobs_of_several_kinds_are_enqueued_as_one(queue: RedisQueue, worker: Worker) -> None:
    jobs = total.job(ORDER), ship.job(ORDER, at=NOW), who.options(id="it").job(), Job("plain")
    queue.enqueue(*jobs)
    worker.run(burst=True)
    assert total.wait(queue, jobs[0], WAIT_S) == Decimal("3.30")
    assert ship.wait(queue, jobs[1], WAIT_S) == {f"{types.AN_ID} by {jobs[1].id}": NOW}
    assert who.wait(queue, "it", WAIT_S) == "it"
    ended = queue.get(jobs[3].id)
    assert ended is not None
    assert ended.result == jobs[3].id.encode()
    assert queue.check() == []


def test_a_producer_without_the_workers_code_sends_the_same(
    queue: RedisQueue, worker: Worker
) -> None:
    job = Job("order.ship", encode(ORDER, at=NOW))
    queue.enqueue(job)
    worker.run(burst=True)
    assert ship.wait(queue, job, WAIT_S) == {f"{types.AN_ID} by {job.id}": NOW}


def test_a_failure_comes_back_with_the_workers_error(queue: RedisQueue, worker: Worker) -> None:
    failing, leaving, stale = fail.job("no stock"), leave.job(), Job("fail", encode(1, 2))
    queue.enqueue(failing, leaving, stale)
    worker.run(burst=True)
    with pytest.raises(JobFailedError) as info:
        fail.wait(queue, failing, WAIT_S)
    assert (info.value.status, info.value.remote_error) == (Status.FAILED, "ValueError: no stock")
    with pytest.raises(JobFailedError, match=r"PANIC.*panic: SystemExit"):
        leave.wait(queue, leaving, WAIT_S)
    with pytest.raises(JobFailedError, match="it takes 1 argument by position, but 2"):
        fail.wait(queue, stale, WAIT_S)


def test_one_that_waits_or_is_not_there_has_no_result(queue: RedisQueue) -> None:
    job = who.options(delay=3600).job()
    queue.enqueue(job)
    stored = queue.get(job.id)
    assert stored is not None
    with pytest.raises(JobNotEndedError):
        who.result(stored)
    with pytest.raises(TimeoutError):
        who.wait(queue, job, 0.05)
    with pytest.raises(JobNotFoundError):
        who.wait(queue, "no-such-job", WAIT_S)
    queue.cancel(job.id)
    with pytest.raises(JobFailedError, match="CANCELLED"):
        who.wait(queue, job, WAIT_S)


def test_over_an_async_queue_results_are_awaited(
    queue: RedisQueue, redis_server: EmbeddedServer
) -> None:
    async def main() -> tuple[Decimal, str]:
        async_queue = AsyncRedisQueue.from_url(redis_server.url, queue.name)
        try:
            jobs = total.job(ORDER), who.job(), fail.job("no")
            await async_queue.enqueue(*jobs)
            with pytest.raises(JobFailedError, match="ValueError: no"):
                await fail.wait(async_queue, jobs[2], WAIT_S)
            return (
                await total.wait(async_queue, jobs[0], WAIT_S),
                await who.wait(async_queue, jobs[1].id, WAIT_S),
            )
        finally:
            await async_queue.close()

    with running(Worker(queue, registry)):
        price, job_id = asyncio.run(main())
    assert price == Decimal("3.30")
    assert job_id


def test_tasks_declared_after_the_worker_was_made_are_found(queue: RedisQueue) -> None:
    tasks = Registry()
    worker = Worker(queue, tasks, poll_interval=0.1)  # it looks for new kinds that often

    @tasks.task("before")
    def before() -> int:
        return 1

    with running(worker):
        job = before.job()
        queue.enqueue(job)
        assert before.wait(queue, job, WAIT_S) == 1

        @tasks.task("while")
        def meanwhile() -> int:
            return 2

        job = meanwhile.job()
        worker.enqueue(job)  # which knows the kind at once
        assert meanwhile.wait(queue, job, WAIT_S) == 2
        assert worker.kinds == ("before", "while")


def test_sync_and_async_tasks_run_side_by_side_each_with_its_context(queue: RedisQueue) -> None:
    tasks = Registry()
    met = threading.Barrier(3)

    @tasks.task("sync")
    def on_a_thread() -> str:
        met.wait(WAIT_S)
        return current_context().job_id

    @tasks.task("async")
    async def on_the_loop() -> str:
        await asyncio.to_thread(met.wait, WAIT_S)
        return current_context().job_id

    jobs = [on_a_thread.job(), on_a_thread.job(), on_the_loop.job()]
    with running(Worker(queue, tasks)):
        queue.enqueue(*jobs)
        found = [on_a_thread.wait(queue, job, WAIT_S) for job in jobs[:2]]
        found.append(on_the_loop.wait(queue, jobs[2], WAIT_S))
    assert found == [job.id for job in jobs]
