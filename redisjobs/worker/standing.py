"""A worker's standing in Redis: the id under which it is registered. And what it knows of its jobs
is the same as what stands in its processing list.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from redisjobs.context import CancelReason
from redisjobs.keys import Keys
from redisjobs.line import Line, drive
from redisjobs.operations.giving_back import release
from redisjobs.operations.membership import held as listed_for
from redisjobs.operations.membership import register, unregister
from redisjobs.registry import Handlers
from redisjobs.settings import QueueSettings
from redisjobs.worker.crew import Crew
from redisjobs.worker.held import Held, Reconciled, id_of
from redisjobs.worker.incarnation import Incarnation, Life, Moment
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
        self._lost: dict[str, bool] = {}  # by their ids, whether their handlers had begun
        self._burned = False
        self.ghosts: dict[str, str] = {}

    def register(self, incarnation: Incarnation) -> None:
        """Enters the worker under this id. If it held jobs under another, their losses are taken
        back, since a lapse is not a death. But where the process itself burned the time, those of
        jobs that had begun stand.
        """
        around, asked = self._around, Moment.now()
        forgiven = [id for id, had_begun in self._lost.items() if not (had_begun and self._burned)]
        operation = register(
            around.keys, incarnation.worker_id, around.life.settings.lease_us, around.life.info(),
            around.queue_settings.to_store, forgiven,
        )  # fmt: skip
        drive(operation, self._line)
        around.life.prolonged(incarnation, asked)
        self._lost, self._burned = {}, False

    def confirmed(self) -> None:
        """A claim was answered, so the worker is registered still, and nobody took its jobs."""
        self._lost = {}

    def release(self) -> bool:
        """Gives back what is to be given back. Whether there was any."""
        names = self._held.to_release
        if names:
            self._release(self._around.life.current.worker_id, names)
            self._held.released(names)
        return bool(names)

    def _release(self, worker_id: str, names: Sequence[str]) -> None:
        around = self._around
        drive(release(around.keys, worker_id, names, around.handlers.kinds), self._line)

    def reconcile(self, *, all_was_answered: bool = True) -> None:
        """Compares the processing list with what is held, and mends both.

        Args:
            all_was_answered: no settle is in doubt. Else what is gone may have been settled by one
                whose reply was lost.
        """
        around = self._around
        worker_id = around.life.current.worker_id
        listed = drive(listed_for(around.keys, worker_id), self._line)
        if all_was_answered:
            there = set(listed)
            for settlement in self._held.unsettled:
                if settlement.delivery not in there:
                    around.clerk.log_refused(settlement)  # only a reaper can have taken it
        result = self._compare(listed)
        if result.orphans:
            around.logger.info("giving %d jobs back whose claim was not heard", len(result.orphans))
            self._release(worker_id, result.orphans)

    def _compare(self, listed: Sequence[str]) -> Reconciled:
        """What is not in the list is not this worker's any more."""
        ended = {id_of(settlement.delivery) for settlement in self._held.unsettled}
        result = self._held.reconcile(listed)
        for id in result.dropped:
            self._lost[id] = id in ended
        for delivery in result.lost:
            # First, so that what has not begun does not begin any more.
            self._around.crew.cancel(delivery, CancelReason.LEASE_LOST)
            self._lost[delivery.id] = delivery.started_at is not None
            if delivery.started_at is not None and delivery.outcome is None:
                self.ghosts[delivery.name] = delivery.id
        return result

    def begin_anew(self, persist: Callable[[Callable[[], None]], None]) -> None:
        """Redis does not know this worker any more: it was silent for longer than its lease, and
        others took its jobs. It takes a new id, and `persist`s in registering that.
        """
        around = self._around
        old = around.life.current.worker_id
        self._burned = self._burned or around.life.burned_the_time()
        for settlement in self._held.unsettled:
            around.clerk.log_refused(settlement)
        result = self._compare([])
        around.crew.withdraw()
        around.logger.warning(
            "worker %s lost its lease, and with it %d jobs; it goes on under a new id",
            old, len(result.lost) + len(result.dropped),
        )  # fmt: skip
        left = drive(listed_for(around.keys, old), self._line)
        if left:
            self._release(old, left)
            for name in left:
                self._lost.pop(id_of(name), None)  # given back here: no loss was counted for it
        drive(unregister(around.keys, old), self._line)
        incarnation = around.life.next_incarnation()
        persist(partial(self.register, incarnation))
        # Only now: the heartbeat must not ask for an id that is not registered yet.
        around.life.current = incarnation
