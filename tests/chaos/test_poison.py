"""Jobs that kill their worker every time, and the good ones beside them."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from redisjobs import Job, RedisQueue, Status
from redisjobs.record import LOST_TOO_OFTEN
from tests.chaos.misbehaving import DEADLY, Misbehaving
from tests.running import assert_sound, running, wait_for_end
from tests.waiting import Deadline, wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer

MAX_LOSSES = 2
SLOTS = 12  # of all workers together


class Mix(NamedTuple):
    """How many workers, and jobs of each sort: quick ones take 10 ms, long ones a bit over 1 s."""

    workers: int
    poison: int
    quick: int
    long: int


MIXES = [Mix(1, 1, 980, 20), Mix(3, 3, 300, 12), Mix(3, 8, 300, 12)]


class Fleet:
    """Workers that are started again when they die, as by an init system."""

    def __init__(self, start: Callable[[], Misbehaving], size: int) -> None:
        self._start = start
        self._workers = [start() for _ in range(size)]

    def mend(self) -> None:
        """Starts another one for each that is dead."""
        for place, worker in enumerate(self._workers):
            if worker.process.poll() is not None:
                worker.close()
                self._workers[place] = self._start()

    def is_at_work(self, queue: RedisQueue) -> bool:
        """Whether all are registered: from then on they heed a signal."""
        there = {worker.pid for worker in queue.stats().workers}
        return there == {worker.process.pid for worker in self._workers}

    def stop(self) -> list[int]:
        """Their exit codes."""
        return [worker.stop() for worker in self._workers]

    def close(self) -> None:
        """After the test."""
        for worker in self._workers:
            worker.close()


@pytest.fixture(params=MIXES, ids=lambda mix: f"{mix.poison}-poison-{mix.workers}-workers")
def mix(request: pytest.FixtureRequest) -> Mix:
    chosen: Mix = request.param
    return chosen


@pytest.fixture
def fleet(redis_server: EmbeddedServer, queue: RedisQueue, mix: Mix) -> Iterator[Fleet]:
    settings: dict[str, Any] = {"lease": 0.6, "max_losses": MAX_LOSSES}
    settings["concurrency"] = SLOTS // mix.workers
    made = Fleet(partial(Misbehaving, redis_server.url, queue.name, **settings), mix.workers)
    yield made
    made.close()


def test_they_end_and_condemn_no_good_job(
    queue: RedisQueue, client: redis.Redis, fleet: Fleet, mix: Mix
) -> None:
    # Some are of the good ones' kind, and come when it is their turn; the others come at once.
    poison = [Job("poison" if at % 2 else "nap", DEADLY) for at in range(mix.poison)]
    long = [Job("nap", b"%.2f" % (1 + 0.2 * number / mix.long)) for number in range(mix.long)]
    quick = [Job("nap", b"0.01") for _ in range(mix.quick)]
    # Among the good ones: some wait beside each, and some run beside it.
    parts, mixed = mix.poison + 4, list[Job]()
    for part in range(parts):
        mixed += [*quick[part::parts], *long[part::parts], *poison[part : part + 1]]
    queue.enqueue(*mixed)

    def all_ended() -> bool:
        fleet.mend()
        counts = queue.stats().kinds
        return all(kind.scheduled + kind.ready + kind.running == 0 for kind in counts.values())

    deadline = Deadline(60)
    deadline.until(all_ended, "all jobs have ended")
    deadline.until(lambda: fleet.is_at_work(queue), "who was started last is at work")
    assert fleet.stop() == [0] * mix.workers
    ended = wait_for_end(queue, *(job.id for job in poison))
    assert {(job.status, job.last_error) for job in ended} == {(Status.PANIC, LOST_TOO_OFTEN)}
    good = [queue.get(job.id) for job in (*quick, *long)]
    assert {job.status for job in good if job is not None} == {Status.DONE}
    assert None not in good
    assert_sound(client, queue)


class Gate:
    """A handler that says that it has begun, and ends when it may."""

    def __init__(self) -> None:
        self.began, self.may_end = threading.Event(), threading.Event()

    def fn(self, ctx: Context, job: Job) -> bytes:
        self.began.set()
        wait_for_event(self.may_end, f"the test lets the {job.kind} one end", 30)
        return where(ctx, job)


def where(ctx: Context, job: Job) -> bytes:
    return ctx.worker_id.encode()


def where_all_end(queue: RedisQueue) -> set[bytes | None]:
    """Good jobs come, and end in these workers."""
    jobs = [Job("quick") for _ in range(200)]
    queue.enqueue(*jobs)
    return {job.result for job in wait_for_end(queue, *(job.id for job in jobs))}


def test_a_suspect_at_its_last_chance_stops_no_other_worker(
    queue: RedisQueue, client: redis.Redis
) -> None:
    """One worker empties itself for it. The others go on meanwhile, and while it runs alone."""
    long, suspect = Gate(), Gate()
    handlers = {"long": long.fn, "suspect": suspect.fn, "quick": where}
    settings: dict[str, Any] = {"lease": 30, "max_losses": MAX_LOSSES, "concurrency": 2}
    first, last = Job("long"), Job("suspect")
    queue.enqueue(first)
    with running(queue, handlers, **settings):
        wait_for_event(long.began, "the long one runs")
        [one] = queue.stats().workers
        client.hset(queue.keys.losses, last.id, MAX_LOSSES)
        queue.enqueue(last)
        wait_until(lambda: client.hexists(queue.keys.last_chance, last.id), "it is marked")
        with running(queue, handlers, **settings):
            wait_until(lambda: len(queue.stats().workers) == 2, "the other one is there")
            [other] = {worker.id.encode() for worker in queue.stats().workers} - {one.id.encode()}
            assert where_all_end(queue) == {other}
            assert not suspect.began.is_set(), "it does not run beside the long one"
            long.may_end.set()
            wait_for_event(suspect.began, "the suspect has its last chance")
            assert where_all_end(queue) == {other}
            suspect.may_end.set()
            ended = wait_for_end(queue, first.id, last.id)
    assert [(job.status, job.result) for job in ended] == [(Status.DONE, one.id.encode())] * 2
    assert_sound(client, queue)
