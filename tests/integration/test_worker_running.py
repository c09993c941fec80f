"""A worker at work: what wakes it, in which order jobs run, register(), enqueue() and burst."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
import time
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import redis

from redisjobs import Job, RedisQueue, RetryableError, Status
from redisjobs.errors import ConfigurationError, InvalidJobError, UnknownKindError
from redisjobs.operations.claim import Claimed
from redisjobs.worker import Worker, round_trips
from redisjobs.worker.capacity import Capacity, Room
from redisjobs.worker.incarnation import Life
from redisjobs.worker.outcomes import Clerk
from tests.pace import BelievedPace
from tests.running import (
    Ledger,
    RunningWorker,
    assert_sound,
    held,
    running,
    snapshot,
    wait_for_end,
)
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer

# With these nothing is found by asking now and then: what is late was not rung for.
NO_POLLING: dict[str, Any] = {"poll_interval": 120, "lease": 120}


def _jobs(number: int, kind: str = "kind", **fields: Any) -> list[Job]:
    return [Job(kind, **fields) for _ in range(number)]


class TestWaking:
    def test_a_job_that_comes_wakes_an_idle_worker(self, queue: RedisQueue) -> None:
        ledger = Ledger()
        with running(queue, {"kind": ledger.note}, **NO_POLLING):
            for job in _jobs(50):
                queue.enqueue(job)
                ledger.wait_for([job.id], 10)

    def test_a_scheduled_job_runs_at_its_time_and_not_before(
        self, queue: RedisQueue, client: redis.Redis
    ) -> None:
        began: dict[str, float] = {}

        def fn(ctx: Context, job: Job) -> None:
            seconds, microseconds = client.time()
            began[job.id] = seconds + microseconds / 1e6

        jobs = [Job("kind", delay=timedelta(milliseconds=ms)) for ms in (150, 50, 100, 300)]
        with running(queue, {"kind": fn}, **NO_POLLING):
            seconds, microseconds = client.time()
            queue.enqueue(*jobs)
            wait_until(lambda: len(began) == 4, "all have run", 10)
        for job in jobs:
            late_s = began[job.id] - (seconds + microseconds / 1e6) - job.delay.total_seconds()
            assert late_s >= 0
        order = sorted(jobs, key=lambda job: began[job.id])
        assert [job.delay for job in order] == sorted(job.delay for job in jobs)

    def test_an_earlier_time_than_the_one_that_it_sleeps_for_wakes_it(
        self, queue: RedisQueue
    ) -> None:
        ledger = Ledger()
        late, early = Job("kind", delay=timedelta(hours=1)), Job("kind", delay=timedelta(0, 0.2))
        with running(queue, {"kind": ledger.note}, **NO_POLLING) as worker:
            queue.enqueue(late)
            wait_until(lambda: queue.stats().workers, "the worker is registered")
            queue.enqueue(early)
            ledger.wait_for([early.id], 10)
            assert worker.is_running
        assert late.id not in ledger.runs

    def test_a_slot_that_gets_free_is_used(self, queue: RedisQueue) -> None:
        ledger, jobs = Ledger(), _jobs(200)
        queue.enqueue(*jobs)
        with running(queue, {"kind": ledger.note}, concurrency=1, prefetch=0, **NO_POLLING):
            ledger.wait_for(job.id for job in jobs)
        assert set(ledger.runs.values()) == {1}


class TestOrder:
    def test_jobs_of_a_kind_run_first_come_first_served(self, queue: RedisQueue) -> None:
        order: list[str] = []
        jobs = _jobs(1000)
        for first in range(0, 1000, 100):
            queue.enqueue(*jobs[first : first + 100])

        with running(queue, {"kind": lambda ctx, job: order.append(job.id)}, concurrency=1):
            wait_until(lambda: len(order) == 1000, "all have run")
        assert order == [job.id for job in jobs]

    @pytest.mark.parametrize(("slots", "prefetch", "first"), [(1, 0, 10), (2, "auto", 300)])
    def test_a_flood_of_one_kind_does_not_starve_another(
        self, queue: RedisQueue, slots: int, prefetch: Any, first: int
    ) -> None:
        order: list[str] = []

        def fn(ctx: Context, job: Job) -> None:
            order.append(job.kind)

        queue.enqueue(*_jobs(3000, "flood"))
        queue.enqueue(Job("rare"))
        handlers = {"flood": fn, "rare": fn}
        with running(queue, handlers, concurrency=slots, prefetch=prefetch):
            wait_until(lambda: "rare" in order, "the rare one has run")
        assert order.index("rare") < first

    def test_sync_and_async_handlers_run_side_by_side(self, queue: RedisQueue) -> None:
        """Each waits for the other: only side by side they end."""
        met: dict[str, threading.Event] = {
            "sync": threading.Event(),
            "async": threading.Event(),
        }

        def sync(ctx: Context, job: Job) -> None:
            met["sync"].set()
            wait_for_event(met["async"], "the async handler runs")

        async def awaited(ctx: Context, job: Job) -> None:
            met["async"].set()
            assert await asyncio.to_thread(met["sync"].wait, 10)

        jobs = [Job("sync"), Job("async")]
        with running(queue, {"sync": sync, "async": awaited}, concurrency=2):
            queue.enqueue(*jobs)
            ended = wait_for_end(queue, *(job.id for job in jobs))
        assert [job.status for job in ended] == [Status.DONE] * 2

    def test_several_workers_run_each_job_once(
        self, queue: RedisQueue, client: redis.Redis
    ) -> None:
        ledger, jobs = Ledger(), [*_jobs(1500), *_jobs(1500, "async")]
        handlers = {"kind": ledger.note, "async": ledger.note_async}
        with running(queue, handlers), running(queue, handlers), running(queue, handlers):
            queue.enqueue_many(jobs, chunk=100)
            ledger.wait_for(job.id for job in jobs)
        assert set(ledger.runs.values()) == {1}
        assert_sound(client, queue)


class TestPrefetch:
    def test_without_it_only_free_slots_are_claimed(
        self, queue: RedisQueue, client: redis.Redis
    ) -> None:
        most, gate = list[int](), threading.Event()

        def fn(ctx: Context, job: Job) -> None:
            (names,) = held(client, queue).values()
            most.append(len(names))
            if job.payload == b"last":
                gate.set()

        with running(queue, {"kind": fn}, concurrency=2, prefetch=0):
            queue.enqueue(*_jobs(60), Job("kind", b"last"))
            wait_for_event(gate, "the last one has run")
        assert max(most) <= 2

    def test_what_is_stuck_behind_a_long_job_runs_elsewhere(
        self, queue: RedisQueue, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One worker believes that jobs are short, and meets a long one in front of many."""
        began, gate, ledger = threading.Event(), threading.Event(), Ledger()

        def long(ctx: Context, job: Job) -> None:
            began.set()
            wait_for_event(gate, "the test lets the long job end", 20)

        others = _jobs(30)
        queue.enqueue(Job("kind"), *others)
        monkeypatch.setattr(round_trips, "Pace", BelievedPace)
        with running(queue, {"kind": long}, concurrency=1, prefetch=50, **NO_POLLING):
            wait_for_event(began, "the long job has begun")
            assert [len(names) for names in held(client, queue).values()] == [31]
            with running(queue, {"kind": ledger.note}, concurrency=4, **NO_POLLING):
                ledger.wait_for([job.id for job in others], 3)
                gate.set()
        assert set(ledger.runs.values()) == {1}
        assert queue.stats().kinds["kind"].done == 31
        assert_sound(client, queue)


class TestRegister:
    def test_works_while_the_worker_sleeps(self, queue: RedisQueue) -> None:
        ledger, waiting, coming = Ledger(), Job("new"), Job("new")
        queue.enqueue(waiting)
        with running(queue, {"old": ledger.note}, **NO_POLLING) as worker:
            wait_until(lambda: queue.stats().workers, "the worker is registered")
            worker.worker.register("new", ledger.note_async)
            ledger.wait_for([waiting.id], 10)
            queue.enqueue(coming)
            ledger.wait_for([coming.id], 10)
            wait_until(
                lambda: queue.stats().workers[0].kinds == ("old", "new"),
                "the worker tells its new kind",
            )

    def test_without_handlers_a_worker_warns_and_waits_for_it(
        self, queue: RedisQueue, caplog: pytest.LogCaptureFixture
    ) -> None:
        ledger, job = Ledger(), Job("kind")
        with running(queue, **NO_POLLING) as worker:
            queue.enqueue(job)
            wait_until(lambda: queue.stats().workers, "the worker is registered")
            assert [one.levelno for one in caplog.records if "no handlers" in one.message] == [
                logging.WARNING
            ]
            worker.worker.register("kind", ledger.note)
            ledger.wait_for([job.id], 10)


class TestEnqueue:
    def test_refuses_kinds_without_a_handler_whole(
        self, queue: RedisQueue, client: redis.Redis
    ) -> None:
        worker = Worker(queue, {"email": lambda ctx, job: None, "report": lambda ctx, job: None})
        with pytest.raises(UnknownKindError) as caught:
            worker.enqueue(Job("email"), Job("thumbnail", id="job-1"))
        for word in ("'job-1'", "'thumbnail'", "email, report"):
            assert word in str(caught.value)
        assert snapshot(client, queue) == {}

    def test_takes_what_can_run_here(self, queue: RedisQueue) -> None:
        worker = Worker(queue, {"email": lambda ctx, job: None})
        job = Job(" EMAIL ")
        assert worker.enqueue(job).created == (job.id,)
        stored = queue.get(job.id)
        assert stored is not None
        assert stored.kind == "email"

    @pytest.mark.parametrize("bad", [Job(""), Job("a\0b"), "email", None])
    def test_refuses_what_is_no_job(self, queue: RedisQueue, bad: Any) -> None:
        worker = Worker(queue, {"email": lambda ctx, job: None})
        with pytest.raises(InvalidJobError):
            worker.enqueue(bad)


class TestRun:
    def test_returns_at_once_where_stop_came_before(
        self, queue: RedisQueue, client: redis.Redis
    ) -> None:
        ledger = Ledger()
        queue.enqueue(Job("kind"))
        before = snapshot(client, queue)
        worker = Worker(queue, {"kind": ledger.note})
        worker.stop()
        worker.run()
        assert not ledger.runs
        assert snapshot(client, queue) == before

    def test_refuses_to_run_twice_at_once(self, queue: RedisQueue) -> None:
        with running(queue, {"kind": lambda ctx, job: None}) as worker:
            wait_until(lambda: queue.stats().workers, "the worker is registered")
            with pytest.raises(ConfigurationError, match="runs already"):
                worker.worker.run()

    def test_on_a_thread_leaves_signal_handlers_alone(self, queue: RedisQueue) -> None:
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = [signal.getsignal(number) for number in numbers]
        with running(queue, {"kind": lambda ctx, job: None}):
            wait_until(lambda: queue.stats().workers, "the worker is registered")
            assert [signal.getsignal(number) for number in numbers] == before

    def test_in_the_main_thread_puts_signal_handlers_back(self, queue: RedisQueue) -> None:
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = [signal.getsignal(number) for number in numbers]
        during: list[Any] = []

        def fn(ctx: Context, job: Job) -> None:
            during.extend(signal.getsignal(number) for number in numbers)

        queue.enqueue(Job("kind"))
        Worker(queue, {"kind": fn}).run(burst=True)
        assert [signal.getsignal(number) for number in numbers] == before
        assert all(one not in before for one in during)

    def test_registers_what_it_is(self, queue: RedisQueue) -> None:
        with running(queue, {"b": lambda ctx, job: None, "a": lambda ctx, job: None}, lease=7):
            wait_until(lambda: queue.stats().workers, "the worker is registered")
            (worker,) = queue.stats().workers
        assert worker.kinds == ("b", "a")
        assert (worker.concurrency, worker.held) == (10, 0)
        assert 0 < worker.lease_left <= 7

    def test_stopped_while_it_registers_leaves_nothing_behind(
        self, queue: RedisQueue, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker = Worker(queue, {"kind": lambda ctx, job: None})
        heard = Life.prolonged

        def stopped_just_then(life: Life, *arguments: Any) -> None:
            heard(life, *arguments)
            worker.stop()

        monkeypatch.setattr(Life, "prolonged", stopped_just_then)
        RunningWorker(worker).join()
        assert_sound(client, queue)

    def test_leaves_no_key_of_an_empty_queue(
        self, redis_server: EmbeddedServer, client: redis.Redis, queue_name: str
    ) -> None:
        """I8, where no records are kept."""
        queue = RedisQueue.from_url(
            redis_server.url, queue_name, retention=0, failed_retention=timedelta(0)
        )
        failures = [RetryableError("once"), ValueError("for good")]

        def fails(ctx: Context, job: Job) -> None:
            raise failures.pop(0)

        jobs = [*_jobs(50), Job("kind", delay=timedelta(0, 0.05)), Job("fails")]
        queue.enqueue(*jobs)
        ledger = Ledger()
        with running(queue, {"kind": ledger.note, "fails": fails}, min_retry_backoff=0):
            wait_until(lambda: not client.exists(queue.keys.jobs), "no job is left")
        expected = {queue.keys.meta, queue.keys.kinds, queue.keys.totals}
        left = {key for key in snapshot(client, queue) if client.ttl(key) == -1}
        assert left == expected
        assert queue.check() == []
        queue.close()


def test_tokens_grow_with_every_delivery(queue: RedisQueue) -> None:
    tokens: list[int] = []
    with running(queue, {"kind": lambda ctx, job: tokens.append(ctx.token)}, concurrency=1):
        for job in _jobs(20):
            queue.enqueue(job)
            wait_for_end(queue, job.id)
    assert all(earlier < later for earlier, later in pairwise(tokens))


class TestFairness:
    @pytest.mark.parametrize("concurrency", [1, 2])
    def test_no_kind_waits_while_another_is_served(
        self, queue: RedisQueue, concurrency: int
    ) -> None:
        """With long jobs every other turn of the pump makes no claim."""
        order: list[str] = []

        def fn(ctx: Context, job: Job) -> None:
            order.append(job.kind)
            time.sleep(0.01)  # so that its end, and not its start, is what the pump wakes for

        kinds = [f"kind-{number}" for number in range(4)]
        for kind in kinds:
            queue.enqueue(*_jobs(30, kind))
        with running(queue, dict.fromkeys(kinds, fn), concurrency=concurrency, prefetch=0):
            wait_until(lambda: len(order) >= 60, "half of the jobs have run", 20)
        assert min(order[:60].count(kind) for kind in kinds) >= 10


@pytest.mark.parametrize("refusal", ["replica", "too few replicas"])
def test_a_server_that_refuses_what_is_written_is_not_asked_in_a_busy_loop(
    own_server: OwnServer, refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It can be reached and read all the while, as after a failover or with a full disk."""
    caplog.set_level(logging.INFO, "redisjobs.worker")
    server, ledger, job = own_server(tcp=True), Ledger(), Job("kind")
    soon = Job("kind", delay=timedelta(seconds=0.5))  # so that an idle worker claims, too
    queue = RedisQueue.from_url(server.url, "refusing")
    with redis.Redis.from_url(server.url) as client, running(queue, {"kind": ledger.note}):
        wait_until(lambda: queue.stats().workers, "the worker is registered")
        queue.enqueue(soon)
        if refusal == "replica":
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
        else:
            client.config_set("min-replicas-to-write", 1)
        told = "Redis does not answer as it should"
        wait_until(lambda: told in caplog.text, "the worker is refused")
        before = client.info("stats")["total_commands_processed"]
        time.sleep(1)  # for as long a busy loop would show
        asked = client.info("stats")["total_commands_processed"] - before
        if refusal == "replica":
            client.execute_command("REPLICAOF", "NO", "ONE")
        else:
            client.config_set("min-replicas-to-write", 0)
        queue.enqueue(job)
        ledger.wait_for([soon.id, job.id], 10)
    assert asked < 200
    assert caplog.text.count(told) == 1
    queue.close()


def test_the_next_round_trip_is_under_way_while_jobs_are_unpacked(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or Redis and the worker would wait for each other."""
    seen: list[bool] = []
    deliveries = Clerk.deliveries
    worker = Worker(queue, {"kind": lambda ctx, job: None}, concurrency=200)

    def noting(clerk: Clerk, claimed: Claimed, worker_id: str) -> Any:
        engine = worker._engine
        assert engine is not None
        seen.append(engine._pump._trips.under_way)
        return deliveries(clerk, claimed, worker_id)

    monkeypatch.setattr(Clerk, "deliveries", noting)
    monkeypatch.setattr(Capacity, "room", lambda *_: Room(10, 10, [0]))  # there is always some
    queue.enqueue(*(Job("kind") for _ in range(100)))
    worker.run(burst=True)
    assert seen[:9] == [True] * 9
    assert queue.stats().kinds["kind"].done == 100
    assert queue.check() == []
