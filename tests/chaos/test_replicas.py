"""`min_replicas`: an enqueue is acknowledged when so many replicas have its jobs, also where its
script had been forgotten, and where its first reply was lost.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis

from redisjobs import (
    ConfigurationError,
    Job,
    JobExistsError,
    NotReplicatedError,
    QueueUnavailableError,
    RedisQueue,
)
from redisjobs.embedded import EmbeddedServer
from tests import drivers
from tests.drivers import DRIVERS
from tests.proxy import Proxy, When
from tests.servers import KINDS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import OwnServer
    from tests.drivers import Driver

TIMEOUT_S = 0.3


@pytest.fixture(params=DRIVERS[:2])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with drivers.driver(request.param) as made:
        yield made


class Pair:
    """A primary and its replica."""

    def __init__(self, start: OwnServer, kind: str) -> None:
        self.primary = start(kind, tcp=True, options={"repl-diskless-sync-delay": "0"})
        port = urlsplit(self.primary.url).port
        self.replica = start(kind, tcp=True, options={"replicaof": f"127.0.0.1 {port}"})
        self.client = redis.Redis.from_url(self.primary.url)
        wait_until(self._is_online, "the replica is online")

    def _is_online(self) -> bool:
        self.client.set("other", "1")  # what a replica that is not online yet does not count
        return bool(self.client.wait(1, 50))

    @contextmanager
    def replica_paused(self) -> Iterator[None]:
        """It is connected, but does not go on."""
        os.kill(self.replica.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.replica.pid, signal.SIGCONT)

    def is_stored(self, server: EmbeddedServer, id: str) -> bool:
        with redis.Redis.from_url(server.url) as client:
            return bool(client.hexists("redisjobs:{q}:jobs", id))


@pytest.fixture(params=list(KINDS))
def pair(request: pytest.FixtureRequest, own_server: OwnServer) -> Iterator[Pair]:
    made = Pair(own_server, request.param)
    yield made
    made.client.close()


def test_what_is_acknowledged_is_on_the_replica(pair: Pair, driver: Driver) -> None:
    queue = driver.from_url(pair.primary.url, "q", min_replicas=1)
    for number in range(50):
        queue.enqueue(Job("kind", id=f"job-{number}"))
        assert pair.is_stored(pair.replica, f"job-{number}")
    assert queue.enqueue_many(Job("kind") for _ in range(10)) == 10


def test_what_no_replica_has_in_time_is_told_and_stored(pair: Pair, driver: Driver) -> None:
    queue = driver.from_url(pair.primary.url, "q", min_replicas=1, min_replicas_timeout=TIMEOUT_S)
    with pair.replica_paused():
        began = time.monotonic()
        with pytest.raises(NotReplicatedError, match="only 0 of 1 replicas") as caught:
            queue.enqueue(Job("kind", id="one"), Job("kind", id="two"))
        assert TIMEOUT_S <= time.monotonic() - began < 5.0
    assert isinstance(caught.value, QueueUnavailableError)
    assert (caught.value.ids, caught.value.replicas) == (("one", "two"), 0)
    assert queue.stats().kinds["kind"].ready == 2
    with pytest.raises(JobExistsError):
        queue.enqueue(Job("kind", id="one"))


def test_a_repeated_call_waits_too(pair: Pair, driver: Driver) -> None:
    """It writes nothing itself, and on its new connection nothing was written before."""
    with Proxy(pair.primary.url) as proxy:
        queue = driver.from_url(proxy.url, "q", min_replicas=1, min_replicas_timeout=TIMEOUT_S)
        queue.enqueue(Job("kind"))  # the server knows the script from now on
        proxy.cut("enqueue", When.AFTER)
        with pair.replica_paused(), pytest.raises(NotReplicatedError):
            queue.enqueue(Job("kind"))
        assert proxy.cuts == 1
        assert queue.stats().kinds["kind"].ready == 2


def test_a_repeated_call_is_acknowledged(pair: Pair, driver: Driver) -> None:
    with Proxy(pair.primary.url) as proxy:
        queue = driver.from_url(proxy.url, "q", min_replicas=1)
        queue.enqueue(Job("kind"))
        proxy.cut("enqueue", When.AFTER)
        queue.enqueue(Job("kind", id="one"))
        assert proxy.cuts == 1
    assert pair.is_stored(pair.replica, "one")


def test_a_call_whose_script_was_forgotten_waits_too(pair: Pair, driver: Driver) -> None:
    """The first WAIT has nothing to wait for: the script behind it is sent once more."""
    queue = driver.from_url(pair.primary.url, "q", min_replicas=1, min_replicas_timeout=TIMEOUT_S)
    for _ in range(2):  # the first one loads the script, the second one is sure to be replicated
        queue.enqueue(Job("kind"))
    pair.client.script_flush()
    with pair.replica_paused(), pytest.raises(NotReplicatedError):
        queue.enqueue(Job("kind"))


def test_without_it_nothing_is_said_of_replicas(own_server: OwnServer, driver: Driver) -> None:
    server = own_server()
    driver.from_url(server.url, "q").enqueue(Job("kind"))
    driver.from_url(server.url, "q", min_replicas=0).enqueue(Job("kind"))
    with redis.Redis.from_url(server.url) as client:
        stats = client.info("commandstats")
        assert {"cmdstat_wait", "cmdstat_publish"}.isdisjoint(stats)
        assert stats["cmdstat_evalsha"]["calls"] == 2


def test_a_primary_without_replicas_is_told(own_server: OwnServer, driver: Driver) -> None:
    queue = driver.from_url(own_server().url, "q", min_replicas=1, min_replicas_timeout=TIMEOUT_S)
    with pytest.raises(NotReplicatedError):
        queue.enqueue(Job("kind"))
    assert queue.stats().kinds["kind"].ready == 1


def test_a_primary_that_wants_more_replicas_is_waited_for(
    own_server: OwnServer, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a failover, when the replicas have not yet come to the new primary."""
    monkeypatch.setattr("redisjobs.patience.CONNECT_FOR_S", 0.3)
    server = own_server(options={"min-replicas-to-write": "1"})
    queue = driver.from_url(server.url, "q")
    with pytest.raises(QueueUnavailableError, match="NOREPLICAS"):
        queue.enqueue(Job("kind", id="one"))
    with redis.Redis.from_url(server.url) as client:
        client.config_set("min-replicas-to-write", 0)
    queue.enqueue(Job("kind", id="one"))


@pytest.mark.parametrize(
    "setting",
    [
        {"min_replicas": -1},
        {"min_replicas": 1.5},
        {"min_replicas": True},
        {"min_replicas_timeout": 0},  # to WAIT this is for ever
        {"min_replicas_timeout": 0.0005},
        {"min_replicas_timeout": 5.1},
        {"min_replicas_timeout": "1s"},
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        RedisQueue(redis.Redis(), **setting)
