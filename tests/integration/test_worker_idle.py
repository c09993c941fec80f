"""What an idle worker costs, and what it leaves open."""

from __future__ import annotations

import gc
import threading
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from redisjobs import Job, RedisQueue
from redisjobs.keys import Keys
from redisjobs.record import encode_job
from redisjobs.worker import Worker
from redisjobs.worker.round_trips import RoundTrips
from tests.running import Ledger, running
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.conftest import OwnServer

KINDS = 5


def _calls(client: redis.Redis) -> int:
    stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "blpop"))


def _open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize("workers", [1, 4])
def test_an_idle_worker_asks_about_twice_a_second(own_server: OwnServer, workers: int) -> None:
    """It sleeps on the bell; it polls and it beats once a second each, here."""
    server, ledger = own_server(), Ledger()
    queue = RedisQueue.from_url(server.url, "idle")
    handlers = {f"kind-{number}": ledger.note for number in range(KINDS)}
    jobs = [Job(f"kind-{number % KINDS}") for number in range(100)]
    with redis.Redis.from_url(server.url) as client, ExitStack() as running_ones:
        for _ in range(workers):
            running_ones.enter_context(running(queue, handlers, lease=3, poll_interval=1))
        queue.enqueue(*jobs)
        ledger.wait_for(job.id for job in jobs)
        began, _ = client.time()
        before = _calls(client)
        wait_until(lambda: client.time()[0] >= began + 3, "some seconds have passed", 5)
        asked = _calls(client) - before
    seconds = 3
    # Twice what it should be, and what was still under way when the counting began.
    assert asked <= workers * (2 * 2 * seconds + 4)
    queue.close()


def test_what_no_bell_told_of_is_found_by_the_poll(queue: RedisQueue, client: redis.Redis) -> None:
    """As where the worker that took the token died with it."""
    keys, ledger = Keys(queue.name), Ledger()
    with running(queue, {"kind": ledger.note}, poll_interval=0.1):
        queue.enqueue(Job("kind", id="first"))
        ledger.wait_for(["first"])
        job = encode_job(Job("kind", id="silent"), 1, 1000)
        with client.pipeline(transaction=True) as pipeline:
            pipeline.hset(keys.jobs.decode(), job.id, job.record)
            pipeline.zadd(keys.of_kind("kind")[0], {job.id: 1})
            pipeline.execute()
        ledger.wait_for(["silent"])


def test_a_due_time_finds_its_claim_put_together(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[bool, bool]] = []
    begin = RoundTrips.begin_prepared

    def noted(trips: RoundTrips) -> None:
        begin(trips)
        begun.append((trips._agenda.token_in_hand, trips.under_way))

    monkeypatch.setattr(RoundTrips, "begin_prepared", noted)
    ledger = Ledger()
    with running(queue, {"kind": ledger.note}, poll_interval=60):
        queue.enqueue(Job("kind", id="later", delay=timedelta(seconds=0.3)))
        ledger.wait_for(["later"])
    assert (False, True) in begun, "it was no bell that this claim was begun for"


@pytest.mark.parametrize("why", ["the connection broke", "it does not listen"])
def test_a_claim_put_together_is_not_kept_for_another_time(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """By then the worker may have another id, or no free slot."""
    seen: list[RoundTrips] = []
    prepare = RoundTrips.prepare

    def noted(trips: RoundTrips, *, listening: bool) -> None:
        prepare(trips, listening=listening)
        if trips._prepared:
            seen.append(trips)

    monkeypatch.setattr(RoundTrips, "prepare", noted)
    with running(queue, {"kind": Ledger().note}, poll_interval=60):
        wait_until(lambda: seen, "a claim is put together")
    (trips, *_) = seen
    trips._prepared = lambda: pytest.fail("it was sent")
    if why == "the connection broke":
        trips.forget()
    else:
        prepare(trips, listening=False)
    assert trips._prepared is None


@pytest.mark.parametrize("cut", ["bell", "claim"])
def test_a_job_comes_through_when_one_of_the_two_connections_is_cut(
    own_server: OwnServer, cut: str
) -> None:
    """The bell rings on one connection; the claim, put together before, goes over the other."""
    server, ledger = own_server(), Ledger()
    queue = RedisQueue.from_url(server.url, "cut")
    with (
        redis.Redis.from_url(server.url) as client,
        running(queue, {"kind": ledger.note}, poll_interval=60, lease=60),
    ):

        def waits_for_the_bell() -> bool:
            return any("b" in one["flags"] for one in client.client_list())

        for id in ("first", "second", "third"):
            queue.enqueue(Job("kind", id=id))
            ledger.wait_for([id])
            wait_until(lambda: not client.keys("*:processing:*"), "its outcome is settled")
            wait_until(waits_for_the_bell, "the worker listens")
            own = client.client_id()
            for one in client.client_list():
                if ("b" in one["flags"]) == (cut == "bell") and int(one["id"]) != own:
                    client.client_kill_filter(_id=one["id"])
    assert ledger.runs == {"first": 1, "second": 1, "third": 1}
    queue.close()


def test_a_run_leaves_nothing_open(queue: RedisQueue, client: redis.Redis) -> None:
    ledger = Ledger()
    worker = Worker(queue, {"sync": ledger.note, "async": ledger.note_async})

    def burst() -> None:
        queue.enqueue(Job("sync"), Job("async"))
        worker.run(burst=True)

    burst()
    gc.collect()
    files, threads = _open_files(), threading.active_count()
    for _ in range(3):
        burst()
    wait_until(lambda: threading.active_count() <= threads, "the threads of the runs have ended")
    gc.collect()
    assert _open_files() <= files
    assert len(ledger.runs) == 8
