"""A worker's registration: its id, what it says of itself, and until when its lease holds by this
machine's clock.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from redisjobs.origin import Origin
from redisjobs.registry import Handlers
from redisjobs.worker.settings import WorkerSettings


class Moment(NamedTuple):
    """By the monotonic clock, and by the time that this process has used of the processor."""

    monotonic_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> Moment:
        """This one."""
        return cls(time.monotonic(), time.process_time())


class Incarnation:
    """A worker under one id, which is new at every start and after every loss of the lease.

    Attributes:
        lease_ends: by the monotonic clock; past it nothing is started.
        lost: Redis does not know it any more.
    """

    __slots__ = ("lease_ends", "lost", "worker_id")

    def __init__(self, origin: Origin) -> None:
        self.worker_id = origin.new_worker_id()
        self.lease_ends = 0.0
        self.lost = False


class Life:
    """All incarnations of one worker: the pump begins them, the heartbeat keeps them alive."""

    def __init__(self, origin: Origin, handlers: Handlers, settings: WorkerSettings) -> None:
        self._origin = origin
        self._handlers = handlers
        self.settings = settings
        self.current = Incarnation(origin)
        self._told_version = self._telling_version = -1
        self._sign_of_life = Moment.now()

    def info(self) -> bytes:
        """The worker's entry in `worker-info`."""
        self._telling_version = self._handlers.version
        return self._origin.info(
            self._handlers.kinds, self.settings.concurrency, self.settings.lease_s
        )

    def changed_info(self) -> bytes:
        """The entry, if a kind was registered since it was last told; else nothing."""
        return self.info() if self._handlers.version != self._told_version else b""

    def next_incarnation(self) -> Incarnation:
        """One with a new id. It becomes the current one when it is registered."""
        return Incarnation(self._origin)

    def prolonged(self, incarnation: Incarnation, asked: Moment) -> None:
        """Redis answered a registration or a beat that was sent at this moment."""
        incarnation.lease_ends = asked.monotonic_s + self.settings.lease_s
        self._sign_of_life = asked
        self._told_version = self._telling_version

    def burned_the_time(self) -> bool:
        """Whether this process itself used over half of the time since its last sign of life: a
        handler that holds the interpreter beyond the lease would otherwise go round for ever.
        """
        then, now = self._sign_of_life, Moment.now()
        return now.cpu_s - then.cpu_s > (now.monotonic_s - then.monotonic_s) / 2
