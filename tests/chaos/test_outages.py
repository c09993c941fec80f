"""A network that fails for a while, and a Redis that is not there yet."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, RedisQueue, Status
from redisjobs.context import CancelReason
from redisjobs.operations.giving_back import reap
from tests.chaos.relay import Relay, socket_of
from tests.proxy import Proxy
from tests.running import Ledger, assert_sound, held, running, wait_for_end
from tests.supervised import Supervised
from tests.waiting import Deadline, wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer

LEASE_S = 0.5
MAX_LOSSES = 2


class LongRun:
    """A job that runs until it is cancelled, in whichever worker, or until it may end."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.runs_in: list[int] = []  # which workers ran it, one after another

    def has_begun(self, times: int) -> bool:
        """Whether it has begun so often."""
        return len(self.runs_in) >= times

    def fn(self, worker: int, ctx: Context, job: Job) -> bytes:
        self.runs_in.append(worker)
        while not ctx.wait_cancelled(0.01):
            if self.may_end.is_set():
                return b"token=%d" % ctx.token
        assert ctx.cancel_reason is CancelReason.LEASE_LOST
        return b"late"


@pytest.fixture
def relays(redis_server: EmbeddedServer) -> Iterator[list[Relay]]:
    with (
        Relay(Path(socket_of(redis_server.url)), "one") as one,
        Relay(Path(socket_of(redis_server.url)), "two") as two,
    ):
        yield [one, two]


@pytest.mark.parametrize("late", [False, True], ids=["cut", "requests-arrive-late"])
def test_outages_alone_condemn_no_job(
    queue: RedisQueue, client: redis.Redis, relays: list[Relay], late: bool
) -> None:
    """Each worker in turn is cut off for longer than its lease, and loses the job to the other."""
    run, job = LongRun(), Job("kind")
    queues = [RedisQueue.from_url(relay.url, queue.name) for relay in relays]
    settings: dict[str, Any] = {"lease": LEASE_S, "max_losses": MAX_LOSSES, "concurrency": 1}
    with (
        running(queues[0], {"kind": partial(run.fn, 0)}, **settings),
        running(queues[1], {"kind": partial(run.fn, 1)}, **settings),
    ):
        queue.enqueue(job)
        deadline = Deadline(60)
        for move in range(MAX_LOSSES + 2):
            deadline.until(partial(run.has_begun, move + 1), "it runs")
            relay = relays[run.runs_in[-1]]
            if late:
                relay.hold()
            else:
                relay.down()
            deadline.until(partial(run.has_begun, move + 2), "it runs elsewhere")
            relay.let_go(ending=False)
            relay.up()
            deadline.until(lambda: len(queue.stats().workers) == 2, "both are there again")
            deadline.until(lambda: not client.hlen(queue.keys.losses), "its loss is taken back")
        run.may_end.set()
        (done,) = wait_for_end(queue, job.id)
    assert (done.status, done.attempts_done) == (Status.DONE, 1)
    assert run.runs_in == [run.runs_in[0], 1 - run.runs_in[0]] * 2 + [run.runs_in[0]]
    assert_sound(client, queue)
    for one in queues:
        one.close()


def test_requests_that_arrive_late_touch_nothing_of_what_came_after_them(
    queue: RedisQueue, client: redis.Redis, relays: list[Relay]
) -> None:
    """A settle is on its way when its worker is given up; it arrives when the job has run again."""
    gate, jobs = threading.Event(), [Job("kind") for _ in range(4)]
    far, ledger = RedisQueue.from_url(relays[0].url, queue.name), Ledger()

    def first(ctx: Context, job: Job) -> bytes:
        wait_for_event(gate, "the network has failed")
        return b"late"

    queue.enqueue(*jobs)
    # With this lease it says nothing but the outcomes.
    with running(far, {"kind": first}, lease=120, poll_interval=120, concurrency=4):
        wait_until(lambda: sum(map(len, held(client, queue).values())) == 4, "all are held")
        (worker,) = held(client, queue)
        relays[0].hold()
        gate.set()
        wait_until(lambda: relays[0].held_back, "the outcomes are on their way")
        queue.lines.run(lambda: reap(queue.keys, worker.decode(), None, 3, ["kind"]))
        with running(queue, {"kind": ledger.note}, lease=30):
            ledger.wait_for(job.id for job in jobs)
            wait_for_end(queue, *(job.id for job in jobs))
        relays[0].let_go(ending=False)
        # It goes on under a new id, so what it sent under the old one has been answered.
        wait_until(lambda: queue.stats().workers, "the late one is there again")
    ended = [queue.get(job.id) for job in jobs]
    assert [job.result for job in ended if job] == [job.id.encode() for job in jobs]
    assert queue.stats().kinds["kind"].done == len(jobs)
    assert client.hget(queue.keys.totals, "done:kind") == b"4"
    assert_sound(client, queue)
    far.close()


def test_a_worker_without_its_redis_asks_now_and_then_not_all_the_time(
    queue: RedisQueue, client: redis.Redis, redis_server: EmbeddedServer
) -> None:
    ledger, first, second = Ledger(), Job("kind"), Job("kind")
    with Proxy(redis_server.url) as proxy:
        far = RedisQueue.from_url(proxy.url, queue.name)
        with running(far, {"kind": ledger.note}, lease=1.5):
            queue.enqueue(first)
            ledger.wait_for([first.id])
            proxy.down()
            queue.enqueue(second)
            began, cpu_s = time.monotonic(), time.process_time()
            wait_until(lambda: time.monotonic() - began > 2.0, "it was away for two seconds")
            assert proxy.refused < 60, "three threads ask, ever more slowly"
            assert time.process_time() - cpu_s < 1.0
            proxy.up()
            came_back = time.monotonic()
            ledger.wait_for([second.id])
            assert time.monotonic() - came_back < 3.0, "it asks once a second at least"
        far.close()
    assert_sound(client, queue)


# A Redis that is not there yet must not be waited for with the patience of an unlucky back-off.
SHOP = """
import os
from redisjobs import RedisQueue, Worker

queue = RedisQueue.from_url(os.environ["REDISJOBS_URL"], os.environ["QUEUE"])
worker = Worker(queue, {"kind": lambda ctx, job: b"done"}, lease=5.0)
"""


def test_supervised_workers_wait_for_a_redis_that_is_not_there_yet(
    own_server: OwnServer, tmp_path: Path
) -> None:
    server = own_server()
    server.crash()
    (tmp_path / "shop.py").write_text(SHOP)
    environ = {"REDISJOBS_URL": server.url, "QUEUE": "away"}
    fleet = Supervised(tmp_path, "shop:worker", "--processes", "2", **environ)
    try:
        deadline = Deadline(30)
        fleet.line("trying again until it works", deadline, count=2)
        server.restart()
        queue, job = RedisQueue.from_url(server.url, "away"), Job("kind")
        queue.enqueue(job)
        (done,) = wait_for_end(queue, job.id)
        assert done.status is Status.DONE
        assert len(fleet.children) == 2, "nobody has left and was started again"
        fleet.stop()
        assert fleet.exit_code(deadline) == 0
        assert queue.check() == []
        queue.close()
    finally:
        fleet.end()
