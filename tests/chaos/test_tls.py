"""Redis over TLS: all works, and what is wrong is told soon, by what it is."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import redis

from redisjobs import (
    AsyncRedisQueue,
    ConfigurationError,
    EmbeddedServerError,
    Job,
    QueueUnavailableError,
    RedisJobsError,
    RedisQueue,
    Status,
    connections,
    patience,
)
from redisjobs.embedded import EmbeddedServer
from tests import certificates, drivers
from tests.certificates import Certificates
from tests.drivers import DRIVERS
from tests.running import Ledger, running, wait_for_end
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import OwnServer
    from tests.drivers import Driver

PASSWORD = "s3cret"
pytestmark = pytest.mark.skipif(certificates.OPENSSL is None, reason=certificates.WHERE_FROM)
# What is wrong is no outage, and not waited for as one.
SOON_S = 5.0


class Served(NamedTuple):
    """A server that speaks TLS on a port, its password, and the version if it speaks but one."""

    port: int
    certificates: Certificates
    password: str
    version: str = ""

    def url(self, authority: Path | None = None, /, **settings: str) -> str:
        """Where it is, for a client that trusts this authority, or the right one."""
        query = {"ssl_ca_certs": str(authority or self.certificates.authority)} | settings
        options = "&".join(f"{name}={value}" for name, value in query.items())
        return f"rediss://:{self.password}@127.0.0.1:{self.port}/0?{options}"


@contextmanager
def serving(folder: Path, password: str = "", **settings: str) -> Iterator[Served]:
    """`settings`: lines of the server's configuration, with "_" for "-"."""
    made = Certificates.make(folder)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = {"tls-port": str(port), "tls-auth-clients": "optional"} | made.of_server
    options |= {name.replace("_", "-"): value for name, value in settings.items()}
    try:
        server = EmbeddedServer(options=options)
    except EmbeddedServerError as err:
        if "tls" not in str(err).lower():
            raise
        pytest.skip("this redis-server was built without TLS")
    with server, redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", password)
        yield Served(port, made, password, options.get("tls-protocols", ""))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("tls") / "right", PASSWORD) as started:
        yield started


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """An authority that has certified nobody here."""
    return Certificates.make(tmp_path / "stranger").authority


@pytest.fixture(params=DRIVERS[:2])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with drivers.driver(request.param) as made:
        yield made


def failure(call: Callable[[], Any], kind: type[Exception], words: str) -> str:
    """What is told, soon, and without secrets."""
    began = time.monotonic()
    with pytest.raises(kind, match=words) as caught:
        call()
    assert time.monotonic() - began < SOON_S
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


def all_works(url: str, driver: Driver, queue_name: str) -> None:
    queue, ledger = driver.from_url(url, queue_name), Ledger()
    ids = [f"job-{number}" for number in range(20)]
    queue.enqueue(*(Job("kind", id=id) for id in ids))
    for_worker = RedisQueue if driver.name == "blocking" else AsyncRedisQueue
    with running(for_worker.from_url(url, queue_name), {"kind": ledger.note}, poll_interval=60):
        wait_for_end(queue, *ids)
        # By now its pop waits: a bell is heard through TLS, too.
        later = Job("kind")
        queue.enqueue(later)
        assert queue.wait(later.id, 10.0).status is Status.DONE
    assert queue.check() == []


def test_all_works(served: Served, driver: Driver, queue_name: str) -> None:
    all_works(served.url(), driver, queue_name)


def test_what_only_tls_says_is_no_reply(tmp_path: Path, queue_name: str) -> None:
    """After the handshake the server sends tickets: its socket is readable then, unless the client
    has read something else on it, as the answer to its password.
    """
    with serving(tmp_path / "right") as open_to_all:
        client = redis.Redis.from_url(
            open_to_all.url(),
            redis_connect_func=lambda connection: connection._parser.on_connect(connection),
        )
        queue = RedisQueue(client, queue_name)
        queue.stats()  # from now on the server's version is known, and not asked for
        line = queue.lines.new_line(1.0)
        try:
            socket_of_pop = line.begin_pop([queue.keys.bell("kind")])
            assert socket_of_pop is not None
            assert select.select([socket_of_pop], [], [], 10.0)[0]
            assert not line.has_reply()
            queue.enqueue(Job("kind"))
            assert wait_until(line.has_reply, "the bell rings")
            assert line.end_pop() == queue.keys.bell("kind")
        finally:
            line.close()
            queue.close()


def test_the_command_line_takes_the_url(served: Served) -> None:
    command = [sys.executable, "-m", "redisjobs", "check", "--url", served.url()]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "sound" in told.stdout


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long it takes to give up is not what these tests are about."""
    monkeypatch.setattr(patience, "CONNECT_FOR_S", 0.2)
    monkeypatch.setattr(connections, "CONNECT_S", 0.5)
    monkeypatch.setattr(connections, "LOOK_UP_S", 0.0)


@pytest.mark.usefixtures("impatient")
class TestWhatIsWrong:
    def test_an_unknown_authority(self, served: Served, driver: Driver, stranger: Path) -> None:
        queue = driver.from_url(served.url(stranger))
        failure(lambda: queue.enqueue(Job("kind")), ConfigurationError, "no TLS connection")

    @pytest.mark.parametrize("setting", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
    def test_a_file_that_is_not_there(
        self, served: Served, driver: Driver, tmp_path: Path, setting: str
    ) -> None:
        files = served.certificates.of_client | {setting: str(tmp_path / "gone.pem")}
        queue = driver.from_url(served.url(**files))
        words = rf"no TLS connection \({setting}: \S*gone\.pem cannot be read\)"
        failure(lambda: queue.enqueue(Job("kind")), ConfigurationError, words)

    def test_another_host(self, served: Served, driver: Driver) -> None:
        # By default only from redis-py 6 on.
        url = served.url(ssl_check_hostname="true").replace("127.0.0.1", "localhost")
        queue = driver.from_url(url)
        failure(lambda: queue.enqueue(Job("kind")), ConfigurationError, "no TLS connection")

    def test_a_server_without_tls(self, driver: Driver, own_server: OwnServer) -> None:
        port = urlsplit(own_server(tcp=True).url).port
        queue = driver.from_url(f"rediss://:{PASSWORD}@127.0.0.1:{port}/0")
        # Some handshakes have a byte that Redis takes for the end of a command, and answers.
        failure(
            lambda: queue.enqueue(Job("kind")),
            (ConfigurationError, QueueUnavailableError),  # type: ignore[arg-type]
            "TLS",
        )

    def test_a_url_without_tls(self, served: Served, driver: Driver) -> None:
        queue = driver.from_url(f"redis://:{PASSWORD}@127.0.0.1:{served.port}/0")
        failure(
            lambda: queue.enqueue(Job("kind")),
            (ConfigurationError, QueueUnavailableError),  # type: ignore[arg-type]
            str(served.port),
        )

    def test_nobody_at_all(self, served: Served, driver: Driver) -> None:
        queue = driver.from_url(served.url().replace(str(served.port), "1"))
        failure(lambda: queue.enqueue(Job("kind")), QueueUnavailableError, "cannot be reached")

    def test_what_the_caller_was_handling_is_another_matter(
        self, served: Served, driver: Driver
    ) -> None:
        queue = driver.from_url(served.url().replace(str(served.port), "1"))
        of_the_caller = ssl.SSLError(1, "of another connection")
        of_the_caller.reason = "CERTIFICATE_EXPIRED"
        try:
            raise of_the_caller
        except ssl.SSLError:
            failure(lambda: queue.enqueue(Job("kind")), QueueUnavailableError, "cannot be reached")

    def test_a_worker_is_told_when_it_starts(self, served: Served, stranger: Path) -> None:
        with drivers.driver("blocking") as made:
            worker = running(made.from_url(served.url(stranger)), {"kind": Ledger().note})
            with pytest.raises(ConfigurationError, match="no TLS connection"), worker as started:
                started.join(SOON_S)


@pytest.fixture(scope="module", params=["TLSv1.2", "TLSv1.3"])
def strict(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server that wants a certificate of each client. By 1.2 it refuses one in the handshake, by
    1.3 after it: the client takes the connection for open, and sends.
    """
    folder = tmp_path_factory.mktemp("strict") / "right"
    with serving(folder, PASSWORD, tls_auth_clients="yes", tls_protocols=request.param) as started:
        yield started


def refused(strict: Served, driver: Driver, words: str) -> tuple[type[Exception], str]:
    """How a call fails whose certificate is refused.

    By TLS 1.3 an asyncio connection may be reset before the server's reason is read: that looks as
    any connection does that breaks, and is tried again for a while.
    """
    if driver.name == "blocking" or strict.version == "TLSv1.2":
        return ConfigurationError, f"no TLS connection .*{words}"
    return RedisJobsError, "TLS|cannot be reached|the connection broke"


class TestClientCertificates:
    def test_all_works_with_one(self, strict: Served, driver: Driver, queue_name: str) -> None:
        url = strict.url(**strict.certificates.certified("client").of_client)
        all_works(url, driver, queue_name)

    def test_none(self, strict: Served, driver: Driver) -> None:
        queue = driver.from_url(strict.url())
        failure(lambda: queue.enqueue(Job("kind")), *refused(strict, driver, "certificate"))

    def test_one_of_an_unknown_authority(
        self, strict: Served, driver: Driver, tmp_path: Path
    ) -> None:
        url = strict.url(**Certificates.make(tmp_path / "stranger").of_client)
        queue = driver.from_url(url)
        failure(lambda: queue.enqueue(Job("kind")), *refused(strict, driver, "unknown ca"))

    def test_a_worker_is_told_when_it_starts(self, strict: Served) -> None:
        with drivers.driver("blocking") as made:
            worker = running(made.from_url(strict.url()), {"kind": Ledger().note})
            with pytest.raises(ConfigurationError, match="no TLS connection"), worker as started:
                started.join(SOON_S)
