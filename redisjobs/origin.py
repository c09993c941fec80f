"""Where a worker runs, and what its entry in `worker-info` says of it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from redisjobs._version import __version__


@dataclass(frozen=True, slots=True)
class Origin:
    """A worker's host and process, and whose child it is.

    Attributes:
        started: when, as ISO 8601 text.
        supervisor: the token of its supervisor, or None.
        spawn: its number among the supervisor's spawns, or None.
    """

    host: str
    pid: int
    started: str
    supervisor: str | None = None
    spawn: int | None = None

    @classmethod
    def here(cls, supervisor: str | None = None, spawn: int | None = None) -> Origin:
        """This process, now."""
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        return cls(socket.gethostname(), os.getpid(), started, supervisor, spawn)

    def new_worker_id(self) -> str:
        """An id that no worker had before."""
        return f"{self.host}:{self.pid}:{os.urandom(6).hex()}"

    def info(self, kinds: Sequence[str], concurrency: int, lease_s: float) -> bytes:
        """The entry of a worker with these kinds."""
        entry = {
            "host": self.host,
            "pid": self.pid,
            "kinds": list(kinds),
            "concurrency": concurrency,
            "started": self.started,
            "version": __version__,
            "lease_ms": round(lease_s * 1000),
            "supervisor": self.supervisor,
            "spawn": self.spawn,
        }
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()
