"""A server that would delete a queue's keys when it is full: workers and `redisjobs check` say so.

And a full server that deletes nothing: workers drain it, jobs are refused whole, leases hold.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis

from redisjobs import Job, QueueFullError, RedisQueue, Status, Worker
from redisjobs.operations.eviction import eviction_risk
from tests.running import running, wait_for_end
from tests.servers import KINDS
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer

MEMORY = "100mb"


@pytest.fixture(params=list(KINDS))
def server(request: pytest.FixtureRequest, own_server: OwnServer) -> EmbeddedServer:
    """Each kind, of the test's own."""
    return own_server(request.param)


@pytest.fixture
def client(server: EmbeddedServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as made:
        yield made


@pytest.fixture
def queue(server: EmbeddedServer) -> Iterator[RedisQueue]:
    made = RedisQueue.from_url(server.url)
    yield made
    made.close()


def configure(client: redis.Redis, policy: str, memory: str = MEMORY) -> None:
    client.config_set("maxmemory-policy", policy)
    client.config_set("maxmemory", memory)


def warnings_of_a_worker(queue: RedisQueue, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "redisjobs.worker"):
        Worker(queue, {"kind": lambda ctx, job: b""}).run(burst=True)
    return [record.getMessage() for record in caplog.records]


class TestWarning:
    @pytest.mark.parametrize(
        ("policy", "words"),
        [
            ("allkeys-lru", "deletes jobs"),
            ("allkeys-random", "deletes jobs"),
            ("volatile-lru", "run twice"),
            ("volatile-ttl", "run twice"),
        ],
    )
    def test_a_worker_says_once_what_could_be_deleted(
        self,
        queue: RedisQueue,
        client: redis.Redis,
        caplog: pytest.LogCaptureFixture,
        policy: str,
        words: str,
    ) -> None:
        configure(client, policy)
        [warning] = warnings_of_a_worker(queue, caplog)
        assert re.search(rf"Redis at .*{policy}.*{words}.*noeviction", warning)

    @pytest.mark.parametrize(
        ("policy", "memory"), [("noeviction", MEMORY), ("allkeys-lru", "0"), ("volatile-lru", "0")]
    )
    def test_a_worker_says_nothing_where_nothing_can_be(
        self,
        queue: RedisQueue,
        client: redis.Redis,
        caplog: pytest.LogCaptureFixture,
        policy: str,
        memory: str,
    ) -> None:
        configure(client, policy, memory)
        assert warnings_of_a_worker(queue, caplog) == []

    def test_a_worker_that_may_not_ask_says_nothing(
        self,
        queue: RedisQueue,
        client: redis.Redis,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        configure(client, "allkeys-lru")
        client.acl_setuser("default", enabled=True, commands=["-info"])
        assert warnings_of_a_worker(queue, caplog) == []

    def test_check_says_it_and_is_no_less_sound(
        self, server: EmbeddedServer, client: redis.Redis
    ) -> None:
        def check(*options: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "redisjobs", "check", "--url", server.url, *options]
            return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)

        configure(client, "allkeys-lfu")
        told = check()
        assert "sound" in told.stdout
        assert told.stderr.startswith("warning: Redis at")
        [warning] = json.loads(check("--json").stdout)["warnings"]
        assert "allkeys-lfu" in warning
        configure(client, "noeviction")
        assert json.loads(check("--json").stdout)["warnings"] == []


@pytest.mark.parametrize("info", [None, b"", b"# Memory\r\n", ValueError("not permitted")])
def test_what_is_not_told_is_no_risk(info: Any) -> None:
    asking = eviction_risk()
    next(asking)
    with pytest.raises(StopIteration) as end:
        asking.send((info,))
    assert end.value.value is None


def enqueued_until_it_is_full(queue: RedisQueue) -> list[str]:
    """The ids of jobs of 20 kB that were accepted."""
    for number in range(1000):
        try:
            queue.enqueue(Job("kind", bytes(20_000), id=f"job-{number}"))
        except QueueFullError:
            return [f"job-{before}" for before in range(number)]
    raise AssertionError("20 MB fit in a server with room for 3 MB")


class TestAFullServer:
    """With noeviction."""

    @pytest.mark.parametrize("retention", [0, 3600.0])
    def test_a_worker_drains_it_and_there_is_room_again(
        self, server: EmbeddedServer, client: redis.Redis, retention: float
    ) -> None:
        queue = RedisQueue.from_url(server.url, retention=retention)
        configure(client, "noeviction", str(client.info("memory")["used_memory"] + 3_000_000))
        accepted = enqueued_until_it_is_full(queue)
        assert queue.get(f"job-{len(accepted)}") is None
        assert queue.stats().kinds["kind"].ready == len(accepted) > 20
        with running(queue, {"kind": lambda ctx, job: b"done"}, lease=3) as worker:
            wait_until(lambda: queue.stats().kinds["kind"].ready == 0, "all are taken", 20.0)
            wait_until(lambda: queue.stats().kinds["kind"].running == 0, "all have ended", 20.0)
            assert worker.is_running
        if retention:
            assert queue.stats().kinds["kind"].done == len(accepted)
            assert {queue.get(id).status for id in accepted} == {Status.DONE}  # type: ignore[union-attr]
        else:
            assert queue.get(accepted[0]) is None
            queue.enqueue(Job("kind", bytes(20_000)))
        assert queue.check() == []
        queue.close()

    def test_a_worker_keeps_its_lease(self, queue: RedisQueue, client: redis.Redis) -> None:
        """For three times its length."""
        began, gate = threading.Event(), threading.Event()

        def hold(ctx: Any, job: Job) -> bytes:
            began.set()
            gate.wait(30.0)
            return b"kept" if not ctx.cancelled else b"lost"

        queue.enqueue(Job("kind", id="held"))
        with running(queue, {"kind": hold}, lease=0.6):
            wait_for_event(began, "the handler has begun")
            configure(client, "noeviction", "1")
            with pytest.raises(QueueFullError):
                queue.enqueue(Job("kind"))
            [worker] = queue.stats().workers
            ends = set[float | None]()

            def has_beaten() -> bool:
                """Every third of its lease."""
                ends.add(client.zscore(queue.keys.workers, worker.id))
                return len(ends) > 9

            wait_until(has_beaten, "it beats nine times")
            assert [one.id for one in queue.stats().workers] == [worker.id]
            gate.set()
            [job] = wait_for_end(queue, "held")
        assert job.result == b"kept"
        assert job.attempts_done == 1
