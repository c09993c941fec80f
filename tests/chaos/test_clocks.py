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
from tests.clock import Clock, library_with_moving_clock
from tests.running import Ledger, assert_sound, held, running, wait_for_end
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
