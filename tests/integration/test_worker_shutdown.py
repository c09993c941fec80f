"""How a worker stops: what has not begun goes back, what runs may end, for a while."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, RedisQueue, Status
from redisjobs.worker import Worker, round_trips
from redisjobs.worker.shutdown import GRACE_S
from tests.pace import BelievedPace
from tests.proxy import Proxy
from tests.running import Ledger, RunningWorker, assert_sound, held, running, wait_for_end
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer
    from tests.worker_process import Wire, WorkerProcess

SHORT_S = 0.1


class Running:
    """Handlers that tell that they have begun, and what they hear of the shutdown."""

    def __init__(self) -> None:
        self.began, self.gate = threading.Event(), threading.Event()
        self.heard: list[Any] = []

    def waits_sync(self, ctx: Context, job: Job) -> bytes:
        """Ends in its own time."""
        self.began.set()
        wait_for_event(self.gate, "the test lets the handler end")
        self.heard.append(ctx.cancelled)
        return b"through"

    async def waits_async(self, ctx: Context, job: Job) -> bytes:
        self.began.set()
        assert await asyncio.to_thread(self.gate.wait, 10)
        self.heard.append(ctx.cancelled)
        return b"through"

    def heeds_sync(self, ctx: Context, job: Job) -> None:
        """Ends when it is cancelled."""
        self.began.set()
        assert ctx.wait_cancelled(10)
        self.heard.append(ctx.cancel_reason)
        ctx.raise_if_cancelled()

    async def heeds_async(self, ctx: Context, job: Job) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.heard.append(ctx.cancel_reason)
            raise


@pytest.fixture
def handlers() -> Iterator[Running]:
    made = Running()
    yield made
    made.gate.set()


def _waits_as_before(queue: RedisQueue, client: redis.Redis, job: Job) -> None:
    stored = queue.get(job.id)
    assert stored is not None
    assert (stored.status, stored.attempts_done) == (Status.PENDING, 0)
    assert stored.last_error is None
    assert client.hget(queue.keys.losses, job.id) is None
    assert queue.stats().kinds[job.kind].ready >= 1


class TestStop:
    @pytest.mark.parametrize("way", ["waits_sync", "waits_async"])
    def test_waits_for_what_runs(
        self, queue: RedisQueue, client: redis.Redis, handlers: Running, way: str
    ) -> None:
        job, unstarted = Job("kind"), Job("kind")
        queue.enqueue(job, unstarted)
        worker = Worker(queue, {"kind": getattr(handlers, way)}, concurrency=1)
        thread = RunningWorker(worker)
        wait_for_event(handlers.began, "the handler has begun")
        worker.stop()
        wait_until(lambda: queue.stats().kinds["kind"].ready == 1, "the other one is given back")
        assert thread.is_running
        handlers.gate.set()
        thread.join()
        assert handlers.heard == [False]
        assert wait_for_end(queue, job.id)[0].result == b"through"
        _waits_as_before(queue, client, unstarted)
        assert_sound(client, queue)

    @pytest.mark.parametrize("burst", [True, False])
    @pytest.mark.parametrize("is_async", [True, False])
    def test_may_be_called_by_a_handler(
        self, queue: RedisQueue, client: redis.Redis, burst: bool, is_async: bool
    ) -> None:
        def stops(ctx: Context, job: Job) -> bytes:
            worker.stop()
            return b"the last one"

        async def stops_async(ctx: Context, job: Job) -> bytes:
            return stops(ctx, job)

        jobs = [Job("kind"), Job("kind")]
        queue.enqueue(*jobs)
        handler = stops_async if is_async else stops
        worker = Worker(queue, {"kind": handler}, concurrency=1, prefetch=0)
        worker.run(burst=burst)
        assert wait_for_end(queue, jobs[0].id)[0].result == b"the last one"
        _waits_as_before(queue, client, jobs[1])
        assert_sound(client, queue)

    def test_gives_back_what_has_not_begun_in_its_order(
        self,
        queue: RedisQueue,
        client: redis.Redis,
        handlers: Running,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        jobs = [Job("kind") for _ in range(31)]
        queue.enqueue(*jobs)
        monkeypatch.setattr(round_trips, "Pace", BelievedPace)
        worker = Worker(queue, {"kind": handlers.waits_sync}, concurrency=1, prefetch=50)
        thread = RunningWorker(worker)
        wait_for_event(handlers.began, "the first one has begun")
        worker.stop()
        wait_until(lambda: queue.stats().kinds["kind"].ready == 30, "the others are given back")
        handlers.gate.set()
        thread.join()
        assert client.hlen(queue.keys.losses) == 0
        order: list[str] = []
        queue.enqueue(Job("kind", id="the last"))
        Worker(queue, {"kind": lambda ctx, job: order.append(job.id)}, concurrency=1).run(
            burst=True
        )
        assert order == [*(job.id for job in jobs[1:]), "the last"]

    @pytest.mark.parametrize("way", ["heeds_sync", "heeds_async"])
    def test_after_its_time_cancels_what_runs_and_gives_it_back(
        self, queue: RedisQueue, client: redis.Redis, handlers: Running, way: str
    ) -> None:
        job = Job("kind")
        queue.enqueue(job)
        settings = {"shutdown_timeout": SHORT_S}
        with running(queue, {"kind": getattr(handlers, way)}, **settings):
            wait_for_event(handlers.began, "the handler has begun")
        assert handlers.heard == ["shutdown"]
        _waits_as_before(queue, client, job)
        assert_sound(client, queue)

    @pytest.mark.parametrize("way", ["heeds_sync", "heeds_async"])
    def test_without_time_cancels_at_once(
        self, queue: RedisQueue, client: redis.Redis, handlers: Running, way: str
    ) -> None:
        job = Job("kind")
        queue.enqueue(job)
        with running(queue, {"kind": getattr(handlers, way)}, shutdown_timeout=0):
            wait_for_event(handlers.began, "the handler has begun")
        assert handlers.heard == ["shutdown"]
        _waits_as_before(queue, client, job)

    def test_a_handler_that_ends_well_after_it_was_cancelled_is_done(
        self, queue: RedisQueue
    ) -> None:
        began = threading.Event()

        def fn(ctx: Context, job: Job) -> bytes:
            began.set()
            assert ctx.wait_cancelled(10)
            return b"finished all the same"

        job = Job("kind")
        queue.enqueue(job)
        with running(queue, {"kind": fn}, shutdown_timeout=SHORT_S):
            wait_for_event(began, "the handler has begun")
        (done,) = wait_for_end(queue, job.id)
        assert (done.status, done.result) == (Status.DONE, b"finished all the same")

    def test_leaves_a_hung_handler_behind_and_gives_its_job_back(
        self, queue: RedisQueue, client: redis.Redis, handlers: Running
    ) -> None:
        job = Job("kind")
        queue.enqueue(job)
        worker = Worker(queue, {"kind": handlers.waits_sync}, shutdown_timeout=SHORT_S)
        thread = RunningWorker(worker)
        wait_for_event(handlers.began, "the handler has begun")
        began = time.monotonic()
        thread.stop()
        assert SHORT_S + GRACE_S <= time.monotonic() - began < SHORT_S + GRACE_S + 3
        _waits_as_before(queue, client, job)
        assert_sound(client, queue)
        ledger = Ledger()
        Worker(queue, {"kind": ledger.note}).run(burst=True)
        handlers.gate.set()
        wait_until(lambda: handlers.heard, "the hung handler has ended")
        assert wait_for_end(queue, job.id)[0].result == job.id.encode(), "not the hung one's"

    @pytest.mark.parametrize("way", ["heeds_sync", "heeds_async"])
    def test_cancels_what_runs_also_while_redis_is_away(
        self, redis_server: EmbeddedServer, queue_name: str, handlers: Running, way: str
    ) -> None:
        with Proxy(redis_server.url) as proxy:
            queue = RedisQueue.from_url(proxy.url, queue_name)
            queue.enqueue(Job("kind"))
            settings: dict[str, Any] = {"shutdown_timeout": SHORT_S, "lease": 60}
            worker = Worker(queue, {"kind": getattr(handlers, way)}, **settings)
            thread = RunningWorker(worker)
            wait_for_event(handlers.began, "the handler has begun")
            proxy.down()
            wait_until(lambda: proxy.refused, "the worker has seen that Redis is away")
            thread.stop()
            assert handlers.heard == ["shutdown"]

    def test_while_redis_is_away_at_the_start_ends_at_once(
        self, redis_server: EmbeddedServer, queue_name: str
    ) -> None:
        with Proxy(redis_server.url) as proxy:
            queue = RedisQueue.from_url(proxy.url, queue_name)
            proxy.down()
            thread = RunningWorker(Worker(queue, {"kind": lambda ctx, job: None}))
            wait_until(lambda: proxy.refused, "the worker has tried to reach Redis")
            thread.stop(5)

    def test_a_worker_outlasts_a_redis_that_is_away_at_the_start(
        self, redis_server: EmbeddedServer, queue: RedisQueue
    ) -> None:
        ledger, job = Ledger(), Job("kind")
        queue.enqueue(job)
        with Proxy(redis_server.url) as proxy:
            proxy.down()
            far = RedisQueue.from_url(proxy.url, queue.name)
            with running(far, {"kind": ledger.note}):
                wait_until(lambda: proxy.refused, "the worker has tried to reach Redis")
                proxy.up()
                ledger.wait_for([job.id], 10)


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_the_first_one_stops_the_worker_gracefully(
        self,
        queue: RedisQueue,
        client: redis.Redis,
        wire: Wire,
        start_worker: Callable[..., WorkerProcess],
        number: signal.Signals,
    ) -> None:
        job, unstarted = Job("block"), Job("block")
        queue.enqueue(job, unstarted)
        process = start_worker(concurrency=1)
        assert wire.receive("began") == job.id
        process.signal(number)
        # Else the job may end before that, and the other one begin.
        wait_until(lambda: "stops: 1 jobs" in process.log, "the worker heeds the signal")
        wire.send(f"go {job.id}", "on")
        assert process.wait() == 0
        assert wait_for_end(queue, job.id)[0].result == b"through"
        _waits_as_before(queue, client, unstarted)
        assert_sound(client, queue)

    @pytest.mark.parametrize(
        ("first", "second"),
        [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT), (15, 2)],
    )
    def test_the_second_one_ends_it_at_once(
        self,
        queue: RedisQueue,
        client: redis.Redis,
        wire: Wire,
        start_worker: Callable[..., WorkerProcess],
        first: signal.Signals,
        second: signal.Signals,
    ) -> None:
        queue.enqueue(Job("block"))
        process = start_worker()
        wire.receive("began")
        process.signal(first)
        wait_until(lambda: "stops: 1 jobs" in process.log, "the worker heeds the first signal")
        process.signal(second)
        assert process.wait(5) == 128 + second
        assert len(held(client, queue)) == 1, "its job waits for a reaper"
