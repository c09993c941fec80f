"""Connections that end between a command and its reply: nothing is lost, nothing runs twice, and
nothing is stranded with the worker that lives.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, RedisQueue, RetryableError, Status
from redisjobs.operations.claim import ClaimRequest, claim
from redisjobs.operations.membership import register
from redisjobs.worker import round_trips
from tests.pace import BelievedPace
from tests.proxy import Fault, Proxy, When
from tests.running import Ledger, assert_sound, held, running, wait_for_end
from tests.waiting import Deadline, wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer

BOTH = pytest.mark.parametrize("when", list(When), ids=lambda one: one.value)


@pytest.fixture
def proxy(redis_server: EmbeddedServer) -> Iterator[Proxy]:
    with Proxy(redis_server.url) as made:
        yield made


@pytest.fixture
def far(proxy: Proxy, queue: RedisQueue) -> Iterator[RedisQueue]:
    """The queue as a worker sees it that is connected through the proxy."""
    made = RedisQueue.from_url(proxy.url, queue.name)
    yield made
    made.close()


def _handlers(ledger: Ledger) -> dict[str, Any]:
    """Jobs that are done, sync and async, that are done at their second attempt, and that fail."""

    def retried(ctx: Context, job: Job) -> None:
        if ctx.attempt == 1:
            raise RetryableError("once")
        ledger.note(ctx, job)

    def fails(ctx: Context, job: Job) -> None:
        ledger.note(ctx, job)
        raise ValueError("for good")

    return {
        "sync": ledger.note,
        "async": ledger.note_async,
        "retried": retried,
        "fails": fails,
    }


def _enqueue(queue: RedisQueue, number: int) -> list[Job]:
    kinds = ("sync", "async", "retried", "fails")
    jobs = [Job(kinds[place % 4]) for place in range(number)]
    queue.enqueue(*jobs)
    return jobs


def _enqueue_until(queue: RedisQueue, ledger: Ledger, fault: Fault) -> list[Job]:
    """Keeps the worker at work until the fault has happened, and a little longer."""
    jobs: list[Job] = []
    deadline = Deadline(15)
    while not fault.happened.is_set():
        jobs += _enqueue(queue, 8)
        ledger.wait_for([job.id for job in jobs], deadline.left_s)
    return jobs + _enqueue(queue, 40)


def _assert_each_ran_once(queue: RedisQueue, client: Any, ledger: Ledger, jobs: list[Job]) -> None:
    assert ledger.runs == {job.id: 1 for job in jobs}
    for job in wait_for_end(queue, *(job.id for job in jobs)):
        failed = job.kind == "fails"
        assert job.status is (Status.FAILED if failed else Status.DONE)
        assert job.attempts_done == (2 if job.kind == "retried" else 1)
    assert client.hlen(queue.keys.losses) == 0
    assert_sound(client, queue)


@BOTH
@pytest.mark.parametrize(
    ("command", "behind", "nth"),
    [
        ("register", None, 1),
        ("claim", None, 1),
        ("claim", None, 3),
        ("settle", None, 1),
        ("settle", None, 3),
        ("claim", "settle", 1),
        ("claim", "settle", 3),
        ("BLPOP", None, 1),
        ("BLPOP", None, 2),
        ("beat", None, 1),
        ("beat", None, 2),
    ],
)
def test_every_job_runs_once_and_ends(
    queue: RedisQueue,
    far: RedisQueue,
    client: redis.Redis,
    proxy: Proxy,
    command: str,
    behind: str | None,
    nth: int,
    when: When,
) -> None:
    ledger = Ledger()
    fault = proxy.cut(command, when, nth=nth, behind=behind)
    # With a long lease nothing but the failure itself has it compare what it holds.
    lease_s = 1.5 if command == "beat" else 120
    with running(far, _handlers(ledger), lease=lease_s, concurrency=4, min_retry_backoff=0):
        jobs = _enqueue_until(queue, ledger, fault)
        ledger.wait_for(job.id for job in jobs)
        # Before it is stopped: a worker that lives strands nothing.
        wait_until(lambda: not any(held(client, queue).values()), "nothing is held any more")
    _assert_each_ran_once(queue, client, ledger, jobs)


@pytest.mark.parametrize("seed", [1, 2])
def test_connections_that_end_all_the_time(
    queue: RedisQueue, client: redis.Redis, proxy: Proxy, far: RedisQueue, seed: int
) -> None:
    """One command in twenty ends its connection, with three workers at work."""
    ledger = Ledger()
    proxy.cut_often(seed, 0.05)
    settings: dict[str, Any] = {"lease": 30, "concurrency": 4, "min_retry_backoff": 0}
    with (
        running(far, _handlers(ledger), **settings),
        running(far, _handlers(ledger), **settings),
        running(far, _handlers(ledger), **settings),
    ):
        jobs: list[Job] = []
        for _ in range(10):
            part = _enqueue(queue, 40)
            jobs += part
            ledger.wait_for([job.id for job in part[:8]])
        ledger.wait_for(job.id for job in jobs)
        proxy.cut_often(seed, 0)
        wait_until(lambda: not any(held(client, queue).values()), "nothing is held any more")
    assert proxy.cuts >= 5
    _assert_each_ran_once(queue, client, ledger, jobs)


@BOTH
def test_a_release_of_what_is_stuck(
    queue: RedisQueue,
    far: RedisQueue,
    client: redis.Redis,
    proxy: Proxy,
    when: When,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, gate, ledger = threading.Event(), threading.Event(), Ledger()

    def long(ctx: Context, job: Job) -> None:
        began.set()
        wait_for_event(gate, "the test lets the long job end", 20)

    others = [Job("kind") for _ in range(20)]
    queue.enqueue(Job("kind"), *others)
    monkeypatch.setattr(round_trips, "Pace", BelievedPace)
    fault = proxy.cut("release", when)
    with running(far, {"kind": long}, concurrency=1, prefetch=50, lease=60):
        wait_for_event(began, "the long job has begun")
        with running(queue, {"kind": ledger.note}, lease=60):
            ledger.wait_for([job.id for job in others], 10)
            gate.set()
    assert fault.happened.is_set()
    assert ledger.runs == {job.id: 1 for job in others}
    assert_sound(client, queue)


@BOTH
@pytest.mark.parametrize("command", ["release", "settle", "unregister"])
def test_the_end_of_a_worker(
    queue: RedisQueue,
    far: RedisQueue,
    client: redis.Redis,
    proxy: Proxy,
    command: str,
    when: When,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, gate = threading.Event(), threading.Event()

    def fn(ctx: Context, job: Job) -> bytes:
        began.set()
        wait_for_event(gate, "the test lets the handler end")
        return b"through"

    first, *others = [Job("kind") for _ in range(10)]
    queue.enqueue(first, *others)
    monkeypatch.setattr(round_trips, "Pace", BelievedPace)
    with running(far, {"kind": fn}, concurrency=1, prefetch=50, lease=60) as worker:
        wait_for_event(began, "the first one has begun")
        fault = proxy.cut(command, when)
        worker.worker.stop()
        wait_until(lambda: queue.stats().kinds["kind"].ready == 9, "the others are given back")
        gate.set()
        worker.join()
    assert fault.happened.is_set()
    assert wait_for_end(queue, first.id)[0].result == b"through"
    assert queue.stats().kinds["kind"].ready == len(others)
    assert client.hlen(queue.keys.losses) == 0
    assert_sound(client, queue)


@BOTH
@pytest.mark.parametrize("nth", [1, 2])
def test_a_reap(
    queue: RedisQueue,
    far: RedisQueue,
    client: redis.Redis,
    proxy: Proxy,
    nth: int,
    when: When,
) -> None:
    """Of 600 jobs, in two chunks: each has one loss, however often it was tried."""
    jobs, losses = [Job("kind") for _ in range(600)], dict[str, int]()
    queue.enqueue(*jobs)
    request = ClaimRequest("dead", ["kind"], 600, 600, 3, 1)
    queue.lines.run(lambda: register(queue.keys, "dead", 1, b'{"lease_ms": 300}', {}))
    queue.lines.run(lambda: claim(queue.keys, request))

    def fn(ctx: Context, job: Job) -> None:
        assert job.id not in losses
        losses[job.id] = ctx.losses

    fault = proxy.cut("reap", when, nth=nth)
    with running(far, {"kind": fn}, lease=0.5):
        wait_until(lambda: len(losses) == 600, "all have run", 20)
        wait_until(lambda: not any(held(client, queue).values()), "nothing is held any more")
    assert fault.happened.is_set()
    assert set(losses.values()) == {1}
    assert queue.stats().kinds["kind"].done == 600
    assert_sound(client, queue)
