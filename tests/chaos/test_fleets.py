"""Fleets that change under load, and fleets of unequal workers."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, RedisQueue, Status
from redisjobs.operations.claim import ClaimRequest, claim
from redisjobs.operations.giving_back import reap
from redisjobs.operations.membership import Lapse, register
from redisjobs.origin import Origin
from redisjobs.registry import Handlers
from redisjobs.worker import Worker
from redisjobs.worker.heartbeat import Heartbeat
from redisjobs.worker.incarnation import Life, Moment
from redisjobs.worker.settings import WorkerSettings
from tests.chaos.misbehaving import Misbehaving
from tests.clock import Clock, library_with_moving_clock
from tests.running import Ledger, RunningWorker, assert_sound, held, running, wait_for_end
from tests.waiting import Deadline, wait_for_event, wait_until

if TYPE_CHECKING:
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


def test_bursts_that_run_take_over_what_one_that_dies_among_them_held(
    redis_server: EmbeddedServer,
    queue: RedisQueue,
    client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate, began, ledger = threading.Event(), Ledger(), Ledger()

    def fn(ctx: Context, job: Job) -> bytes:
        began.note(ctx, job)
        wait_for_event(gate, "the test lets the handlers end", 20)
        return ledger.note(ctx, job)

    lost, kept = [Job("nap", b"60") for _ in range(3)], [Job("left"), Job("right")]
    queue.enqueue(*lost)
    with ExitStack() as stack:
        dying = Misbehaving(
            redis_server.url, queue.name, burst=True, lease=1.0, concurrency=3, prefetch=0
        )
        stack.callback(dying.close)
        wait_until(lambda: [len(ids) for ids in held(client, queue).values()] == [3], "it works")
        (victim,) = held(client, queue)
        queue.enqueue(*kept)
        bursts = [
            RunningWorker(
                Worker(queue, {job.kind: fn, "nap": ledger.note}, lease=lease_s, prefetch=0),
                burst=True,
            )
            for job, lease_s in zip(kept, (0.5, 1.5), strict=True)
        ]
        stack.callback(gate.set)
        began.wait_for(job.id for job in kept)
        dying.process.kill()
        ledger.wait_for(job.id for job in lost)
        assert len(queue.stats().workers) == len(bursts), (
            "the bursts are there, the dead one is not"
        )
        gate.set()
        for burst in bursts:
            burst.join()
    taken = [one.getMessage() for one in caplog.records if "is dead" in one.getMessage()]
    assert taken == [f"worker {victim.decode()} is dead: took 3 jobs back"]
    assert began.runs == {job.id: 1 for job in kept}
    assert ledger.runs == {job.id: 1 for job in (*lost, *kept)}
    assert_sound(client, queue)


LEASES_S = (3.0, 15.0, 60.0)


class Member:
    """A worker of a fleet whose time the test makes: it holds a job, and beats every third of its
    lease.
    """

    def __init__(
        self, queue: RedisQueue, fleet: Fleet, lease_s: float, first_beat_s: float
    ) -> None:
        self.lease_s, self.beat_at = lease_s, first_beat_s
        self.last_beat = self.reaped_at = 0.0
        self.lives = True
        self._queue, self._fleet = queue, fleet
        settings = WorkerSettings.of(1, 0, lease_s, 30.0, 3, 5.0, 1.0)
        life = Life(Origin.here(), Handlers({"kind": lambda ctx, job: None}), settings)
        self.id = life.current.worker_id
        queue.lines.run(lambda: register(queue.keys, self.id, settings.lease_us, life.info(), {}))
        queue.lines.run(lambda: claim(queue.keys, ClaimRequest(self.id, ["kind"], 1, 1, 3, 1)))
        life.prolonged(life.current, Moment(fleet.now, 0.0))
        self.heartbeat = Heartbeat(
            queue.keys, queue.lines.new_line(5.0), life, logging.getLogger("tests.fleets"),
            on_dead=self._reap, on_lost=lambda: None, on_beat=lambda: None,
            on_lease_back=lambda: None, on_crash=lambda err: None,
        )  # fmt: skip

    def beat(self) -> None:
        assert self.heartbeat._beat(Moment(self._fleet.now, 0.0))
        self.last_beat = self._fleet.now
        self.beat_at += self.lease_s / 3

    def _reap(self, dead: list[Lapse]) -> None:
        keys = self._queue.keys
        for lapse in dead:
            found = self._queue.lines.run(
                partial(reap, keys, lapse.worker, lapse.lapsed_at, 3, ["kind"])
            )
            if found.moved:
                self._fleet.of_id(lapse.worker).reaped_at = self._fleet.now


class Fleet:
    """Two members of each lease, one of which dies when the test says, and one time for all."""

    def __init__(self, queue: RedisQueue, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self._clock = clock
        time = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("redisjobs.worker.heartbeat.time", time)
        queue.lines._library = library_with_moving_clock()
        queue.enqueue(*(Job("kind") for _ in range(2 * len(LEASES_S))))
        # Not in step: each begins at some other time.
        self.doomed = [Member(queue, self, lease_s, 0.1 + lease_s / 7) for lease_s in LEASES_S]
        self.living = [Member(queue, self, lease_s, 0.2 + lease_s / 5) for lease_s in LEASES_S]

    def of_id(self, id: str) -> Member:
        (found,) = (member for member in (*self.doomed, *self.living) if member.id == id)
        return found

    def run_until(self, then: float) -> None:
        """Has who lives beat until this time."""
        members = [member for member in (*self.doomed, *self.living) if member.lives]
        while (first := min(members, key=lambda member: member.beat_at)).beat_at < then:
            self._move_to(first.beat_at)
            first.beat()
        self._move_to(then)

    def _move_to(self, moment: float) -> None:
        self._clock.advance(timedelta(seconds=moment - self.now))
        self.now = moment

    def close(self) -> None:
        for member in (*self.doomed, *self.living):
            member.heartbeat.stop()


@pytest.mark.parametrize("step_s", [0, 300, -300])
def test_with_leases_of_3_15_and_60_seconds_the_dead_are_reaped_in_time_and_no_live_one(
    queue: RedisQueue, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, step_s: int
) -> None:
    """Also where the server's clock has stepped before: then all leases have lapsed, or for a long
    time none seems to.
    """
    clock = Clock(client, queue.keys)
    fleet = Fleet(queue, clock, monkeypatch)
    fleet.run_until(61.0)
    clock.advance(timedelta(seconds=step_s))
    fleet.run_until(123.0)
    for member in fleet.doomed:
        member.lives = False
    fleet.run_until(300.0)
    fleet.close()
    assert [member.reaped_at for member in fleet.living] == [0.0] * len(LEASES_S)
    for member in fleet.doomed:
        silent_s = member.reaped_at - member.last_beat
        # Two heartbeats of the longer lease, and the reaper need not beat when a lease lapses.
        assert member.lease_s < silent_s <= member.lease_s * 5 / 3 + min(LEASES_S) / 3
    assert set(held(client, queue)) == {member.id.encode() for member in fleet.living}
    assert queue.stats().kinds["kind"].ready == len(fleet.doomed)
    assert queue.check() == []


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
