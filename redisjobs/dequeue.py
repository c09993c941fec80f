"""RedisQueue.dequeue: one job, locked while a function of the caller's runs, without a worker.

Each call is a worker of its own for as long as it lasts: it registers, claims one job, beats the
lease, settles, and has itself forgotten.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from tenacity import Retrying, retry_if_exception_type, wait_random_exponential

from redisjobs.context import CancelReason, Context
from redisjobs.errors import (
    IncompatibleQueueError,
    InvalidJobError,
    LockLostError,
    QueueUnavailableError,
    RedisJobsError,
)
from redisjobs.job import Job
from redisjobs.limits import normalise_kind
from redisjobs.line import drive
from redisjobs.operations.claim import Claimed, ClaimRequest, claim, job_of
from redisjobs.operations.giving_back import release
from redisjobs.operations.membership import beat, held, register, unregister
from redisjobs.operations.operation import join
from redisjobs.operations.settle import Settlement, settle, unreadable
from redisjobs.origin import Origin
from redisjobs.patience import LineError
from redisjobs.record import encode_state_body
from redisjobs.source import Source
from redisjobs.states import LETTER_OF_STATUS, Status

LEASE_S = 15.0
_MAX_LOSSES = 3  # as a worker's default
_AGAIN_S = 0.1

_LOGGER = logging.getLogger("redisjobs.queue")


def dequeue(
    source: Source,
    kinds: Sequence[str],
    fn: Callable[[Context, Job], Job],
    lease_s: float = LEASE_S,
) -> bool:
    """What `RedisQueue.dequeue` promises."""
    if isinstance(kinds, str):
        raise InvalidJobError(
            f"kinds must be several kinds, not the one str {kinds!r}: [{kinds!r}]"
        )
    wanted = tuple(dict.fromkeys(normalise_kind(kind) for kind in kinds))
    if not wanted:
        return False
    tenure = _Tenure(source, wanted, lease_s)
    try:
        found = tenure.claim()
        if found is None:
            tenure.leave()
            return False
        tenure.run(*found, fn)
    finally:
        tenure.close()
    return True


class _Tenure:
    """One short-lived worker, with a connection of its own for the beats."""

    def __init__(self, source: Source, kinds: tuple[str, ...], lease_s: float) -> None:
        self._keys = source.keys
        self._settings = source.settings
        self._kinds = kinds
        self._lease_s = lease_s
        self._origin = Origin.here()
        self._worker = self._origin.new_worker_id()
        self._line = source.lines.new_line(lease_s / 3)
        self._beat_line = source.lines.new_line(lease_s / 3)
        self._lease_ends = 0.0
        self._over = threading.Event()
        self._beats: threading.Thread | None = None

    def close(self) -> None:
        """Ends the beats and closes the connections. What is still held is for a reaper."""
        self._over.set()
        if self._beats is not None:
            self._beats.join(self._lease_s)
        self._line.close()
        self._beat_line.close()

    # ------------------------------------------------------------------ before

    def claim(self) -> tuple[Job, Context] | None:
        """Registers and takes one job. None: none is due."""
        try:
            while True:
                claimed = self._register_and_claim()
                if not claimed.claims:
                    return None
                one = claimed.claims[0]
                try:
                    job = job_of(one)
                except (InvalidJobError, IncompatibleQueueError) as err:
                    _LOGGER.error("job %s (%s) cannot be read: %s", one.id, one.kind, err)  # noqa: TRY400
                    bad = unreadable(claimed.token, one, err, time.time_ns() // 1000)
                    drive(settle(self._keys, self._worker, [bad]), self._line)
                    continue
                context = Context(
                    self._keys.name, self._worker, job.id, job.kind, job.attempts_done + 1,
                    one.losses, claimed.token,
                )  # fmt: skip
                return job, context
        except LineError as err:
            # A claim whose reply was lost may have taken a job.
            self._try_to_give_back()
            raise QueueUnavailableError(str(err)) from None

    def _register_and_claim(self) -> Claimed:
        began = time.monotonic()
        info = self._origin.info(self._kinds, 1, self._lease_s)
        entering = register(
            self._keys, self._worker, round(self._lease_s * 1e6), info, self._settings.to_store
        )
        request = ClaimRequest(self._worker, self._kinds, 1, 1, _MAX_LOSSES, 1, minds=False)
        _, claimed = drive(join(entering, claim(self._keys, request)), self._line)
        self._lease_ends = began + self._lease_s
        return claimed

    def leave(self) -> None:
        """Has the worker, which holds nothing, forgotten."""
        drive(unregister(self._keys, self._worker), self._line)

    # ------------------------------------------------------------------ with a job

    def run(self, job: Job, context: Context, fn: Callable[[Context, Job], Job]) -> None:
        """Has `fn` run the job, and stores what it returned."""
        beats = threading.Thread(
            target=self._beat, args=(context,), name="redisjobs-dequeue-heartbeat", daemon=True
        )
        try:
            beats.start()  # raises where no thread can be started
            self._beats = beats
            settlement = self._settlement(context, fn(context, job))
        except BaseException as err:
            self._try_to_give_back()
            if context.cancelled:
                raise _lock_lost(context) from err
            raise
        self._store(settlement, context)

    def _settlement(self, context: Context, after: object) -> Settlement:
        job_id, kind = context.job_id, context.job_kind
        if not isinstance(after, Job) or after.id != job_id:
            raise InvalidJobError(
                f"job {job_id!r} ({kind}): what dequeue runs must return that Job, not {after!r}"
            )
        result = after.result
        if result is not None and not isinstance(result, bytes):
            raise InvalidJobError(f"job {job_id!r} ({kind}): its result must be bytes or None")
        if result is not None and len(result) > self._settings.max_result:
            raise InvalidJobError(
                f"job {job_id!r} ({kind}): its result has {len(result):,} bytes, over the limit of"
                f" {self._settings.max_result:,}"
            )
        waits = after.status is Status.PENDING and after._run_at_us is not None
        now_us = time.time_ns() // 1000
        return Settlement(
            f"{context.token}:{job_id}",
            kind,
            LETTER_OF_STATUS[after.status],
            after.attempts_done,
            max(0, (after._run_at_us or 0) - now_us) if waits else 0,
            encode_state_body(after._updated_us, after._last_attempt_us, after.last_error, result),
        )

    def _store(self, settlement: Settlement, context: Context) -> None:
        """Settles, and again until the lease ends.

        A refusal after a try whose reply was lost means that this try was carried out, if the
        worker is registered still: nobody else takes from its list before it is forgotten.
        """
        tries = Retrying(
            retry=retry_if_exception_type(LineError),
            wait=wait_random_exponential(multiplier=0.05, max=1.0),
            stop=lambda _: time.monotonic() >= self._lease_ends,
            reraise=True,
        )
        maybe_done = False
        for attempt in tries:
            with attempt:
                try:
                    refused = drive(settle(self._keys, self._worker, [settlement]), self._line)
                except LineError as err:
                    maybe_done = maybe_done or err.sent
                    raise
                if refused and not (maybe_done and self._is_registered()):
                    raise _lock_lost(context)
        self._over.set()
        try:
            self.leave()
        except RedisJobsError:
            _LOGGER.debug("worker %s could not say that it leaves", self._worker)

    def _is_registered(self) -> bool:
        try:
            drive(beat(self._keys, self._worker, round(self._lease_s * 1e6)), self._line)
        except LockLostError:
            return False
        return True

    def _beat(self, context: Context) -> None:
        pause_s = self._lease_s / 3
        while not self._over.wait(pause_s):
            began, pause_s = time.monotonic(), self._lease_s / 3
            try:
                drive(beat(self._keys, self._worker, round(self._lease_s * 1e6)), self._beat_line)
                self._lease_ends = began + self._lease_s
            except LockLostError:
                context.cancel(CancelReason.LEASE_LOST)
                return
            except Exception as err:  # noqa: BLE001 - without beats the lock is lost
                _LOGGER.warning("a heartbeat failed, trying again: %s", err)
                pause_s = _AGAIN_S

    def _try_to_give_back(self) -> None:
        """Gives back what it holds, without a loss. If that fails a reaper does, with one."""
        self._over.set()
        try:
            names = drive(held(self._keys, self._worker), self._line)
            if names:
                drive(release(self._keys, self._worker, names, self._kinds), self._line)
            self.leave()
        except RedisJobsError as err:
            _LOGGER.warning("worker %s leaves its job to a reaper: %s", self._worker, err)


def _lock_lost(context: Context) -> LockLostError:
    return LockLostError(
        f"job {context.job_id!r} ({context.job_kind}): the lock was lost while it ran, and what"
        " came of it is not stored: another worker runs it"
    )
