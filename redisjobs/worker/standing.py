"""A worker's standing in Redis: the id under which it is registered. And what it knows of its jobs
is the same as what stands in its processing list.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from redisjobs.context import CancelReason
from redisjobs.keys import Keys
from redisjobs.operations.giving_back import release
from redisjobs.operations.membership import held as listed_for
from redisjobs.operations.membership import register, unregister
from redisjobs.registry import Handlers
from redisjobs.settings import QueueSettings
from redisjobs.transport import Line, drive
from redisjobs.worker.crew import Crew
from redisjobs.worker.delivery import Delivery
from redisjobs.worker.held import Held
from redisjobs.worker.incarnation import Incarnation, Life
from redisjobs.worker.outcomes import Clerk
from redisjobs.worker.shutdown import Shutdown
from redisjobs.worker.wakeup import Wakeup


class Surroundings(NamedTuple):
    """What the pump works with and does not make itself."""

    keys: Keys
    queue_settings: QueueSettings
    handlers: Handlers
    life: Life
    crew: Crew
    clerk: Clerk
    wakeup: Wakeup
    shutdown: Shutdown
    logger: logging.Logger


class Standing:
    """Used by the pump alone, between its round trips: from another thread a claim in flight would
    look like an orphan.

    Attributes:
        ghosts: deliveries that were lost and still run in this process, each with its id.
    """

    def __init__(self, around: Surroundings, line: Line, held: Held) -> None:
        self._around = around
        self._line = line
        self._held = held
        self._lost_ids: list[str] = []
        self.ghosts: dict[str, str] = {}

    def register(self, incarnation: Incarnation) -> None:
        """Enters the worker under this id. If it held jobs under another, their losses are taken
        back: a lapse is not a death.
        """
        around, began = self._around, time.monotonic()
        operation = register(
            around.keys, incarnation.worker_id, around.life.settings.lease_us, around.life.info(),
            around.queue_settings.to_store, self._lost_ids,
        )  # fmt: skip
        drive(operation, self._line)
        around.life.prolonged(incarnation, began)
        self._lost_ids = []

    def confirmed(self) -> None:
        """A claim was answered, so the worker is registered still, and nobody took its jobs."""
        self._lost_ids = []

    def release(self) -> None:
        """Gives back what is to be given back."""
        names = self._held.to_release
        if names:
            self._release(self._around.life.current.worker_id, names)
            self._held.released(names)

    def _release(self, worker_id: str, names: Sequence[str]) -> None:
        around = self._around
        drive(release(around.keys, worker_id, names, around.handlers.kinds), self._line)

    def reconcile(self) -> None:
        """Compares the processing list with what is held, and mends both."""
        around = self._around
        worker_id = around.life.current.worker_id
        result = self._held.reconcile(drive(listed_for(around.keys, worker_id), self._line))
        self._lose(result.lost, result.dropped)
        if result.orphans:
            around.logger.info("giving %d jobs back whose claim was not heard", len(result.orphans))
            self._release(worker_id, result.orphans)

    def _lose(
        self, lost: Sequence[Delivery], dropped: Sequence[str], *, keep_losses: bool = False
    ) -> None:
        """These are not this worker's any more."""
        self._lost_ids += dropped
        for delivery in lost:
            running = delivery.started_at is not None and delivery.outcome is None
            if running:
                self.ghosts[delivery.name] = delivery.id
            if not (running and keep_losses):
                self._lost_ids.append(delivery.id)
            self._around.crew.cancel(delivery, CancelReason.LEASE_LOST)

    def begin_anew(self, persist: Callable[[Callable[[], None]], None]) -> None:
        """Redis does not know this worker any more: it was silent for longer than its lease, and
        others took its jobs. It takes a new id, and `persist`s in registering that.
        """
        around = self._around
        old = around.life.current.worker_id
        result = self._held.lose_all()
        self._lose(result.lost, result.dropped, keep_losses=around.life.burned_the_time())
        around.crew.withdraw()
        around.logger.warning(
            "worker %s lost its lease, and with it %d jobs; it goes on under a new id",
            old, len(result.lost) + len(result.dropped),
        )  # fmt: skip
        left = drive(listed_for(around.keys, old), self._line)
        if left:
            self._release(old, left)
        drive(unregister(around.keys, old), self._line)
        incarnation = around.life.next_incarnation()
        persist(partial(self.register, incarnation))
        # Only now: the heartbeat must not ask for an id that is not registered yet.
        around.life.current = incarnation
