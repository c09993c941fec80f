"""A Redis that is away for a while, comes back another, or forgets its scripts."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import redis

from redisjobs import Job, RedisQueue, Status
from redisjobs.errors import IncompatibleQueueError, QueueFullError
from redisjobs.worker import Worker
from tests.proxy import Proxy
from tests.running import Ledger, assert_sound, held, running, wait_for_end
from tests.waiting import Deadline, wait_for_event, wait_until

if TYPE_CHECKING:
    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer

LEASE_S = 0.6


class Gated:
    """Handlers that all wait for one gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.began = Ledger()
        self.cancelled: list[str] = []

    def fn(self, ctx: Context, job: Job) -> bytes:
        self.began.note(ctx, job)
        wait_for_event(self.gate, "the test lets the handlers end", 20)
        if ctx.cancelled:
            self.cancelled.append(job.id)
        return b"through"


def _now_s(client: Any) -> float:
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6)


def _lease_ends(client: Any, queue: RedisQueue) -> list[float]:
    leases = client.zrange(queue.keys.workers, 0, -1, withscores=True)
    return [score / 1e6 for _, score in leases]


def _all_lapsed_for(client: Any, queue: RedisQueue, seconds: float) -> bool:
    return all(end_s < _now_s(client) - seconds for end_s in _lease_ends(client, queue))


def test_away_for_longer_than_the_lease_no_running_job_is_taken(
    queue: RedisQueue,
    client: redis.Redis,
    redis_server: EmbeddedServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Every lease has lapsed when it comes back, and every worker lives."""
    gated, jobs = Gated(), [Job("kind") for _ in range(12)]
    with Proxy(redis_server.url) as proxy, ExitStack() as workers:
        for _ in range(3):
            far = RedisQueue.from_url(proxy.url, queue.name)
            workers.enter_context(running(far, {"kind": gated.fn}, lease=LEASE_S, concurrency=4))
        queue.enqueue(*jobs)
        gated.began.wait_for(job.id for job in jobs)
        before = held(client, queue)
        proxy.down()
        wait_until(lambda: _all_lapsed_for(client, queue, LEASE_S), "all leases have lapsed")
        proxy.up()

        watched_until_s = _now_s(client) + 2 * LEASE_S
        wait_until(
            lambda: all(end_s - LEASE_S > watched_until_s for end_s in _lease_ends(client, queue)),
            "all beat for longer than a lapse is watched",
        )
        assert held(client, queue) == before, "each worker holds what it held"
        gated.gate.set()
        ended = wait_for_end(queue, *(job.id for job in jobs))
    assert gated.began.runs == {job.id: 1 for job in jobs}
    assert {job.status for job in ended} == {Status.DONE}
    assert gated.cancelled == []
    assert client.hlen(queue.keys.losses) == 0
    assert [one.message for one in caplog.records if "is dead" in one.message] == []
    assert_sound(client, queue)


def test_a_half_open_connection_costs_no_job(
    queue: RedisQueue, client: redis.Redis, redis_server: EmbeddedServer
) -> None:
    """Nothing gets through, and nobody says so."""
    ledger = Ledger()
    with Proxy(redis_server.url) as proxy:
        far = RedisQueue.from_url(proxy.url, queue.name)
        with running(far, {"kind": ledger.note}, lease=1.5):
            first, second = Job("kind"), Job("kind")
            queue.enqueue(first)
            ledger.wait_for([first.id])
            proxy.stall()
            queue.enqueue(second)
            wait_until(lambda: proxy.swallowed >= 2, "the worker has asked in vain")
            proxy.resume()
            ledger.wait_for([second.id])
        wait_for_end(queue, first.id, second.id)
    assert ledger.runs == {first.id: 1, second.id: 1}
    assert_sound(client, queue)


def test_crashing_and_coming_back_with_its_data(own_server: OwnServer) -> None:
    server = own_server(options={"appendonly": "yes", "appendfsync": "always"})
    queue, ledger = RedisQueue.from_url(server.url, "crash"), Ledger()

    def sync(ctx: Context, job: Job) -> bytes:
        time.sleep(0.004)
        return ledger.note(ctx, job)

    async def awaited(ctx: Context, job: Job) -> bytes:
        await asyncio.sleep(0.004)
        return ledger.note(ctx, job)

    handlers = {"sync": sync, "async": awaited}
    settings: dict[str, Any] = {"lease": 30, "concurrency": 2}
    jobs: list[Job] = []
    with redis.Redis.from_url(server.url) as client:
        with running(queue, handlers, **settings), running(queue, handlers, **settings):
            deadline = Deadline(30)
            for _ in range(2):
                for _ in range(10):
                    part = [Job("async" if number % 2 else "sync") for number in range(20)]
                    queue.enqueue(*part)
                    jobs += part
                assert len(ledger.runs) < len(jobs), "some run"
                server.crash()
                server.restart()
            ledger.wait_for([job.id for job in jobs], deadline.left_s)
            ended = wait_for_end(queue, *(job.id for job in jobs))
            wait_until(lambda: not any(held(client, queue).values()), "nothing is held any more")
        assert {job.status for job in ended} == {Status.DONE}
        assert ledger.runs == {job.id: 1 for job in jobs}
        assert_sound(client, queue)
    queue.close()


def test_coming_back_empty_the_worker_goes_on(own_server: OwnServer) -> None:
    """Its data is gone, and the worker's registration with it."""
    server, ledger = own_server(), Ledger()
    queue = RedisQueue.from_url(server.url, "empty")
    with running(queue, {"kind": ledger.note}, lease=120):
        first, second = Job("kind"), Job("kind")
        queue.enqueue(first)
        ledger.wait_for([first.id])
        server.crash()
        server.restart()
        queue.enqueue(second)
        ledger.wait_for([second.id])
    assert queue.check() == []
    queue.close()


def test_forgetting_its_scripts_costs_nothing(own_server: OwnServer) -> None:
    server, ledger = own_server(), Ledger()
    queue = RedisQueue.from_url(server.url, "flush")
    handlers = {"sync": ledger.note, "async": ledger.note_async}
    jobs: list[Job] = []
    with redis.Redis.from_url(server.url) as client:
        with running(queue, handlers), running(queue, handlers):
            for _ in range(40):
                part = [Job("sync"), Job("async"), Job("sync")]
                queue.enqueue(*part)
                jobs += part
                client.script_flush()
                ledger.wait_for([part[0].id])
            ledger.wait_for(job.id for job in jobs)
        assert ledger.runs == {job.id: 1 for job in jobs}
        assert_sound(client, queue)
    queue.close()


def test_a_full_redis_can_still_be_drained(own_server: OwnServer) -> None:
    server, ledger = own_server(), Ledger()
    queue = RedisQueue.from_url(server.url, "full", retention=0)
    jobs = [Job("kind", b"x" * 10_000) for _ in range(200)]
    queue.enqueue(*jobs)
    with redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "1mb")
        client.config_set("maxmemory-policy", "noeviction")
        with pytest.raises(QueueFullError, match="maxmemory"):
            queue.enqueue(Job("kind"))
        with running(queue, {"kind": ledger.note}, lease=LEASE_S):
            ledger.wait_for(job.id for job in jobs)
            wait_until(lambda: not client.exists(queue.keys.jobs), "all are settled")
        assert ledger.runs == {job.id: 1 for job in jobs}
        client.config_set("maxmemory", "0")
        assert_sound(client, queue)
    queue.close()


def test_a_newer_schema_is_refused_at_the_start(queue: RedisQueue, client: redis.Redis) -> None:
    client.hset(queue.keys.meta, "schema", "99")
    with pytest.raises(IncompatibleQueueError, match="schema 99"):
        Worker(queue, {"kind": lambda ctx, job: None}).run()
    assert client.keys(queue.keys.prefix.replace(b"{", b"\\{") + b"*") == [queue.keys.meta]
