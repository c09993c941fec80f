"""Servers that are not there, too old, or refuse; replies that are lost; forks."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from redisjobs import ConfigurationError, Job, RedisQueue, Worker, connections, patience
from redisjobs.errors import JobExistsError, QueueUnavailableError
from tests import drivers
from tests.drivers import DRIVERS
from tests.proxy import Proxy, When
from tests.stub_server import StubServer, bulk
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer
    from tests.drivers import Driver


PASSWORD = "s3cret"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """These tests run over both queues."""
    with drivers.driver(request.param) as made:
        yield made


def _told(err: BaseException) -> str:
    """All that a log would have of an error."""
    return "".join(traceback.format_exception(err)) + repr(err)


class TestAServerThatIsNotThere:
    @pytest.fixture
    def port(self, monkeypatch: pytest.MonkeyPatch) -> int:
        """One at which nobody listens."""
        monkeypatch.setattr(patience, "CONNECT_FOR_S", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
        return port

    @pytest.fixture
    def silent_port(self) -> Iterator[int]:
        """One that no connection can be opened to, nor is refused: too many wait there."""
        with ExitStack() as stack:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            port: int = listener.getsockname()[1]
            for _ in range(16):
                waiting = stack.enter_context(socket.socket())
                waiting.settimeout(0.2)
                try:
                    waiting.connect(("127.0.0.1", port))
                except TimeoutError:
                    break
            else:
                pytest.fail("the listener took all")
            yield port

    CALLS: tuple[tuple[str, Callable[[RedisQueue], Any]], ...] = (
        ("enqueue", lambda queue: queue.enqueue(Job("email"))),
        ("enqueue_many", lambda queue: queue.enqueue_many([Job("email")])),
        ("get", lambda queue: queue.get("job-1")),
        ("cancel", lambda queue: queue.cancel("job-1")),
        ("retry", lambda queue: queue.retry("job-1")),
        ("delete", lambda queue: queue.delete("job-1")),
        ("stats", lambda queue: queue.stats()),
        ("check", lambda queue: queue.check()),
        ("dequeue", lambda queue: queue.dequeue(["email"], lambda ctx, job: job)),
    )

    @pytest.mark.parametrize(("name", "call"), CALLS, ids=[name for name, _ in CALLS])
    def test_is_named_by_host_and_port_and_no_password_is_told(
        self, driver: Driver, port: int, name: str, call: Callable[[RedisQueue], Any]
    ) -> None:
        queue = driver.from_url(f"redis://user:{PASSWORD}@127.0.0.1:{port}/0")
        with pytest.raises(QueueUnavailableError) as caught:
            call(queue)
        assert f"127.0.0.1:{port}" in str(caught.value)
        assert PASSWORD not in _told(caught.value)
        assert PASSWORD not in repr(queue)

    def test_a_missing_socket_is_named_by_its_path(
        self, driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(patience, "CONNECT_FOR_S", 0.2)
        queue = driver.from_url(f"unix://:{PASSWORD}@{tmp_path}/nobody?db=0")
        with pytest.raises(QueueUnavailableError, match=f"{tmp_path}/nobody") as caught:
            queue.enqueue(Job("email"))
        assert PASSWORD not in _told(caught.value)

    def test_a_host_without_an_address_is_named(
        self, driver: Driver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(patience, "CONNECT_FOR_S", 0.0)
        queue = driver.from_url(f"redis://:{PASSWORD}@no-such-host.invalid:6379/0")
        with pytest.raises(QueueUnavailableError, match=r"no-such-host\.invalid:6379") as caught:
            queue.enqueue(Job("email"))
        assert PASSWORD not in _told(caught.value)

    def test_whose_host_drops_packets_is_given_up_as_soon(
        self, driver: Driver, silent_port: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(patience, "CONNECT_FOR_S", 0.2)
        monkeypatch.setattr(connections, "CONNECT_S", 0.3)
        monkeypatch.setattr(connections, "LOOK_UP_S", 0.1)
        queue, began = driver.from_url(f"redis://127.0.0.1:{silent_port}/0"), time.monotonic()
        with pytest.raises(QueueUnavailableError, match=r"cannot be reached \(Timeout"):
            queue.enqueue(Job("email"))
        assert time.monotonic() - began < patience.TIMEOUT_S / 2

    def test_that_comes_back_soon_is_waited_for(
        self, driver: Driver, redis_server: EmbeddedServer, queue: RedisQueue
    ) -> None:
        job, done = Job("email"), threading.Event()
        with Proxy(redis_server.url) as proxy:
            far = driver.from_url(proxy.url, queue.name)
            proxy.down()

            def enqueue() -> None:
                far.enqueue(job)
                done.set()

            thread = threading.Thread(target=enqueue)
            thread.start()
            wait_until(lambda: proxy.refused, "it was tried")
            proxy.up()
            wait_until(done.is_set, "the job is stored")
            thread.join()
        assert queue.get(job.id) is not None


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{PASSWORD}/part@localhost:6379/0",
        f"redis://user:{PASSWORD}@localhost:{PASSWORD}/0",
        f"redis://:{PASSWORD}@localhost:99999/0",
        f"postgres://user:{PASSWORD}@localhost/db",
        f"localhost:6379?password={PASSWORD}",
        "",
        "   ",
    ],
)
def test_a_url_that_is_wrong_is_refused_without_quoting_it(driver: Driver, url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL") as caught:
        driver.from_url(url)
    assert PASSWORD not in _told(caught.value)


def test_a_client_that_decodes_is_refused(redis_server: EmbeddedServer) -> None:
    client = redis.Redis.from_url(redis_server.url, decode_responses=True)
    with pytest.raises(ConfigurationError, match="decode_responses=True"):
        RedisQueue(client)


class TestAServerThatIsTooOld:
    @staticmethod
    def _of(version: str) -> StubServer:
        def answer(command: str) -> bytes:
            if command == "INFO":
                return bulk(f"# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\n")
            return b"-ERR unknown command\r\n" if command.startswith("EVAL") else b"+OK\r\n"

        return StubServer(answer)

    @pytest.mark.parametrize("version", ["2.8.24", "5.0.14", "6.0.20"])
    def test_is_refused_before_anything_is_asked_of_it(self, driver: Driver, version: str) -> None:
        with self._of(version) as server:
            queue = driver.from_url(f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0")
            with pytest.raises(ConfigurationError) as caught:
                queue.enqueue(Job("email"))
            for word in (f"127.0.0.1:{server.port}", version, "6.2"):
                assert word in str(caught.value)
            assert PASSWORD not in _told(caught.value)
            assert set(server.asked) <= {"AUTH", "CLIENT", "SELECT", "INFO", "HELLO"}

    def test_is_refused_by_a_worker_too(self) -> None:
        with self._of("5.0.14") as server:
            queue = RedisQueue.from_url(f"redis://127.0.0.1:{server.port}/0")
            with pytest.raises(ConfigurationError, match=r"5\.0\.14"):
                Worker(queue, {"email": lambda ctx, job: None}).run()

    @pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "10.0.0"])
    def test_a_newer_one_is_not_refused_for_its_age(self, driver: Driver, version: str) -> None:
        with self._of(version) as server:
            queue = driver.from_url(f"redis://127.0.0.1:{server.port}/0")
            with pytest.raises(Exception, match="unknown command"):
                queue.enqueue(Job("email"))


class TestAServerThatRefuses:
    @pytest.fixture
    def guarded(self, own_server: OwnServer) -> Iterator[tuple[int, redis.Redis]]:
        """One with a password, and a user who may do little."""
        server = own_server(tcp=True)
        with redis.Redis.from_url(server.url) as client:
            client.acl_setuser(
                "guest", enabled=True, passwords=[f"+{PASSWORD}"], categories=["+@read"], keys=["*"]
            )
            client.config_set("requirepass", PASSWORD)
            yield int(server.url.rsplit(":", 1)[1].split("/")[0]), client
            client.config_set("requirepass", "")

    @pytest.mark.parametrize("credentials", ["", ":wr0ng@", "nobody:wr0ng@"])
    def test_the_credentials_is_named(
        self, driver: Driver, guarded: tuple[int, redis.Redis], credentials: str
    ) -> None:
        port, _ = guarded
        queue = driver.from_url(f"redis://{credentials}127.0.0.1:{port}/0")
        with pytest.raises(ConfigurationError) as caught:
            queue.enqueue(Job("email"))
        assert f"127.0.0.1:{port}" in str(caught.value)
        assert "wr0ng" not in _told(caught.value)

    def test_a_command_says_so(self, driver: Driver, guarded: tuple[int, redis.Redis]) -> None:
        port, _ = guarded
        queue = driver.from_url(f"redis://guest:{PASSWORD}@127.0.0.1:{port}/0")
        with pytest.raises(ConfigurationError, match="permission") as caught:
            queue.enqueue(Job("email"))
        assert PASSWORD not in _told(caught.value)

    def test_with_the_right_ones_it_works(
        self, driver: Driver, guarded: tuple[int, redis.Redis]
    ) -> None:
        port, _ = guarded
        queue = driver.from_url(f"redis://:{PASSWORD}@127.0.0.1:{port}/0", "guarded")
        queue.enqueue(Job("email"))
        queue.close()


class TestALostReply:
    @pytest.fixture
    def proxy(self, redis_server: EmbeddedServer) -> Iterator[Proxy]:
        with Proxy(redis_server.url) as made:
            yield made

    @pytest.fixture
    def far(self, driver: Driver, proxy: Proxy, queue: RedisQueue) -> Iterator[RedisQueue]:
        made = driver.from_url(proxy.url, queue.name)
        yield made
        made.close()

    @pytest.mark.parametrize("when", list(When))
    def test_of_enqueue_stores_once(
        self, queue: RedisQueue, far: RedisQueue, proxy: Proxy, when: When
    ) -> None:
        jobs = [Job("email"), Job("report")]
        fault = proxy.cut("enqueue", when)
        assert far.enqueue(*jobs).created == tuple(job.id for job in jobs)
        assert fault.happened.is_set()
        assert queue.stats().kinds["email"].ready == queue.stats().kinds["report"].ready == 1

    def test_of_enqueue_whose_job_has_run_since_stores_nothing_again(
        self, driver: Driver, redis_server: EmbeddedServer, queue_name: str, proxy: Proxy
    ) -> None:
        """Where no record is kept, only the call's number tells that it was carried out."""
        near = driver.from_url(redis_server.url, queue_name, retention=0)
        far = driver.from_url(proxy.url, queue_name, retention=0)
        runs: list[str] = []
        worker = Worker(near, {"email": lambda ctx, job: runs.append(job.id)})
        job = Job("email")
        far.enqueue(Job("report"))  # the connection stands
        proxy.cut("enqueue")
        thread = threading.Thread(target=far.enqueue, args=(job,))
        proxy.hold_new_connections()
        thread.start()
        wait_until(lambda: "email" in near.stats().kinds, "the job is stored")
        worker.run(burst=True)
        proxy.let_through()
        thread.join()
        worker.run(burst=True)
        assert runs == [job.id]
        near.close()
        far.close()

    @pytest.mark.parametrize("when", list(When))
    def test_of_a_refusal_is_a_refusal(
        self, queue: RedisQueue, far: RedisQueue, proxy: Proxy, when: When
    ) -> None:
        there = Job("email")
        queue.enqueue(there)
        proxy.cut("enqueue", when)
        with pytest.raises(JobExistsError) as caught:
            far.enqueue(Job("email"), there)
        assert caught.value.ids == (there.id,)
        assert queue.stats().kinds["email"].ready == 1

    READS: tuple[tuple[str, Callable[[RedisQueue, str], Any]], ...] = (
        ("get", lambda queue, id: queue.get(id)),
        ("counts", lambda queue, id: queue.stats().kinds["email"].ready),
        ("places", lambda queue, id: queue.check()),
    )

    @pytest.mark.parametrize(("script", "call"), READS, ids=[script for script, _ in READS])
    @pytest.mark.parametrize("when", list(When))
    def test_of_what_changes_nothing_is_asked_for_again(
        self,
        queue: RedisQueue,
        far: RedisQueue,
        proxy: Proxy,
        script: str,
        call: Callable[[RedisQueue, str], Any],
        when: When,
    ) -> None:
        job = Job("email")
        queue.enqueue(job)
        fault = proxy.cut(script, when)
        assert call(far, job.id) == call(queue, job.id)
        assert fault.happened.is_set()

    @pytest.mark.parametrize("call", ["cancel", "delete"])
    def test_of_what_changes_a_job_says_that_it_may_have_been_carried_out(
        self, queue: RedisQueue, far: RedisQueue, proxy: Proxy, call: str
    ) -> None:
        """To repeat it would tell False of a job that this very call ended."""
        job, other = Job("email"), Job("email")
        queue.enqueue(job, other)
        assert getattr(queue, call)(other.id), "now the server knows the script"
        proxy.cut(call, nth=2)  # the first one asks for the job's kind
        with pytest.raises(QueueUnavailableError, match="may have been carried out"):
            getattr(far, call)(job.id)
        stored = queue.get(job.id)
        assert stored is None or stored.status == "CANCELLED"


FORKS = """
import os, sys
import redis
from redisjobs import Job, RedisQueue

queue = RedisQueue.from_url(sys.argv[1], "forked")
queue.enqueue(Job("email", id="before"))
go_on, used = os.pipe(), os.pipe()
child = os.fork()
if child:
    os.read(used[0], 1)
    print(len(redis.Redis.from_url(sys.argv[1]).client_list()))
    os.write(go_on[1], b"x")
else:
    assert queue.get("before").id == "before"
    os.write(used[1], b"x")
    os.read(go_on[0], 1)
who = "parent" if child else "child"
for place in range(200):
    job = Job("email", who.encode(), id=f"{who}-{place}")
    assert queue.enqueue(job).created == (job.id,)
    assert queue.get(job.id).payload == who.encode()
if not child:
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


def test_a_queue_outlives_a_fork(own_server: OwnServer) -> None:
    """Parent and child use it at once, each over a connection of its own."""
    server = own_server()
    command = [sys.executable, "-c", FORKS, server.url]
    ran = subprocess.run(command, check=True, timeout=60, cwd=ROOT, capture_output=True)
    assert int(ran.stdout) == 3, "the parent's, the child's, and the one that counts them"
    queue = RedisQueue.from_url(server.url, "forked")
    assert queue.stats().kinds["email"].ready == 401
    assert queue.check() == []
    queue.close()


@pytest.mark.parametrize("call", ["cancel", "delete"])
def test_an_idle_connection_that_the_server_closed_costs_no_call(
    driver: Driver, own_server: OwnServer, call: str
) -> None:
    """Also where a call must not be repeated."""
    server, job = own_server(), Job("email")
    queue = driver.from_url(server.url)
    queue.enqueue(job)
    with redis.Redis.from_url(server.url) as client:
        assert client.client_kill_filter(_type="normal", skipme=True) == 1
    assert getattr(queue, call)(job.id)
    queue.close()


def test_a_closed_queue_opens_again(queue: RedisQueue) -> None:
    queue.enqueue(Job("email"))
    queue.close()
    queue.enqueue(Job("email"))
    assert queue.stats().kinds["email"].ready == 2
