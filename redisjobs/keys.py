"""Names of the keys of one queue. All share its hash tag, so that one script may touch any of
them.
"""

from __future__ import annotations

from redisjobs.errors import ConfigurationError
from redisjobs.limits import MAX_NAME_BYTES
from redisjobs.states import Status

SCHEMA_VERSION = 1

FINISHED_STATUSES = (Status.DONE, Status.FAILED, Status.PANIC, Status.CANCELLED)


def checked_queue_name(name: object) -> str:
    """The queue's name, if it can be one.

    Raises:
        ConfigurationError: not a str, blank, over 200 bytes, or with braces or control characters.
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"a queue's name must be a str that is not blank, not {name!r}")
    if "{" in name or "}" in name:
        raise ConfigurationError(f"queue name {name!r} has braces, which Redis reads as a hash tag")
    if not name.isprintable():
        raise ConfigurationError(f"queue name {name!r} has control characters")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise ConfigurationError(f"queue name {name[:40]!r}… has over {MAX_NAME_BYTES} bytes")
    return name


class Keys:
    """The keys of the queue called `name`."""

    def __init__(self, name: str) -> None:
        self.name = checked_queue_name(name)
        self.prefix = f"redisjobs:{{{name}}}:".encode()
        self.jobs = self.prefix + b"jobs"
        self.state = self.prefix + b"state"
        self.workers = self.prefix + b"workers"
        self.worker_info = self.prefix + b"worker-info"
        self.losses = self.prefix + b"losses"
        self.last_chance = self.prefix + b"last-chance"
        self.totals = self.prefix + b"totals"
        self.kinds = self.prefix + b"kinds"
        self.waited = self.prefix + b"waited"
        self.meta = self.prefix + b"meta"
        self._of_kind: dict[str, tuple[bytes, bytes, bytes]] = {}
        self._finished: dict[str, tuple[bytes, ...]] = {}

    def due(self, kind: str) -> bytes:
        """The waiting ids of a kind, scored by RunAt."""
        return self.of_kind(kind)[0]

    def bell(self, kind: str) -> bytes:
        """The tokens that wake workers of a kind."""
        return self.of_kind(kind)[1]

    def kind_of_bell(self, bell: bytes) -> str:
        """The kind whose bell this is."""
        return bell.removeprefix(self.prefix + b"bell:").decode()

    def of_kind(self, kind: str) -> tuple[bytes, bytes, bytes]:
        """The due set, bell and timekeeper of a kind."""
        keys = self._of_kind.get(kind)
        if keys is None:
            name = kind.encode()
            keys = (
                self.prefix + b"due:" + name,
                self.prefix + b"bell:" + name,
                self.prefix + b"timekeeper:" + name,
            )
            self._of_kind[kind] = keys
        return keys

    def all_finished(self, kind: str) -> tuple[bytes, ...]:
        """The finished sets of a kind, in the order of FINISHED_STATUSES."""
        keys = self._finished.get(kind)
        if keys is None:
            keys = tuple(
                self.prefix + f"finished:{status.lower()}:{kind}".encode()
                for status in FINISHED_STATUSES
            )
            self._finished[kind] = keys
        return keys

    def finished(self, status: Status, kind: str) -> bytes:
        """The ids of a kind that ended with this status, scored by when."""
        return self.all_finished(kind)[FINISHED_STATUSES.index(status)]

    def processing(self, worker: str) -> bytes:
        """The deliveries that a worker holds."""
        return self.prefix + b"processing:" + worker.encode()

    def end_of(self, id: str) -> bytes:
        """The channel on which the end of a job is told that somebody waits for."""
        return self.waited + b":" + id.encode()

    def request(self, producer: str) -> bytes:
        """The number of a producer's last enqueue call that was carried out."""
        return self.prefix + b"request:" + producer.encode()
