"""`await worker.arun()`: a worker as a guest in an application's event loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import AsyncRedisQueue, ConfigurationError, Context, Job, RedisQueue, Status, Worker
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from redisjobs.embedded import EmbeddedServer


def test_async_handlers_run_on_the_callers_loop_and_plain_ones_on_threads(
    queue: RedisQueue, run: Callable[..., None]
) -> None:
    ran_on: dict[str, Any] = {}

    async def awaited(ctx: Context, job: Job) -> bytes:
        ran_on["awaited"] = asyncio.get_running_loop()
        await asyncio.sleep(0)
        return b"awaited"

    def plain(ctx: Context, job: Job) -> bytes:
        ran_on["plain"] = threading.current_thread()
        return b"plain"

    jobs = [Job("awaited"), Job("plain")]
    queue.enqueue(*jobs)

    async def application() -> None:
        await Worker(queue, {"awaited": awaited, "plain": plain}).arun(burst=True)
        assert ran_on["awaited"] is asyncio.get_running_loop()
        assert ran_on["plain"] is not threading.current_thread()

    run(application())
    results = [stored.result for job in jobs if (stored := queue.get(job.id))]
    assert results == [b"awaited", b"plain"]


def test_it_serves_an_async_queue(
    redis_server: EmbeddedServer, queue_name: str, run: Callable[..., None]
) -> None:
    async def application() -> None:
        async with AsyncRedisQueue.from_url(redis_server.url, queue_name) as queue:
            worker = Worker(queue, {"kind": _echo})
            await worker.enqueue(Job("kind", b"in", id="x"))
            serving = asyncio.create_task(worker.arun())
            done = await queue.wait("x", 10)
            assert (done.status, done.result) == (Status.DONE, b"in")
            worker.stop()
            await serving
            assert await queue.check() == []

    run(application())


async def _echo(ctx: Context, job: Job) -> bytes:
    return job.payload


class _Held:
    """An async handler that goes on until it is let go, or cancelled."""

    def __init__(self) -> None:
        self.began, self.gate = asyncio.Event(), asyncio.Event()

    async def __call__(self, ctx: Context, job: Job) -> bytes:
        self.began.set()
        await self.gate.wait()
        return b"let go"


def test_cancelled_it_lets_running_handlers_end(
    queue: RedisQueue, client: redis.Redis, run: Callable[..., None]
) -> None:
    queue.enqueue(Job("kind", id="x"))

    async def application() -> None:
        held = _Held()
        serving = asyncio.create_task(Worker(queue, {"kind": held}).arun())
        await held.began.wait()
        serving.cancel()
        await asyncio.sleep(0.05)
        assert not serving.done(), "it waits for the handler"
        held.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await serving

    run(application())
    done = queue.get("x")
    assert done is not None
    assert (done.status, done.result) == (Status.DONE, b"let go")
    assert not client.exists(queue.keys.workers)


def test_cancelled_twice_it_gives_back_what_runs(
    queue: RedisQueue, client: redis.Redis, run: Callable[..., None]
) -> None:
    queue.enqueue(Job("kind", id="x"))

    async def application() -> None:
        held = _Held()
        serving = asyncio.create_task(Worker(queue, {"kind": held}).arun())
        await held.began.wait()
        for _ in range(2):
            serving.cancel()
            await asyncio.sleep(0.05)
        with suppress(asyncio.CancelledError):
            await serving

    run(application())
    waiting = queue.get("x")
    assert waiting is not None
    assert (waiting.status, waiting.attempts_done) == (Status.PENDING, 0)
    assert not client.exists(queue.keys.workers)
    assert queue.check() == []


@pytest.mark.parametrize("way", ["returns", "raises"])
def test_what_runs_when_the_application_ends_is_given_back(
    queue: RedisQueue, client: redis.Redis, run: Callable[..., None], way: str
) -> None:
    """An event loop that ends cancels all of its tasks at once: the handlers' too."""
    queue.enqueue(*(Job("kind") for _ in range(5)))

    async def application() -> None:
        held = _Held()
        serving = asyncio.create_task(Worker(queue, {"kind": held}).arun())
        await held.began.wait()
        assert not serving.done()
        if way == "raises":
            raise LookupError("the application crashed")

    with suppress(LookupError):
        run(application())
    assert queue.stats().kinds["kind"].ready == 5
    assert not client.exists(queue.keys.workers)
    assert queue.check() == []


def test_a_loop_that_was_closed_under_it_stops_it(queue: RedisQueue, client: redis.Redis) -> None:
    queue.enqueue(Job("kind", id="x"))
    loop = asyncio.new_event_loop()
    worker = Worker(queue, {"kind": _echo, "held": _echo})
    task = loop.create_task(worker.arun())
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.close()
    queue.enqueue(Job("held", id="y"))
    wait_until(lambda: not client.exists(queue.keys.workers), "the worker has left")
    held = queue.get("y")
    assert held is not None
    assert (held.status, held.attempts_done) == (Status.PENDING, 0)
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is, on purpose


def test_a_handler_sees_nothing_that_another_left_in_its_context(
    queue: RedisQueue, run: Callable[..., None]
) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
    seen: list[str] = []

    def note(job: Job) -> None:
        seen.append(tenant.get())
        tenant.set(job.id)

    def plain(ctx: Context, job: Job) -> None:
        note(job)

    async def awaited(ctx: Context, job: Job) -> None:
        note(job)
        await asyncio.sleep(0)
        assert tenant.get() == job.id

    queue.enqueue(*(Job(kind) for kind in ("plain", "awaited") for _ in range(50)))

    async def application() -> None:
        tenant.set("application")
        worker = Worker(queue, {"plain": plain, "awaited": awaited}, concurrency=3)
        await worker.arun(burst=True)

    run(application())
    assert seen == ["application"] * 100


def test_what_ends_a_worker_is_raised(queue: RedisQueue, run: Callable[..., None]) -> None:
    async def application() -> None:
        held = _Held()
        worker = Worker(queue, {"kind": held})
        queue.enqueue(Job("kind"))
        serving = asyncio.create_task(worker.arun())
        await held.began.wait()
        with pytest.raises(ConfigurationError, match="runs already"):
            await worker.arun()
        held.gate.set()
        worker.stop()
        await serving

    run(application())


def test_stopped_before_it_returns_at_once(queue: RedisQueue, run: Callable[..., None]) -> None:
    worker = Worker(queue, {"kind": _echo})
    worker.stop()
    run(worker.arun())


def test_a_plain_queue_is_served_too(run: Callable[..., None]) -> None:
    class Plain:
        def __init__(self) -> None:
            self.jobs, self.done = [Job("kind", b"in")], list[Job]()

        def enqueue(self, *jobs: Job) -> None:
            self.jobs.extend(jobs)

        def dequeue(self, kinds: Any, fn: Callable[[Context, Job], Job]) -> bool:
            try:
                job = self.jobs.pop()
            except IndexError:
                return False
            self.done.append(fn(Context.background(), job))
            return True

    loops: list[asyncio.AbstractEventLoop] = []

    async def handler(ctx: Context, job: Job) -> bytes:
        loops.append(asyncio.get_running_loop())
        return job.payload

    async def application() -> None:
        plain = Plain()
        await Worker(plain, {"kind": handler}, concurrency=1).arun(burst=True)
        assert [job.result for job in plain.done] == [b"in"]
        assert loops == [asyncio.get_running_loop()]

    run(application())
