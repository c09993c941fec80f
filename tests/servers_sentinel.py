"""A primary, two replicas and three Sentinels on loopback ports, for the tests of failovers."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode, urlsplit

import redis

from redisjobs.embedded import EmbeddedServer
from tests.waiting import Deadline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.certificates import Certificates

SERVICE = "shop"
WHERE_FROM = "no redis-sentinel is on PATH (Debian: apt-get install redis-sentinel)"
START_S = 20.0
# What Sentinels do by a timer, and how often in milliseconds they are to do it here: else they
# would look only every other second. Not the pings: what is older than five of their periods makes
# a replica unfit to be promoted.
_PERIODS = ("info-period", "publish-period", "ask-period")
_PERIOD_MS = 100
# Once they know one another: by this they count how long a replica that was promoted may seem to be
# a primary that came back by mistake.
_PUBLISH_PERIOD_MS = 2000


def executable() -> Path | None:
    """Sentinel's program, if there is one."""
    found = shutil.which("redis-sentinel")
    return Path(found) if found else None


class Sentinel:
    """One Sentinel, in a process of its own.

    Args:
        lines: more of its configuration.
        tls: it speaks TLS, and nothing else.
        leads: it is the first to see that the primary is down, and needs nobody's agreement to
            begin a failover, only the others' votes. If all began at once they would split their
            votes, again and again, for up to half a minute.
    """

    def __init__(
        self,
        folder: Path,
        primary_port: int,
        lines: Sequence[str] = (),
        *,
        tls: Certificates | None = None,
        leads: bool,
    ) -> None:
        quorum, down_after_ms = (1, 500) if leads else (2, 2000)
        self.port = _free_port()
        listens = _listening(self.port, tls) if tls else {"port": str(self.port)}
        config = folder / f"{self.port}.conf"
        config.write_text(
            "\n".join(
                [
                    "bind 127.0.0.1",
                    *(f"{name} {value}" for name, value in listens.items()),
                    f"dir {folder}",
                    f"logfile {folder}/{self.port}.log",
                    f"sentinel monitor {SERVICE} 127.0.0.1 {primary_port} {quorum}",
                    f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}",
                    f"sentinel failover-timeout {SERVICE} 3000",
                    *lines,
                    "",
                ]
            ),
            encoding="utf-8",
        )
        program = executable()
        assert program is not None
        self.process = subprocess.Popen([program, config], stdout=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


class Fleet:
    """The servers and Sentinels, once the Sentinels know all of them and one another.

    Args:
        password: of the servers; sentinel_password: of the Sentinels. "" for none.
        tls: all of them speak TLS, and nothing else over a port.
    """

    def __init__(
        self,
        *,
        password: str = "",
        sentinel_password: str = "",
        tls: Certificates | None = None,
    ) -> None:
        self.password, self.sentinel_password = password, sentinel_password
        self._tls = tls
        self._ports: dict[EmbeddedServer, int] = {}
        self._stack = ExitStack()
        try:
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            self.servers = [self._server()]
            first_port = self.port_of(self.servers[0])
            self.servers += [self._server(replicaof=f"127.0.0.1 {first_port}") for _ in range(2)]
            lines = [f"sentinel auth-pass {SERVICE} {password}"] if password else []
            if sentinel_password:
                lines.append(f"requirepass {sentinel_password}")
            for server in self.servers if password else ():
                with self._client(self.port_of(server), "") as client:
                    client.config_set("masterauth", password)
                    client.config_set("requirepass", password)
            self.sentinels = [
                self._stack.enter_context(
                    Sentinel(folder, first_port, lines, tls=tls, leads=number == 0)
                )
                for number in range(3)
            ]
            self._wait_until_complete()
        except BaseException:
            self._stack.close()
            raise

    def _server(self, **options: str) -> EmbeddedServer:
        options |= {"repl-diskless-sync-delay": "0"}
        if self._tls is None:
            server = EmbeddedServer(tcp=True, options=options)
            port = urlsplit(server.url).port
            assert port is not None
        else:
            port = _free_port()
            server = EmbeddedServer(options=options | _listening(port, self._tls))
        self._ports[server] = port
        return self._stack.enter_context(server)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def hosts(self) -> str:
        """The Sentinels, as a URL names them."""
        return ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)

    @property
    def url(self) -> str:
        """The service's URL."""
        scheme = "rediss" if self._tls else "redis"
        credentials = f":{self.password}@" if self.password else ""
        query = {"sentinel_password": self.sentinel_password} if self.sentinel_password else {}
        if self._tls:
            query["ssl_ca_certs"] = str(self._tls.authority)
        options = f"?{urlencode(query, safe='/')}" if query else ""
        return f"{scheme}+sentinel://{credentials}{self.hosts}/{SERVICE}/0{options}"

    def port_of(self, server: EmbeddedServer) -> int:
        """Where it listens."""
        return self._ports[server]

    def client_of(self, server: EmbeddedServer) -> redis.Redis:
        """A client of one server."""
        return self._client(self.port_of(server), self.password)

    def _client(self, port: int, password: str) -> redis.Redis:
        if self._tls is None:
            return redis.Redis(port=port, password=password or None)
        return redis.Redis(
            "127.0.0.1", port, password=password or None,
            ssl=True, ssl_ca_certs=str(self._tls.authority),
        )  # fmt: skip

    def ask(self, sentinel: Sentinel, *words: str) -> Any:
        """What this Sentinel says."""
        with self._client(sentinel.port, self.sentinel_password) as client:
            return client.execute_command("SENTINEL", *words)

    @property
    def listeners(self) -> int:
        """How many clients hear what the Sentinels tell."""
        count = 0
        for sentinel in self.sentinels:
            with self._client(sentinel.port, self.sentinel_password) as client:
                count += len(client.client_list(_type="pubsub"))
        return count

    @property
    def primary(self) -> EmbeddedServer:
        """The one that most Sentinels name."""
        named = Counter(
            int(self.ask(sentinel, "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
            for sentinel in self.sentinels
        )
        (port, _), *_ = named.most_common(1)
        return next(server for server in self.servers if self.port_of(server) == port)

    def _wait_until_complete(self) -> None:
        deadline = Deadline(START_S)
        for sentinel in self.sentinels:
            deadline.until(partial(self._answers, sentinel), "a Sentinel answers")
            for period in _PERIODS:
                self.ask(sentinel, "DEBUG", period, str(_PERIOD_MS))
        for sentinel in self.sentinels:
            deadline.until(partial(self._knows_all, sentinel), "a Sentinel knows all the others")
        for sentinel in self.sentinels:
            self.ask(sentinel, "DEBUG", "publish-period", str(_PUBLISH_PERIOD_MS))

    def _answers(self, sentinel: Sentinel) -> bool:
        with suppress(redis.ConnectionError):
            return bool(self.ask(sentinel, "MASTERS"))
        return False

    def _knows_all(self, sentinel: Sentinel) -> bool:
        primary = _fields(self.ask(sentinel, "MASTER", SERVICE))
        replicas = [_fields(one) for one in self.ask(sentinel, "REPLICAS", SERVICE)]
        return (
            primary["flags"] == "master"
            and primary["num-other-sentinels"] == "2"
            and [one["flags"] for one in replicas] == ["slave", "slave"]
        )


def _listening(port: int, tls: Certificates) -> dict[str, str]:
    """The lines of a configuration with which a server or Sentinel listens on this port by TLS, and
    speaks TLS to the others.
    """
    return {
        "port": "0",
        "tls-port": str(port),
        "tls-replication": "yes",
        "tls-auth-clients": "optional",
    } | tls.of_server


def _fields(reply: Any) -> dict[str, str]:
    """Of a reply that is a map with the newer protocol."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {name.decode(): value.decode() for name, value in pairs}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
