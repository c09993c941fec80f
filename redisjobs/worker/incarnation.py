"""A worker's registration: its id, what it says of itself, and until when its lease holds by this machine's clock."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from redisjobs._version import __version__
from redisjobs.registry import Handlers
from redisjobs.worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a worker runs, and whose child it is: a supervisor's token and the number of its spawn, or None."""

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


class Incarnation:
    """A worker under one id, which is new at every start and after every loss of the lease.

    Attributes:
        lease_ends: by the monotonic clock; past it nothing is started.
        lost: Redis does not know it any more.
    """

    __slots__ = ("lease_ends", "lost", "worker_id")

    def __init__(self, origin: Origin) -> None:
        self.worker_id = f"{origin.host}:{origin.pid}:{os.urandom(6).hex()}"
        self.lease_ends = 0.0
        self.lost = False


class Life:
    """All incarnations of one worker: the pump begins them, the heartbeat keeps them alive."""

    def __init__(self, origin: Origin, handlers: Handlers, settings: WorkerSettings) -> None:
        self._origin = origin
        self._handlers = handlers
        self.settings = settings
        self.current = Incarnation(origin)
        self._told_version = -1
        self._alive_at = time.monotonic()
        self._cpu_then_s = time.process_time()

    def info(self) -> bytes:
        """The worker's entry in `worker-info`."""
        self._told_version = self._handlers.version
        entry = {
            "host": self._origin.host,
            "pid": self._origin.pid,
            "kinds": list(self._handlers.kinds),
            "concurrency": self.settings.concurrency,
            "started": self._origin.started,
            "version": __version__,
            "lease_ms": round(self.settings.lease_s * 1000),
            "supervisor": self._origin.supervisor,
            "spawn": self._origin.spawn,
        }
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()

    def changed_info(self) -> bytes:
        """The entry, if a kind was registered since it was last told; else nothing."""
        return self.info() if self._handlers.version != self._told_version else b""

    def next_incarnation(self) -> Incarnation:
        """One with a new id. It becomes the current one when it is registered."""
        return Incarnation(self._origin)

    def prolonged(self, incarnation: Incarnation, asked_at: float) -> None:
        """Redis answered a registration or a beat that was sent at this moment (monotonic)."""
        incarnation.lease_ends = asked_at + self.settings.lease_s
        self._alive_at = asked_at
        self._cpu_then_s = time.process_time()

    def burned_the_time(self) -> bool:
        """Whether this process itself used over half of the time since its last sign of life: a handler that holds the
        interpreter beyond the lease would otherwise go round for ever."""
        silent_s = time.monotonic() - self._alive_at
        return time.process_time() - self._cpu_then_s > silent_s / 2
