"""Failovers by Sentinel: producers, workers and waits follow the new primary, and what was
replicated is kept.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import redis.asyncio.sentinel
import redis.sentinel

from redisjobs import (
    AsyncRedisQueue,
    ConfigurationError,
    Job,
    NotReplicatedError,
    QueueUnavailableError,
    RedisQueue,
    Status,
    patience,
)
from tests import certificates, drivers, servers_sentinel
from tests.certificates import Certificates
from tests.drivers import DRIVERS
from tests.running import Ledger, running, wait_for_end
from tests.servers_sentinel import SERVICE, Fleet
from tests.waiting import Deadline, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.drivers import Driver

# Sentinels that split their votes try again after some seconds.
FAILOVER_S = 30.0
PASSWORD, SENTINEL_PASSWORD = "s3cret-of-servers", "s3cret-of-sentinels"

pytestmark = [
    pytest.mark.skipif(servers_sentinel.executable() is None, reason=servers_sentinel.WHERE_FROM),
    pytest.mark.timeout(120),
]


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """Of the test's own."""
    with Fleet() as started:
        yield started


@pytest.fixture(params=DRIVERS[:2])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Both queues."""
    with drivers.driver(request.param) as made:
        yield made


class Producer:
    """Enqueues one job after the other until it is stopped.

    Attributes:
        acknowledged: the ids of what is stored and was replicated.
        stored: when jobs were stored, replicated or not.
        errors: what stopped it.
    """

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.acknowledged: list[str] = []
        self.stored: list[float] = []
        self.errors: list[BaseException] = []

    def __enter__(self) -> Producer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it, if it has not ended."""
        self._stopping.set()
        self._thread.join(patience.REPEAT_FOR_S + patience.TIMEOUT_S)
        assert not self._thread.is_alive(), "a producer hangs"

    def _run(self) -> None:
        try:
            while not self._stopping.wait(0.002):
                job = Job("kind")
                try:
                    self._queue.enqueue(job)
                    self.acknowledged.append(job.id)
                except NotReplicatedError:
                    pass  # nothing was promised
                self.stored.append(time.monotonic())
        except BaseException as err:  # noqa: BLE001 - the test looks at them
            self.errors.append(err)

    def has_stored_since(self, moment: float) -> bool:
        """Whether it has stored some jobs after that."""
        return self.stored[-10:-9] > [moment]


def kill(fleet: Fleet) -> None:
    fleet.primary.crash()


def demote(fleet: Fleet) -> None:
    """The old primary lives, and follows the new one."""
    assert fleet.ask(fleet.sentinels[0], "FAILOVER", SERVICE)


def pause(fleet: Fleet) -> None:
    """The old primary hangs with all its connections, and comes back when there is another."""
    old = fleet.primary
    os.kill(old.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: fleet.primary is not old, "there is a new primary", FAILOVER_S)
    finally:
        os.kill(old.pid, signal.SIGCONT)


def by_url(fleet: Fleet, made: Any, *, is_async: bool, **settings: Any) -> Any:
    """A queue of `made`, a driver or a class of queues."""
    return made.from_url(fleet.url, "load", **settings)


def by_client(fleet: Fleet, made: Any, *, is_async: bool, **settings: Any) -> Any:
    """As `by_url`, by the user's own client of the Sentinels."""
    return made(manager_of(fleet, is_async=is_async).master_for(SERVICE), "load", **settings)


def manager_of(fleet: Fleet, *, is_async: bool, **settings: Any) -> Any:
    """redis-py's own object for the Sentinels."""
    library: Any = redis.asyncio if is_async else redis
    hosts = [("127.0.0.1", sentinel.port) for sentinel in fleet.sentinels]
    return library.sentinel.Sentinel(hosts, **settings)


class TestUnderLoad:
    @pytest.mark.parametrize(
        ("connect", "fault"),
        [(by_url, kill), (by_url, demote), (by_url, pause), (by_client, kill)],
    )
    def test_what_all_replicas_had_is_kept_and_all_follow(
        self, fleet: Fleet, connect: Any, fault: Any
    ) -> None:
        """One of two would not do: where the primary is well, the replica that is not promoted
        goes on telling it that it has all.
        """
        ledger, old = Ledger(), fleet.primary
        with ExitStack() as stack:
            made = [stack.enter_context(drivers.driver(name)) for name in DRIVERS[:2]]
            queues = [
                connect(
                    fleet, driver, is_async=driver.name != "blocking",
                    min_replicas=2, min_replicas_timeout=0.1,
                )
                for driver in made
            ]  # fmt: skip
            plain = connect(fleet, RedisQueue, is_async=False)
            for _ in range(2):
                stack.enter_context(running(plain, {"kind": ledger.note}, lease=3, concurrency=4))
            producers = [stack.enter_context(Producer(queue)) for queue in queues]
            for producer in producers:
                wait_until(lambda: len(producer.acknowledged) > 50, "a producer enqueues")  # noqa: B023
            fault(fleet)
            deadline = Deadline(FAILOVER_S)
            deadline.until(lambda: fleet.primary is not old, "there is a new primary")
            moment = time.monotonic()
            for producer in producers:
                deadline.until(partial(producer.has_stored_since, moment), "a producer follows")
            ran = ledger.runs.total()
            deadline.until(lambda: ledger.runs.total() > ran + 50, "the workers follow")
            for producer in producers:
                producer.stop()
            acknowledged = {id for producer in producers for id in producer.acknowledged}
            ledger.wait_for(acknowledged, FAILOVER_S)
            wait_for_end(plain, *acknowledged)
            assert plain.check() == []
            assert [err for one in producers for err in one.errors] == []
        assert plain.stats().workers == ()


def test_an_idle_worker_hears_the_new_primarys_bell(fleet: Fleet) -> None:
    """Its pop waited at the old one, and it looks for jobs by itself only once a minute."""
    ledger, old = Ledger(), fleet.primary
    queue = RedisQueue.from_url(fleet.url, "idle")
    with running(queue, {"kind": ledger.note}, poll_interval=60, lease=60):
        ledger_of_old = fleet.client_of(old)
        wait_until(lambda: ledger_of_old.info()["blocked_clients"], "its pop waits")
        demote(fleet)
        wait_until(lambda: fleet.primary is not old, "there is a new primary", FAILOVER_S)
        job = Job("kind")
        queue.enqueue(job)
        ledger.wait_for([job.id], 5.0)
        ledger_of_old.close()


def test_a_wait_is_told_by_the_new_primary(fleet: Fleet, driver: Driver) -> None:
    queue, old = driver.from_url(fleet.url, "waits", min_replicas=2), fleet.primary
    job, ended = Job("kind"), []
    queue.enqueue(job)
    thread = threading.Thread(target=lambda: ended.append(queue.wait(job.id, FAILOVER_S)))
    thread.start()
    client = fleet.client_of(old)
    wait_until(lambda: client.pubsub_channels(), "the wait listens")
    client.close()
    kill(fleet)
    wait_until(lambda: fleet.primary is not old, "there is a new primary", FAILOVER_S)
    with running(RedisQueue.from_url(fleet.url, "waits"), {"kind": Ledger().note}):
        thread.join(FAILOVER_S)
    assert [one.status for one in ended] == [Status.DONE]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Fleet]:
    """With passwords; no test changes it."""
    with Fleet(password=PASSWORD, sentinel_password=SENTINEL_PASSWORD) as started:
        yield started


class TestCredentials:
    def test_servers_and_sentinels_have_their_own(self, guarded: Fleet, driver: Driver) -> None:
        queue = driver.from_url(guarded.url, driver.name)
        queue.enqueue(Job("kind"))
        assert queue.stats().kinds["kind"].ready == 1

    def test_a_client_of_redis_py_will_do(self, guarded: Fleet, driver: Driver) -> None:
        manager = manager_of(
            guarded,
            is_async=driver.name != "blocking",
            sentinel_kwargs={"password": SENTINEL_PASSWORD},
            password=PASSWORD,
        )
        name, job = f"made-{driver.name}", Job("kind")
        queue = driver(manager.master_for(SERVICE), name)
        queue.enqueue(job)
        for_worker = RedisQueue if driver.name == "blocking" else AsyncRedisQueue
        with running(for_worker(manager.master_for(SERVICE), name), {"kind": Ledger().note}):
            wait_for_end(queue, job.id)

    @pytest.mark.parametrize("password", [PASSWORD, SENTINEL_PASSWORD])
    def test_wrong_ones_are_refused_at_once_and_not_told(
        self, guarded: Fleet, driver: Driver, password: str
    ) -> None:
        queue = driver.from_url(guarded.url.replace(password, "wr0ng-one"))
        began = time.monotonic()
        with pytest.raises(ConfigurationError, match=r"refuse.* the connection") as caught:
            queue.enqueue(Job("kind"))
        assert time.monotonic() - began < 2.0
        assert not any(one in str(caught.value) for one in (PASSWORD, SENTINEL_PASSWORD, "wr0ng"))

    def test_a_service_that_is_not_there_is_named(self, guarded: Fleet, driver: Driver) -> None:
        queue = driver.from_url(guarded.url.replace(f"/{SERVICE}/", "/nobodys/"))
        with pytest.raises(ConfigurationError, match="know no service 'nobodys'"):
            queue.enqueue(Job("kind"))

    def test_the_command_line_takes_the_url(self, guarded: Fleet) -> None:
        command = [sys.executable, "-m", "redisjobs", "check", "--url", guarded.url]
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        assert "sound" in told.stdout


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Its servers and Sentinels speak TLS and nothing else, also to one another."""
    made = Certificates.make(tmp_path_factory.mktemp("tls") / "right")
    with Fleet(password=PASSWORD, sentinel_password=SENTINEL_PASSWORD, tls=made) as started:
        yield started


@pytest.mark.skipif(certificates.OPENSSL is None, reason=certificates.WHERE_FROM)
def test_tls_to_sentinels_and_servers_also_after_a_failover(encrypted: Fleet) -> None:
    """The workers' pops wait at the old primary, and look for jobs only once a minute. All four
    queues hear the Sentinels by TLS, too.
    """
    ledger, old = Ledger(), encrypted.primary
    with ExitStack() as stack:
        made = [stack.enter_context(drivers.driver(name)) for name in DRIVERS[:2]]
        queues = [driver.from_url(encrypted.url, driver.name) for driver in made]
        for queue_class, name in ((RedisQueue, "blocking"), (AsyncRedisQueue, "asyncio")):
            queue = queue_class.from_url(encrypted.url, name)
            stack.enter_context(running(queue, {"kind": ledger.note}, poll_interval=60, lease=60))

        def run_one_each() -> None:
            for queue in queues:
                job = Job("kind")
                queue.enqueue(job)
                ledger.wait_for([job.id], 5.0)
                wait_for_end(queue, job.id)

        run_one_each()
        wait_until(lambda: encrypted.listeners == 4, "each queue hears a Sentinel")
        demote(encrypted)
        wait_until(lambda: encrypted.primary is not old, "there is a new primary", FAILOVER_S)
        run_one_each()
        for queue in queues:
            assert queue.check() == []


@pytest.mark.skipif(certificates.OPENSSL is None, reason=certificates.WHERE_FROM)
def test_sentinels_of_an_unknown_authority_are_told_of(
    encrypted: Fleet, driver: Driver, tmp_path: Path
) -> None:
    right = encrypted.url.partition("ssl_ca_certs=")[2]
    stranger = Certificates.make(tmp_path / "stranger").authority
    queue = driver.from_url(encrypted.url.replace(right, str(stranger)))
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"Sentinels of service .* no TLS connection"):
        queue.enqueue(Job("kind"))
    assert time.monotonic() - began < 2.0


class TestWithoutAPrimary:
    def test_sentinels_that_are_not_there_are_no_failover(
        self, driver: Driver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(patience, "CONNECT_FOR_S", 0.2)
        queue = driver.from_url("redis+sentinel://127.0.0.1:1,127.0.0.1:2/shop")
        began = time.monotonic()
        with pytest.raises(QueueUnavailableError, match="no Sentinel can be reached"):
            queue.enqueue(Job("kind"))
        assert time.monotonic() - began < 5.0

    def test_that_no_failover_can_replace_is_given_up(
        self, fleet: Fleet, driver: Driver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(patience, "REPEAT_FOR_S", 2.0)
        queue = driver.from_url(fleet.url)
        old = fleet.primary
        for sentinel in fleet.sentinels[1:]:
            sentinel.process.kill()  # one alone decides nothing
        old.crash()
        with pytest.raises(
            QueueUnavailableError, match=rf"no primary.*:{fleet.port_of(old)} is down"
        ):
            queue.enqueue(Job("kind"))
