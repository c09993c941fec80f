"""Workers that fall silent: killed, paused, or forgotten by Redis."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, RedisQueue, Status
from redisjobs.operations.claim import Claimed, ClaimRequest, claim
from redisjobs.operations.giving_back import reap
from redisjobs.worker import round_trips
from redisjobs.worker.incarnation import Life
from tests.pace import BelievedPace
from tests.running import Ledger, assert_sound, held, running, wait_for_end
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer
    from redisjobs.keys import Keys
    from redisjobs.operations.operation import Operation
    from tests.worker_process import Wire, WorkerProcess

LEASE_S = 0.6
# What a loaded machine may take on top.
SLACK_S = 4.0


class Blocking:
    """A handler that is held back until the test lets it end."""

    def __init__(self) -> None:
        self.began, self.gate = threading.Event(), threading.Event()
        self.reasons: list[Any] = []
        self.runs = 0
        self._context: Context | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the sync run that began last was cancelled."""
        return self._context is not None and self._context.cancelled

    def sync(self, ctx: Context, job: Job) -> bytes:
        self.runs += 1
        self._context = ctx
        self.began.set()
        wait_for_event(self.gate, "the test lets the handler end", 20)
        self.reasons.append(ctx.cancel_reason)
        return b"run %d" % self.runs

    async def awaited(self, ctx: Context, job: Job) -> bytes:
        self.runs += 1
        self.began.set()
        try:
            await asyncio.to_thread(self.gate.wait, 20)
        finally:
            self.reasons.append(ctx.cancel_reason)
        return b"run %d" % self.runs


def _ids(queue: RedisQueue, pid: int) -> list[str]:
    return [worker.id for worker in queue.stats().workers if worker.pid == pid]


def _losses(client: redis.Redis, queue: RedisQueue, job: Job) -> int:
    return int(client.hget(queue.keys.losses, job.id) or 0)


class TestKilled:
    def test_its_jobs_run_again_within_the_lease_and_two_heartbeats(
        self,
        queue: RedisQueue,
        client: redis.Redis,
        wire: Wire,
        start_worker: Callable[..., WorkerProcess],
    ) -> None:
        jobs = [Job("block") for _ in range(3)]
        queue.enqueue(*jobs)
        process, ledger = start_worker(lease=LEASE_S), Ledger()
        assert {wire.receive("began") for _ in jobs} == {job.id for job in jobs}
        with running(queue, {"block": ledger.note}, lease=LEASE_S):
            process.signal(signal.SIGKILL)
            killed = time.monotonic()
            ledger.wait_for(job.id for job in jobs)
            assert time.monotonic() - killed < LEASE_S * 5 / 3 + SLACK_S
        assert ledger.runs == {job.id: 1 for job in jobs}
        assert_sound(client, queue)

    def test_a_job_that_kills_its_worker_each_time_ends_and_the_others_are_done(
        self,
        queue: RedisQueue,
        client: redis.Redis,
        wire: Wire,
        start_worker: Callable[..., WorkerProcess],
    ) -> None:
        poison, good = Job("poison"), [Job("quick") for _ in range(30)]
        queue.enqueue(*good[:15], poison, *good[15:])
        settings: dict[str, Any] = {"lease": LEASE_S, "max_losses": 2}
        ledger, deaths = Ledger(), 0
        # This one can run the good ones, and takes the jobs of the dead back.
        with running(queue, {"quick": ledger.note}, **settings):
            while True:
                process = start_worker(**settings)
                wait_until(
                    lambda process=process: (
                        process.process.poll() is not None or _ended(queue, poison)
                    ),  # type: ignore[misc]
                    "the worker dies, or the poison has ended",
                    20,
                )
                if _ended(queue, poison):
                    break
                deaths += 1
                assert process.wait() == -signal.SIGKILL
                wait_until(
                    lambda deaths=deaths: (
                        _losses(client, queue, poison) == deaths  # type: ignore[misc]
                        or _ended(queue, poison)
                    ),
                    "the loss is counted",
                )
            process.signal(signal.SIGTERM)
            process.wait()
        assert deaths == 3
        (ended,) = wait_for_end(queue, poison.id)
        assert (ended.status, ended.last_error) == (
            Status.PANIC,
            "panic: lost its worker too often",
        )
        done = wait_for_end(queue, *(job.id for job in good))
        assert {job.status for job in done} == {Status.DONE}
        assert_sound(client, queue)


def _ended(queue: RedisQueue, job: Job) -> bool:
    stored = queue.get(job.id)
    return stored is not None and stored.status is not Status.PENDING


class TestPaused:
    def test_loses_its_jobs_hears_of_it_and_goes_on_under_a_new_id(
        self,
        queue: RedisQueue,
        client: redis.Redis,
        wire: Wire,
        start_worker: Callable[..., WorkerProcess],
    ) -> None:
        job, only_there, elsewhere = Job("listen"), Job("quick"), Blocking()
        queue.enqueue(job)
        process = start_worker(lease=LEASE_S)
        wire.receive("began")
        (old_id,) = _ids(queue, process.process.pid)
        with running(queue, {"listen": elsewhere.sync}, lease=LEASE_S):
            process.signal(signal.SIGSTOP)
            wait_for_event(elsewhere.began, "the job runs elsewhere")
            assert _losses(client, queue, job) == 1
            process.signal(signal.SIGCONT)
            assert wire.receive("heard") == "lease lost"
            queue.enqueue(only_there)
            assert wire.receive("ran") == only_there.id
            (new_id,) = _ids(queue, process.process.pid)
            assert new_id != old_id
            assert _losses(client, queue, job) == 0, "a lapse is not a death"
            elsewhere.gate.set()
            (done,) = wait_for_end(queue, job.id)
        assert (done.result, done.attempts_done) == (b"run 1", 1), "not the late outcome"
        wait_until(
            lambda: f"job {job.id} (listen): the lock was lost" in process.log,
            "the late outcome is refused and logged",
        )
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
        assert_sound(client, queue)


class TestForgotten:
    """By Redis, while it lives: somebody reaped it, or removed its registration."""

    @pytest.mark.parametrize("way", ["sync", "awaited"])
    def test_what_it_ran_is_told_and_runs_again_when_that_has_ended(
        self, queue: RedisQueue, client: redis.Redis, way: str
    ) -> None:
        job, handler, other = Job("kind"), Blocking(), Ledger()
        queue.enqueue(job)
        handlers = {"kind": getattr(handler, way), "other": other.note}
        with running(queue, handlers, lease=120):
            wait_for_event(handler.began, "the handler has begun")
            (old_id,) = held(client, queue)
            client.zrem(queue.keys.workers, old_id)
            probe = Job("other")
            queue.enqueue(probe)
            other.wait_for([probe.id])
            assert old_id.decode() not in [one.id for one in queue.stats().workers]
            if way == "sync":
                assert handler.runs == 1, "not twice at once in this process"
            handler.gate.set()
            (done,) = wait_for_end(queue, job.id)
        assert handler.reasons == ["lease lost", None]
        assert (done.result, done.attempts_done) == (b"run 2", 1)
        assert client.hlen(queue.keys.losses) == 0
        assert_sound(client, queue)

    def test_of_those_that_nobody_keeps_each_is_refused_logged_and_run_again(
        self,
        redis_server: EmbeddedServer,
        queue_name: str,
        client: redis.Redis,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        queue = RedisQueue.from_url(redis_server.url, queue_name, retention=0)
        jobs, gate, ledger = [Job("kind") for _ in range(40)], threading.Event(), Ledger()

        def handler(ctx: Context, job: Job) -> None:
            ledger.note(ctx, job)
            wait_for_event(gate, "all have begun")

        queue.enqueue(*jobs)
        with running(queue, {"kind": handler}, lease=120, poll_interval=120, concurrency=40):
            ledger.wait_for(job.id for job in jobs)
            (old_id,) = held(client, queue)
            queue.lines.run(lambda: reap(queue.keys, old_id.decode(), None, 3, ["kind"]))
            gate.set()
            wait_until(lambda: client.hlen(queue.keys.jobs) == 0, "all are done")
        assert ledger.runs == {job.id: 2 for job in jobs}
        refused = [
            (vars(one)["job_id"], vars(one)["job_kind"], vars(one)["attempt"])
            for one in caplog.records
            if "not recorded" in one.getMessage()
        ]
        assert sorted(refused) == sorted((job.id, "kind", 1) for job in jobs)
        assert client.hlen(queue.keys.losses) == 0, "a lapse is not a death"
        assert client.hgetall(queue.keys.totals) == {b"done:kind": b"40"}
        assert_sound(client, queue)

    @pytest.mark.parametrize("way", ["sync", "awaited"])
    def test_the_outcome_of_a_run_that_ends_before_it_is_noticed_is_refused_and_logged(
        self, queue: RedisQueue, client: redis.Redis, caplog: pytest.LogCaptureFixture, way: str
    ) -> None:
        job, handler = Job("kind"), Blocking()
        queue.enqueue(job)
        # With this lease nothing but the end of the run brings the worker to Redis.
        with running(queue, {"kind": getattr(handler, way)}, lease=120, poll_interval=120):
            wait_for_event(handler.began, "the handler has begun")
            (old_id,) = held(client, queue)
            queue.lines.run(lambda: reap(queue.keys, old_id.decode(), None, 3, ["kind"]))
            handler.gate.set()
            (done,) = wait_for_end(queue, job.id)
        assert handler.runs == 2
        assert (done.result, done.attempts_done) == (b"run 2", 1)
        refused = [
            vars(one)["job_id"]
            for one in caplog.records
            if "the lock was lost" in one.getMessage() and "not recorded" in one.getMessage()
        ]
        assert refused == [job.id]
        assert_sound(client, queue)

    def test_it_runs_again_as_soon_as_the_lost_run_has_ended_here(
        self, queue: RedisQueue, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job, handler, passed_over = Job("kind"), Blocking(), threading.Semaphore(0)

        def noting(keys: Keys, request: ClaimRequest) -> Operation[Claimed]:
            reply = yield from claim(keys, request)
            if request.occupied:
                passed_over.release()
            return reply

        monkeypatch.setattr(round_trips, "claim", noting)
        queue.enqueue(job)
        with running(queue, {"kind": handler.sync}, lease=120, poll_interval=120):
            wait_for_event(handler.began, "the handler has begun")
            (old_id,) = held(client, queue)
            queue.lines.run(lambda: reap(queue.keys, old_id.decode(), None, 3, ["kind"]))
            # The first claim that passes it over rings for the others, the second does not.
            for _ in range(2):
                assert passed_over.acquire(timeout=15), "a claim has passed it over"
            handler.gate.set()
            (done,) = wait_for_end(queue, job.id)
        assert (done.result, handler.runs) == (b"run 2", 2)
        assert_sound(client, queue)

    @pytest.mark.parametrize("burned", [True, False])
    @pytest.mark.parametrize(("noticed", "behind"), [("while it runs", 3), ("at its end", 0)])
    def test_a_loss_stands_only_for_what_ran_while_the_process_burned_the_time(
        self,
        queue: RedisQueue,
        monkeypatch: pytest.MonkeyPatch,
        burned: bool,
        noticed: str,
        behind: int,
    ) -> None:
        """Else a handler that holds the interpreter beyond the lease would go round for ever."""
        handler, losses = Blocking(), dict[str, list[int]]()

        def fn(ctx: Context, job: Job) -> bytes:
            losses.setdefault(job.id, []).append(ctx.losses)
            return handler.sync(ctx, job)

        first, *others = [Job("kind") for _ in range(1 + behind)]
        queue.enqueue(first, *others)
        monkeypatch.setattr(Life, "burned_the_time", lambda life: burned)
        monkeypatch.setattr(round_trips, "Pace", BelievedPace)
        settings: dict[str, Any] = {"lease": 120, "poll_interval": 120, "prefetch": 10}
        with running(queue, {"kind": fn}, concurrency=1, **settings) as worker:
            wait_for_event(handler.began, "the first one has begun")
            (worker_id,) = [one.id for one in queue.stats().workers]
            queue.lines.run(lambda: reap(queue.keys, worker_id, None, 3, ["kind"]))
            if noticed == "while it runs":
                worker.worker.register("more", fn)  # brings it to Redis
                wait_until(lambda: handler.cancelled, "the handler is told")
            handler.gate.set()
            wait_for_end(queue, first.id, *(job.id for job in others))
        assert losses[first.id] == [0, 1 if burned else 0]
        assert [losses[job.id] for job in others] == [[0]] * behind, "they had not begun"

    def test_idle_it_goes_on_under_a_new_id(self, queue: RedisQueue, client: redis.Redis) -> None:
        ledger = Ledger()
        with running(queue, {"kind": ledger.note}, lease=120):
            wait_until(lambda: queue.stats().workers, "the worker is registered")
            client.delete(queue.keys.workers, queue.keys.worker_info)
            jobs = [Job("kind") for _ in range(10)]
            queue.enqueue(*jobs)
            ledger.wait_for(job.id for job in jobs)
            assert len(queue.stats().workers) == 1
        assert set(ledger.runs.values()) == {1}
        assert_sound(client, queue)


def test_a_long_job_outlasts_many_leases(queue: RedisQueue, client: redis.Redis) -> None:
    job, handler = Job("kind"), Blocking()
    queue.enqueue(job)
    with running(queue, {"kind": handler.sync}, lease=0.3, concurrency=1):
        wait_for_event(handler.began, "the handler has begun")
        (worker,) = held(client, queue)
        first = client.zscore(queue.keys.workers, worker)
        assert isinstance(first, float)
        with running(queue, {"kind": handler.sync}, lease=0.3):
            wait_until(
                lambda: (client.zscore(queue.keys.workers, worker) or 0) > first + 1.5e6,
                "the lease was prolonged many times",
            )
            handler.gate.set()
            (done,) = wait_for_end(queue, job.id)
    assert (handler.runs, done.result) == (1, b"run 1")
    assert_sound(client, queue)
