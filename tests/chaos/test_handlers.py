"""Handlers that do what handlers should not: the heartbeat and the other jobs go on, or the loss is
bounded.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, RedisQueue, Status
from redisjobs.record import LOST_TOO_OFTEN
from tests.chaos.misbehaving import LASTING, Misbehaving
from tests.running import Ledger, assert_sound, running, wait_for_end
from tests.supervised import Supervised
from tests.waiting import Deadline, wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer

LEASE_S = 0.6

SHOP = """
import os, sys
from redisjobs import RedisQueue, Worker
from tests.chaos.misbehaving import HANDLERS

sys.modules["__main__"].LEAVE_WITHIN_S = 0.2
queue = RedisQueue.from_url(os.environ["REDISJOBS_URL"], os.environ["QUEUE"])
worker = Worker(queue, HANDLERS, lease=30)
"""


@pytest.fixture
def supervised(
    redis_server: EmbeddedServer, queue: RedisQueue, tmp_path: Path
) -> Iterator[Supervised]:
    (tmp_path / "shop.py").write_text(SHOP)
    environ = {"REDISJOBS_URL": redis_server.url, "QUEUE": queue.name}
    made = Supervised(tmp_path, "shop:worker", **environ)
    yield made
    made.end()


@pytest.fixture
def start(redis_server: EmbeddedServer, queue: RedisQueue) -> Iterator[Callable[..., Misbehaving]]:
    made: list[Misbehaving] = []

    def starting(**settings: Any) -> Misbehaving:
        made.append(Misbehaving(redis_server.url, queue.name, **settings))
        return made[-1]

    yield starting
    for process in made:
        process.close()


def test_one_that_blocks_the_event_loop_costs_no_lease_and_holds_up_no_sync_job(
    queue: RedisQueue, client: redis.Redis
) -> None:
    began, gate, ledger = threading.Event(), threading.Event(), Ledger()

    async def blocks(ctx: Context, job: Job) -> bytes:
        began.set()
        time.sleep(3 * LEASE_S)  # noqa: ASYNC251 - that is the point
        wait_for_event(gate, "the test lets the loop go on")
        return b"token=%d" % ctx.token

    job, quick = Job("blocks"), [Job("quick") for _ in range(50)]
    queue.enqueue(job)
    with (
        running(queue, {"blocks": blocks, "quick": ledger.note}, lease=LEASE_S),
        running(queue, {"other": ledger.note}, lease=LEASE_S),
    ):
        wait_for_event(began, "the loop is blocked")
        queue.enqueue(*quick)
        ledger.wait_for(one.id for one in quick)
        gate.set()
        (done,) = wait_for_end(queue, job.id)
    assert (done.status, done.attempts_done) == (Status.DONE, 1)
    assert client.hlen(queue.keys.losses) == 0
    assert_sound(client, queue)


def test_one_that_holds_the_interpreter_beyond_the_lease_each_time_ends_as_panic(
    queue: RedisQueue, client: redis.Redis, start: Callable[..., Misbehaving]
) -> None:
    hog, beside, ledger = Job("hog", b"2.0"), [Job("nap", b"0.01") for _ in range(20)], Ledger()
    process = start(lease=LEASE_S, max_losses=1, concurrency=2)
    # This one runs none of them, but takes the silent one's jobs back.
    with running(queue, {"other": ledger.note}, lease=LEASE_S, max_losses=1):
        queue.enqueue(hog, *beside)
        (ended,) = wait_for_end(queue, hog.id, timeout=30)
        others = wait_for_end(queue, *(job.id for job in beside), timeout=20)
    assert (ended.status, ended.last_error) == (Status.PANIC, LOST_TOO_OFTEN)
    assert {job.status for job in others} == {Status.DONE}
    assert process.stop() == 0
    assert_sound(client, queue)


def test_one_that_recurses_too_deep_fails_and_the_worker_goes_on(
    queue: RedisQueue, client: redis.Redis
) -> None:
    ledger = Ledger()

    def deep(ctx: Context, job: Job) -> None:
        deep(ctx, job)

    async def deep_async(ctx: Context, job: Job) -> None:
        await deep_async(ctx, job)

    jobs, after = [Job("deep"), Job("deep-async")], Job("quick")
    handlers = {"deep": deep, "deep-async": deep_async, "quick": ledger.note}
    with running(queue, handlers, lease=30):
        queue.enqueue(*jobs)
        ended = wait_for_end(queue, *(job.id for job in jobs))
        queue.enqueue(after)
        ledger.wait_for([after.id])
    assert {job.status for job in ended} == {Status.FAILED}
    assert all("RecursionError" in str(job.last_error) for job in ended)
    assert_sound(client, queue)


def test_threads_that_handlers_leave_behind_do_not_keep_the_worker(
    queue: RedisQueue, client: redis.Redis, start: Callable[..., Misbehaving]
) -> None:
    jobs = [Job("leak") for _ in range(20)]
    process = start(lease=30)
    queue.enqueue(*jobs)
    ended = wait_for_end(queue, *(job.id for job in jobs))
    assert {job.status for job in ended} == {Status.DONE}
    assert process.stop() == 0
    assert_sound(client, queue)


def test_threads_that_would_keep_a_process_do_not_keep_a_supervised_one(
    queue: RedisQueue, client: redis.Redis, supervised: Supervised
) -> None:
    """It ends by itself when its time to leave is over, and the next one goes on."""
    deadline = Deadline(20)
    _leak_and_go_on(queue)
    (first,) = supervised.children
    os.kill(first, signal.SIGTERM)
    supervised.line(f"worker process {first} ended with code 0; starting another", deadline)
    _leak_and_go_on(queue)
    supervised.stop()
    assert supervised.exit_code(deadline) == 0
    assert_sound(client, queue)


def test_threads_that_keep_a_process_of_ones_own_keep_no_job_and_a_second_signal_ends_it(
    queue: RedisQueue, client: redis.Redis, start: Callable[..., Misbehaving]
) -> None:
    """Where the program calls `run()` itself, Python waits for its threads after that."""
    process = start(lease=30)
    _leak_and_go_on(queue)
    process.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not queue.stats().workers, "the worker has left")
    assert_sound(client, queue)
    # Before `run()` has returned that is its doing, and afterwards the system's.
    assert process.stop() in (128 + signal.SIGTERM, -signal.SIGTERM)


def _leak_and_go_on(queue: RedisQueue) -> None:
    for jobs in ([Job("leak", LASTING) for _ in range(5)], [Job("nap", b"0") for _ in range(20)]):
        queue.enqueue(*jobs)
        ended = wait_for_end(queue, *(job.id for job in jobs))
        assert {job.status for job in ended} == {Status.DONE}
