"""A worker that runs what is due, and returns."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, RedisQueue, RetryableError
from redisjobs.operations.claim import ClaimRequest, claim
from redisjobs.operations.membership import register
from redisjobs.worker import Worker
from tests.running import Ledger, assert_sound
from tests.waiting import wait_until

if TYPE_CHECKING:
    import redis

    from redisjobs.context import Context


def _jobs(number: int, kind: str = "kind", **fields: Any) -> list[Job]:
    return [Job(kind, **fields) for _ in range(number)]


class TestBurst:
    def test_runs_what_is_due_and_returns(self, queue: RedisQueue, client: redis.Redis) -> None:
        ledger, jobs = Ledger(), [*_jobs(700), *_jobs(300, "async")]
        later, unknown = Job("kind", delay=timedelta(hours=1)), Job("unknown")
        queue.enqueue_many([*jobs, later, unknown])
        Worker(queue, {"kind": ledger.note, "async": ledger.note_async}).run(burst=True)
        assert ledger.runs == {job.id: 1 for job in jobs}
        assert queue.stats().kinds["kind"].scheduled == 1
        assert queue.stats().kinds["unknown"].ready == 1
        assert_sound(client, queue)

    @pytest.mark.parametrize("handlers", [{}, {"kind": lambda ctx, job: None}])
    def test_with_nothing_to_do_returns(
        self, queue: RedisQueue, client: redis.Redis, handlers: dict[str, Any]
    ) -> None:
        Worker(queue, handlers).run(burst=True)
        assert_sound(client, queue)

    def test_of_many_kinds_ends(self, queue: RedisQueue) -> None:
        """What it claims along with an outcome is for those kinds alone that had work."""
        ledger, kinds = Ledger(), [f"kind-{number}" for number in range(12)]
        jobs = [Job(kind) for kind in kinds]
        queue.enqueue(*jobs)
        Worker(queue, dict.fromkeys(kinds, ledger.note), poll_interval=0.2).run(burst=True)
        assert ledger.runs == {job.id: 1 for job in jobs}

    def test_runs_what_comes_while_a_job_runs_alone(self, queue: RedisQueue) -> None:
        """Jobs that come one by one are settled without a claim by a worker that hears a bell."""
        ran: list[bytes] = []

        def has_run(number: int) -> bool:
            return len(ran) == number

        def fn(ctx: Context, job: Job) -> None:
            ran.append(job.payload)
            if job.payload == b"long":
                for expected in (2, 3, 4):
                    queue.enqueue(Job("kind", b"%d" % expected))
                    wait_until(partial(has_run, expected), "the job that came has run")
                queue.enqueue(Job("kind", b"last"))

        queue.enqueue(Job("kind", b"long"))
        Worker(queue, {"kind": fn}).run(burst=True)
        assert ran == [b"long", b"2", b"3", b"4", b"last"]

    def test_can_be_run_again(self, queue: RedisQueue) -> None:
        ledger, worker = Ledger(), Worker(queue)
        worker.register("kind", ledger.note)
        for job in _jobs(3):
            queue.enqueue(job)
            worker.run(burst=True)
            assert ledger.runs[job.id] == 1

    def test_waits_for_what_runs_and_for_what_that_enqueues(self, queue: RedisQueue) -> None:
        ran: list[bytes] = []

        def fn(ctx: Context, job: Job) -> None:
            ran.append(job.payload)
            if job.payload:
                time.sleep(0.02)
                queue.enqueue(Job("kind", job.payload[1:]))

        queue.enqueue(Job("kind", b"12345"))
        Worker(queue, {"kind": fn}).run(burst=True)
        assert ran == [b"12345", b"2345", b"345", b"45", b"5", b""]

    def test_runs_retries_that_are_due(self, queue: RedisQueue) -> None:
        attempts: list[int] = []

        def fn(ctx: Context, job: Job) -> None:
            attempts.append(ctx.attempt)
            if ctx.attempt < 3:
                raise RetryableError("again")

        queue.enqueue(Job("kind"))
        Worker(queue, {"kind": fn}, min_retry_backoff=0).run(burst=True)
        assert attempts == [1, 2, 3]

    def test_takes_the_jobs_of_the_dead_first(self, queue: RedisQueue, client: redis.Redis) -> None:
        ledger, jobs = Ledger(), _jobs(5)
        queue.enqueue(*jobs)
        _die_holding(queue, 3)
        Worker(queue, {"kind": ledger.note}, lease=0.3).run(burst=True)
        assert ledger.runs == {job.id: 1 for job in jobs}
        assert_sound(client, queue)


def _die_holding(queue: RedisQueue, number: int) -> None:
    """Leaves a worker whose lease has lapsed, with jobs in its list."""
    info = b'{"lease_ms": 300}'
    queue.lines.run(lambda: register(queue.keys, "dead", 1, info, {}))
    request = ClaimRequest("dead", ["kind"], number, number, 3, 1)
    queue.lines.run(lambda: claim(queue.keys, request))
