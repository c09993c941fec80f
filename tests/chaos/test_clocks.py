"""Clocks that are wrong, or are set right while the fleet works."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, RedisQueue, RetryableError, Status
from redisjobs.operations.claim import ClaimRequest, claim
from redisjobs.operations.membership import register
from redisjobs.operations.operation import join
from tests.clock import Clock, library_with_moving_clock
from tests.running import (
    Ledger,
    assert_sound,
    held,
    running,
    wait_for_end,
    wait_for_status,
)
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer

# The short one looks at the others much more often than the long one beats.
LEASES_S = (0.3, 0.6, 1.8)
HOUR = timedelta(hours=1)


@pytest.fixture
def moved(redis_server: EmbeddedServer, queue: RedisQueue) -> RedisQueue:
    """The queue, on a server whose clock can be moved."""
    queue.lines._library = library_with_moving_clock()
    return queue


def _leases_end_s(client: Any, queue: RedisQueue, clock: Clock) -> list[float]:
    leases = client.zrange(queue.keys.workers, 0, -1, withscores=True)
    return [(score - clock.now_us) / 1e6 for _, score in leases]


def test_the_servers_clock_steps_an_hour_ahead_and_back_and_every_worker_keeps_its_jobs(
    moved: RedisQueue, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    queue, gate, began = moved, threading.Event(), Ledger()
    clock = Clock(client, queue.keys)

    def fn(ctx: Context, job: Job) -> bytes:
        began.note(ctx, job)
        wait_for_event(gate, "the test lets the handlers end", 30)
        assert not ctx.cancelled
        return b"through"

    def has_beaten() -> bool:
        return all(0 < left_s <= max(LEASES_S) for left_s in _leases_end_s(client, queue, clock))

    jobs, ledger = [Job("kind") for _ in range(9)], Ledger()
    with ExitStack() as stack:
        for lease_s in LEASES_S:
            handlers = {"kind": fn, "quick": ledger.note}
            stack.enter_context(running(queue, handlers, lease=lease_s, concurrency=4))
        queue.enqueue(*jobs)
        began.wait_for(job.id for job in jobs)
        before = held(client, queue)
        for step in (HOUR, -HOUR):
            clock.advance(step)
            # For longer than any reaper would watch a lapse.
            over = partial(_is_past, time.monotonic() + max(LEASES_S))
            wait_until(over, "a lapse would have been seen")
            wait_until(has_beaten, "all have beaten by the new time")
            assert held(client, queue) == before, f"each holds what it held, after {step}"
            quick = Job("quick")
            queue.enqueue(quick)
            ledger.wait_for([quick.id], 3.0)
        gate.set()
        ended = wait_for_end(queue, *(job.id for job in jobs))
    assert {job.status for job in ended} == {Status.DONE}
    assert began.runs == {job.id: 1 for job in jobs}
    assert [one for one in caplog.records if "is dead" in one.getMessage()] == []
    assert client.hlen(queue.keys.losses) == 0
    assert_sound(client, queue)


def _is_past(moment: float) -> bool:
    return time.monotonic() > moment


def _run_one(queue: RedisQueue, ledger: Ledger) -> None:
    """A job that is due now is not held up. All that was due before it has begun, too."""
    now = Job("kind")
    queue.enqueue(now)
    ledger.wait_for([now.id], 5.0)


def test_what_is_put_off_while_the_clock_is_ahead_runs_no_later_than_the_step(
    moved: RedisQueue, client: Any
) -> None:
    queue, ledger, put_off = moved, Ledger(), timedelta(minutes=1)
    clock = Clock(client, queue.keys)

    def fn(ctx: Context, job: Job) -> bytes:
        if job.payload == b"retry" and ctx.attempt == 1:
            raise RetryableError("once", retry_after=put_off)
        return ledger.note(ctx, job)

    delayed, retried = Job("kind", delay=put_off), Job("kind", b"retry")
    ids = [delayed.id, retried.id]
    with running(queue, {"kind": fn}, concurrency=1, poll_interval=0.1, lease=30):
        clock.advance(HOUR)
        queue.enqueue(delayed, retried)
        wait_for_status(queue, retried.id, Status.PENDING)
        clock.advance(-HOUR)
        _run_one(queue, ledger)
        waiting = dict(client.zrange(queue.keys.due("kind"), 0, -1, withscores=True))
        assert waiting.keys() == {id.encode() for id in ids}
        for due_us in waiting.values():
            assert due_us - clock.now_us <= (HOUR + put_off) / timedelta(microseconds=1)
        clock.advance(HOUR)
        _run_one(queue, ledger)
        assert not ledger.runs.keys() & set(ids), "the delay is still to be kept"
        clock.advance(put_off)
        ledger.wait_for(ids, 5.0)
        wait_for_end(queue, *ids)
    assert_sound(client, queue)


def test_what_waits_or_was_held_by_the_dead_is_stalled_no_longer_than_the_step(
    moved: RedisQueue, client: redis.Redis
) -> None:
    queue, ledger = moved, Ledger()
    clock, keys = Clock(client, queue.keys), queue.keys
    lost, waiting = Job("kind"), Job("kind")
    clock.advance(HOUR)
    queue.enqueue(lost)
    claimed = ClaimRequest("dead", ["kind"], 1, 1, 3, 1)
    queue.lines.run(lambda: join(register(keys, "dead", 300_000, b"{}", {}), claim(keys, claimed)))
    queue.enqueue(waiting)
    clock.advance(-HOUR)
    with running(queue, {"kind": ledger.note}, poll_interval=0.1, lease=0.6):
        _run_one(queue, ledger)
        assert held(client, queue)[b"dead"], "a lease, too, is the server's"
        assert len(ledger.runs) == 1
        clock.advance(HOUR)
        ledger.wait_for([lost.id, waiting.id], 5.0)
        wait_for_end(queue, lost.id, waiting.id)
    assert_sound(client, queue)


@pytest.mark.parametrize("hours", [-7, 7])
def test_a_host_whose_clock_is_hours_off_runs_and_enqueues_at_the_right_time(
    queue: RedisQueue, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """RunAt, delays, retries and leases are the server's."""
    real_s, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real_s() + hours * 3600)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + hours * 3600 * 10**9)
    began_at, ledger = dict[str, float](), Ledger()

    def fn(ctx: Context, job: Job) -> None:
        if ctx.attempt == 1:
            raise RetryableError("once", retry_after=0.2)
        began_at[job.id] = time.monotonic()
        ledger.note(ctx, job)

    now, later = Job("kind"), Job("kind", delay=0.4)
    with running(queue, {"kind": fn}, lease=0.6, min_retry_backoff=0.2):
        enqueued_at = time.monotonic()
        queue.enqueue(now, later)
        ledger.wait_for([now.id, later.id], 5.0)
        wait_for_end(queue, now.id, later.id)
        wait_until(lambda: 0 < queue.stats().workers[0].lease_left <= 0.6, "its lease holds")
    assert 0.19 < began_at[now.id] - enqueued_at < 3.0
    assert 0.59 < began_at[later.id] - enqueued_at < 3.5
    assert_sound(client, queue)
