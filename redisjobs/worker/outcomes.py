"""The clerk: turns claims into deliveries and outcomes into settlements, and writes them to the
log.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from redisjobs.attempt import Outcome
from redisjobs.context import Context
from redisjobs.job import Job
from redisjobs.operations.claim import Claim, Claimed, job_of
from redisjobs.operations.settle import Settlement, unreadable
from redisjobs.record import encode_state_body, reader_of_fresh
from redisjobs.registry import Handlers
from redisjobs.states import LETTER_OF_STATUS, Status
from redisjobs.worker.delivery import Batch, Delivery
from redisjobs.worker.held import id_of


class Clerk:
    """For one worker. `job_logger` of a delivery's context carries the job's id, kind and
    attempt.
    """

    def __init__(self, queue_name: str, handlers: Handlers, logger: logging.Logger) -> None:
        self._queue_name = queue_name
        self._handlers = handlers
        self._logger = logger
        self.look_at_the_time()

    def look_at_the_time(self) -> None:
        """Now, by the wall clock and the monotonic one: that one may have been set right since this
        process began, and this one stands still while the machine sleeps.
        """
        self._now_us, self._now_s = time.time_ns() // 1000, time.monotonic()

    def _wall_us(self, then: float) -> int:
        """A monotonic time by the wall clock of now."""
        return self._now_us - round((self._now_s - then) * 1e6)

    def context_of(self, delivery: Delivery) -> Context:
        """The context of a delivery's run."""
        return Context(
            self._queue_name, delivery.batch.worker_id, delivery.id, delivery.kind,
            delivery.attempts_done + 1, delivery.losses, delivery.token, self._logger,
        )  # fmt: skip

    def deliveries(self, claimed: Claimed, worker_id: str) -> list[Delivery]:
        """What a claim handed out to the worker of this id."""
        prefix, place = f"{claimed.token}:", 0
        deliveries: list[Delivery] = []
        for kind, count in claimed.runs:
            handler = self._handlers.get(kind)
            assert handler is not None  # only kinds with one are claimed, and none is taken away
            batch = Batch(
                claimed.token, worker_id, kind, *handler, claimed.alone, reader_of_fresh(kind)
            )
            jobs = slice(place, place + count)
            deliveries += [
                Delivery(batch, id, prefix + id, record)
                for id, record in zip(
                    map(bytes.decode, claimed.ids[jobs]), claimed.records[jobs], strict=True
                )
            ]
            place += count
        for delivery, losses in zip(deliveries, claimed.losses, strict=False):
            delivery.losses = losses
        for delivery, state in zip(deliveries, claimed.states, strict=False):
            if state is not None:
                self._read_progress(delivery, state)
        return deliveries

    def _read_progress(self, delivery: Delivery, state: bytes) -> None:
        """Those that are not new are read at once: which attempt it is, the log may tell sooner."""
        delivery.state = state
        delivery.job = job = _whole_job_of(delivery)
        if job is not None:
            delivery.attempts_done, delivery.last_error = job.attempts_done, job.last_error

    def job_of(self, delivery: Delivery) -> Job | None:
        """The job, as its handler gets it. None: it is `unreadable`."""
        if delivery.state is not None:
            return delivery.job
        return delivery.batch.read(delivery.id, delivery.record) or _whole_job_of(delivery)

    def unreadable(self, delivery: Delivery, err: Exception) -> Settlement:
        """What is to be recorded of a job that cannot be run: FAILED with the reason, or if it is a
        newer release's, it is left for that to run.
        """
        self._log(
            delivery, logging.ERROR, "job %s (%s) cannot be read: %s",
            delivery.id, delivery.kind, err,
        )  # fmt: skip
        return unreadable(delivery.token, _claim_of(delivery), err, time.time_ns() // 1000)

    def settlement(self, delivery: Delivery, outcome: Outcome, *, keeps_done: bool) -> Settlement:
        """What is to be recorded of a run that counts as an attempt."""
        status = outcome.status
        assert status is not None  # what is given back is not settled
        attempts = delivery.attempts_done + 1
        if status is Status.DONE and not keeps_done:
            return Settlement(delivery.name, delivery.kind, b"D", attempts, 0, b"")
        started_us = self._wall_us(delivery.started_at or 0.0)
        error = delivery.last_error if status is Status.DONE else outcome.error
        body = encode_state_body(started_us, started_us, error, outcome.result)
        letter, delay_s = LETTER_OF_STATUS[status], None
        if outcome.retry_after is not None:
            delay_s = outcome.retry_after.total_seconds()
        return Settlement(
            delivery.name, delivery.kind, letter, attempts, round((delay_s or 0.0) * 1e6), body,
            None if delay_s is None else (delivery.started_at or 0.0) + delivery.seconds + delay_s,
        )  # fmt: skip

    def body_of_done(self, delivery: Delivery) -> bytes:
        """Of the state of a run that is done and has no result, of a job that had no state. It is
        short: nobody counts its bytes.
        """
        started_us = self._wall_us(delivery.started_at or 0.0)
        return encode_state_body(started_us, started_us, None, None)

    @property
    def tells_all(self) -> bool:
        """Whether jobs that are done are worth a line in the log."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def log_outcome(self, delivery: Delivery, outcome: Outcome) -> None:
        """One line for each run that ended."""
        if outcome.status is Status.DONE:
            if not self.tells_all:
                return
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
        logger = (delivery.context or self.context_of(delivery)).logger
        logger.log(level, message, *arguments, exc_info=exc_info)


def _claim_of(delivery: Delivery) -> Claim:
    return Claim(delivery.id, delivery.kind, delivery.record, delivery.state, delivery.losses)


def _whole_job_of(delivery: Delivery) -> Job | None:
    """Of a record of any form. Whatever it raises must not end the thread that reads it."""
    try:
        return job_of(_claim_of(delivery))
    except Exception as err:  # noqa: BLE001 - as above
        delivery.unreadable = err
        return None
