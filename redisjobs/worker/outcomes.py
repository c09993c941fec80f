"""The clerk: turns claims into deliveries and outcomes into settlements, and writes them to the
log.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from redisjobs.attempt import Outcome
from redisjobs.context import Context
from redisjobs.errors import IncompatibleQueueError, InvalidJobError
from redisjobs.job import Job
from redisjobs.operations.claim import Claim, Claimed, job_of
from redisjobs.operations.settle import Settlement, plainly_done, unreadable
from redisjobs.record import encode_state_body, reader_of_fresh
from redisjobs.registry import Handlers
from redisjobs.states import LETTER_OF_STATUS, Status
from redisjobs.worker.delivery import Delivery
from redisjobs.worker.held import id_of


class Clerk:
    """For one worker. `job_logger` of a delivery's context carries the job's id, kind and
    attempt.
    """

    def __init__(self, queue_name: str, handlers: Handlers, logger: logging.Logger) -> None:
        self._queue_name = queue_name
        self._handlers = handlers
        self._logger = logger

    def context_of(self, delivery: Delivery, worker_id: str) -> Context:
        """The context of a delivery's run."""
        return Context(
            self._queue_name, worker_id, delivery.id, delivery.kind, delivery.attempts_done + 1,
            delivery.losses, delivery.token, self._logger,
        )  # fmt: skip

    def deliveries(self, claimed: Claimed) -> tuple[list[Delivery], list[tuple[Claim, Exception]]]:
        """What a claim handed out; and those jobs that cannot be read, with the reason."""
        token, alone, prefix = claimed.token, claimed.alone, f"{claimed.token}:"
        deliveries, unreadable = list[Delivery](), list[tuple[Claim, Exception]]()
        readers = {
            kind: (reader_of_fresh(kind), self._handlers.get(kind)) for kind in claimed.kinds
        }
        for row in claimed.rows():
            id, kind, record, state, losses = row
            read, handler = readers[kind]
            job = None if state else read(id, record)
            if job is None:
                claim = Claim(*row)
                try:
                    job = job_of(claim)
                except (InvalidJobError, IncompatibleQueueError) as err:
                    unreadable.append((claim, err))
                    continue
            assert handler is not None  # only kinds with one are claimed, and none is taken away
            deliveries.append(Delivery(token, job, *handler, losses, alone, prefix + id))
        return deliveries, unreadable

    def unreadable(self, token: int, claim: Claim, err: Exception) -> tuple[Delivery, Settlement]:
        """A job that cannot be run: FAILED with the reason, or if it is a newer release's, left for
        that to run.
        """
        job = Job._restore(
            claim.id, claim.kind, b"", 0, 0, 0, 0, Status.PENDING, 0, None, None, None
        )
        delivery = Delivery(token, job, None, False, claim.losses)
        self._log(
            delivery, logging.ERROR, "job %s (%s) cannot be read: %s", claim.id, claim.kind, err
        )
        return delivery, unreadable(token, claim, err, time.time_ns() // 1000)

    def settlement(self, delivery: Delivery, outcome: Outcome, *, keeps_done: bool) -> Settlement:
        """What is to be recorded of a run that counts as an attempt."""
        status = outcome.status
        assert status is not None  # what is given back is not settled
        attempts = delivery.attempts_done + 1
        if status is Status.DONE and not keeps_done:
            return plainly_done(delivery.name, delivery.kind, attempts)
        started_us = _wall_us(delivery.started_at or 0.0)
        error = delivery.last_error if status is Status.DONE else outcome.error
        body = encode_state_body(started_us, started_us, error, outcome.result)
        letter, delay_s = LETTER_OF_STATUS[status], None
        if outcome.retry_after is not None:
            delay_s = outcome.retry_after.total_seconds()
        return Settlement(
            delivery.name, delivery.kind, letter, attempts, round((delay_s or 0.0) * 1e6), body,
            None if delay_s is None else (delivery.started_at or 0.0) + delivery.seconds + delay_s,
        )  # fmt: skip

    @property
    def tells_all(self) -> bool:
        """Whether jobs that are done are worth a line in the log."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def log_outcome(self, delivery: Delivery, outcome: Outcome) -> None:
        """One line for each run that ended."""
        if outcome.status is Status.DONE:
            self._log(
                delivery, logging.DEBUG, "job %s (%s) done in %.1f ms",
                delivery.id, delivery.kind, delivery.seconds * 1000,
            )  # fmt: skip
        elif outcome.status is Status.PENDING:
            self._log(
                delivery, logging.WARNING, "job %s (%s) attempt %d is tried again in %g s: %s",
                delivery.id, delivery.kind, delivery.attempts_done + 1,
                0.0 if outcome.retry_after is None else outcome.retry_after.total_seconds(),
                outcome.error,
            )  # fmt: skip
        elif outcome.status is None:
            self._log(
                delivery, logging.INFO, "job %s (%s) is given back", delivery.id, delivery.kind
            )
        else:
            self._log(
                delivery, logging.ERROR, "job %s (%s) ended as %s: %s",
                delivery.id, delivery.kind, outcome.status, outcome.error,
                exc_info=outcome.exception,
            )  # fmt: skip

    def log_last_chance(self, delivery: Delivery) -> None:
        """It lost its worker as often as it may: while it runs, this worker takes nothing else."""
        self._log(
            delivery, logging.WARNING,
            "job %s (%s) lost its worker %d times: it has its last chance, and runs alone",
            delivery.id, delivery.kind, delivery.losses,
        )  # fmt: skip

    def log_lost(self, delivery: Delivery) -> None:
        """Its lock was lost: another worker runs it, or did."""
        self._log(
            delivery, logging.WARNING,
            "job %s (%s): the lock was lost while it ran, its outcome is not recorded",
            delivery.id, delivery.kind,
        )  # fmt: skip

    def log_refused(self, settlement: Settlement) -> None:
        """The lock was lost before this could be recorded."""
        id = id_of(settlement.delivery)
        self._logger.warning(
            "job %s (%s): the lock was lost, its outcome is not recorded", id, settlement.kind,
            extra={
                "job_id": id, "job_kind": settlement.kind, "attempt": settlement.attempts_done,
                "queue_name": self._queue_name,
            },
        )  # fmt: skip

    def _log(
        self, delivery: Delivery, level: int, message: str, *arguments: object, exc_info: Any = None
    ) -> None:
        context = delivery.context
        logger = (context or self.context_of(delivery, "")).logger
        logger.log(level, message, *arguments, exc_info=exc_info)


def _wall_us(then: float) -> int:
    """A monotonic time by the wall clock of now: that one may have been set right since this
    process began, and the monotonic one stands still while the machine sleeps.
    """
    return time.time_ns() // 1000 - round((time.monotonic() - then) * 1e6)
