"""Fleets that change under load, and fleets of unequal workers."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from redisjobs import Job, RedisQueue, Status
from redisjobs.operations.claim import ClaimRequest, claim
from redisjobs.operations.membership import register
from redisjobs.worker import Worker
from tests.chaos.misbehaving import Misbehaving
from tests.running import Ledger, assert_sound, held, running, wait_for_end
from tests.waiting import Deadline, wait_for_event, wait_until

if TYPE_CHECKING:
    import pytest
    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer

GENERATIONS = 3
WATCHED_US = 2_500_000


def test_a_rolling_deploy_under_load_costs_no_lease_and_no_run(
    redis_server: EmbeddedServer, queue: RedisQueue, client: redis.Redis
) -> None:
    """Each worker in turn gets a SIGTERM as soon as its successor works."""
    settings: dict[str, Any] = {"lease": 120, "shutdown_timeout": 20, "concurrency": 4}

    def start() -> Misbehaving:
        return Misbehaving(redis_server.url, queue.name, **settings)

    jobs: list[Job] = []
    with ExitStack() as stack:
        fleet = [start(), start()]
        stack.callback(_close, fleet)
        for generation in range(GENERATIONS):
            # More than they run until the next one comes; some take long for a deploy.
            part = [Job("nap", b"0.4" if number % 25 == 0 else b"0.02") for number in range(100)]
            queue.enqueue(*part)
            jobs += part
            wait_until(lambda: any(held(client, queue).values()), "they work", 10)
            successor = start()
            fleet.append(successor)
            wait_until(partial(_is_there, queue, successor), "the successor is there")
            assert fleet[generation].stop() == 0
        ended = wait_for_end(queue, *(job.id for job in jobs), timeout=20)
        assert [one.stop() for one in fleet[GENERATIONS:]] == [0, 0]
        assert not any("given back" in one.log for one in fleet), "what had begun had time to end"
    # Nothing waited for a lease of two minutes; and nothing counts as lost.
    assert {(job.status, job.attempts_done) for job in ended} == {(Status.DONE, 1)}
    assert client.hlen(queue.keys.losses) == 0
    assert_sound(client, queue)


def test_of_workers_with_unequal_leases_only_the_dead_are_reaped(
    queue: RedisQueue, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """The one with the short lease looks more often than the others beat."""
    gate, began, ledger = threading.Event(), Ledger(), Ledger()

    def fn(ctx: Context, job: Job) -> bytes:
        began.note(ctx, job)
        wait_for_event(gate, "the test lets the handlers end", 20)
        return ledger.note(ctx, job)

    jobs, dead = [Job("kind") for _ in range(6)], Job("dead")
    info = json.dumps({"lease_ms": 900}).encode()
    queue.enqueue(dead)
    queue.lines.run(lambda: register(queue.keys, "dead", 900_000, info, {}))
    queue.lines.run(lambda: claim(queue.keys, ClaimRequest("dead", ["dead"], 1, 1, 3, 1)))
    with ExitStack() as stack:
        for lease_s in (0.3, 1.5, 60):
            handlers = {"kind": fn, "dead": ledger.note}
            stack.enter_context(running(queue, handlers, lease=lease_s, concurrency=3, prefetch=0))
        queue.enqueue(*jobs)
        began.wait_for(job.id for job in jobs)
        ledger.wait_for([dead.id])
        before, first_us = held(client, queue), _last_lapse_us(client, queue)[0]
        wait_until(
            lambda: all(at > first_us + WATCHED_US for at in _last_lapse_us(client, queue)),
            "the others have beaten for longer than a lapse is watched",
        )
        assert held(client, queue) == before
        gate.set()
        wait_for_end(queue, *(job.id for job in jobs), dead.id)
    taken = [one.getMessage() for one in caplog.records if "is dead" in one.getMessage()]
    assert taken == ["worker dead is dead: took 1 jobs back"]
    assert ledger.runs == {job.id: 1 for job in (*jobs, dead)}
    assert_sound(client, queue)


def test_a_fleet_of_burst_workers_only_takes_back_what_the_dead_held(
    queue: RedisQueue, client: redis.Redis
) -> None:
    """Each comes, ends what is there, and goes: as from a cron."""
    ledger, rest, dead = Ledger(), [Job("kind") for _ in range(20)], Job("kind")
    info = json.dumps({"lease_ms": 300}).encode()
    queue.enqueue(dead)
    queue.lines.run(lambda: register(queue.keys, "dead", 1, info, {}))
    queue.lines.run(lambda: claim(queue.keys, ClaimRequest("dead", ["kind"], 1, 1, 3, 1)))
    queue.enqueue(*rest)
    deadline = Deadline(20)
    while dead.id not in ledger.runs:
        assert deadline.left_s, "awaited in vain: a burst takes the dead one's job"
        Worker(queue, {"kind": ledger.note}, lease=0.5).run(burst=True)
    assert ledger.runs == {job.id: 1 for job in (*rest, dead)}
    assert_sound(client, queue)


def _last_lapse_us(client: Any, queue: RedisQueue) -> list[float]:
    """When the leases of all lapse, the longest one's left out, in order."""
    return sorted(score for _, score in client.zrange(queue.keys.workers, 0, -1, withscores=True))[
        :-1
    ]


def _is_there(queue: RedisQueue, process: Misbehaving) -> bool:
    return process.process.pid in [one.pid for one in queue.stats().workers]


def _close(fleet: list[Misbehaving]) -> None:
    for process in fleet:
        process.close()
