"""The job: what is to be done, when, and what became of it."""

from __future__ import annotations

import time
from copy import copy
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from redisjobs.attempt import AsyncHandler, Outcome, SyncHandler, run, run_async
from redisjobs.context import Context
from redisjobs.errors import InvalidJobError
from redisjobs.ids import new_id
from redisjobs.limits import DEFAULT_MIN_BACKOFF, MAX_RUN_AT_US, normalise_id, normalise_kind
from redisjobs.states import Status

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_new = object.__new__
_PENDING = Status.PENDING


class Job:
    """One job. Datetimes are timezone-aware; they are read as UTC, exact to the microsecond.

    Attributes:
        id: distinct in its queue; time-ordered if none was given.
        kind: names the handler.
        payload: bytes for the handler.
        status: PENDING until the job has ended.
        result: what the handler returned.
        attempts_done: how many attempts have ended.
        last_error: why the last attempt that failed did so.
    """

    __slots__ = (
        "_created_us", "_delay_us", "_last_attempt_us", "_run_at_us", "_updated_us",
        "attempts_done", "id", "kind", "last_error", "payload", "result", "status",
    )  # fmt: skip
    __hash__ = None  # type: ignore[assignment]  # equal by fields that change

    def __init__(
        self,
        kind: str,
        payload: bytes = b"",
        *,
        id: str | None = None,
        run_at: datetime | None = None,
        delay: timedelta | float | None = None,
        status: Status | str = Status.PENDING,
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
        result: bytes | None = None,
        attempts_done: int = 0,
        last_attempt_at: datetime | None = None,
        last_error: str | None = None,
    ) -> None:
        """Makes a job; `sanitise` and `enqueue` check its id, kind and payload.

        Args:
            kind: names the handler.
            payload: bytes for the handler.
            id: distinct in its queue. None: one is made.
            run_at: not to run before this instant of the server's clock. None: at once.
            delay: not to run before this time has passed on the server's clock since enqueue.
            status: for a job that is not new, like all that follows.
            created_at: None: now.
            updated_at: None: as `created_at`.
            result: what the handler returned.
            attempts_done: how many attempts have ended.
            last_attempt_at: when the last one began.
            last_error: why the last attempt that failed did so.

        Raises:
            InvalidJobError: a naive datetime, what is no datetime or timedelta where one belongs,
                `run_at` together with `delay`, or an unknown status.
        """
        if run_at is not None and delay is not None:
            named = f"a job of kind {kind!r}" if id is None else f"job {id!r} ({kind})"
            raise InvalidJobError(f"{named}: give run_at or delay, not both")
        self.id = new_id() if id is None else id
        self.kind = kind
        self.payload = payload
        self.status = _checked_status(status)
        self.result = result
        self.attempts_done = attempts_done
        self.last_error = last_error
        self._run_at_us = _us_or_none("run_at", run_at)
        self._delay_us = 0 if delay is None else _delay_us(delay)
        self._created_us = _now_us() if created_at is None else _us("created_at", created_at)
        self._updated_us = self._created_us if updated_at is None else _us("updated_at", updated_at)
        self._last_attempt_us = _us_or_none("last_attempt_at", last_attempt_at)

    @classmethod
    def _restore(
        cls,
        id: str,
        kind: str,
        payload: bytes,
        run_at_us: int | None,
        delay_us: int,
        created_us: int,
        updated_us: int,
        status: Status,
        attempts_done: int,
        last_attempt_us: int | None,
        last_error: str | None,
        result: bytes | None,
    ) -> Job:
        """A job from stored fields, unchecked: one is made for each job that a worker runs."""
        job = cls.__new__(cls)
        job.id = id
        job.kind = kind
        job.payload = payload
        job._run_at_us = run_at_us
        job._delay_us = delay_us
        job._created_us = created_us
        job._updated_us = updated_us
        job.status = status
        job.attempts_done = attempts_done
        job._last_attempt_us = last_attempt_us
        job.last_error = last_error
        job.result = result
        return job

    @classmethod
    def _waiting(cls, id: str, kind: str, payload: bytes, run_at_us: int, created_us: int) -> Job:
        """As `_restore`, a job that was never run."""
        job = _new(cls)
        job.id = id
        job.kind = kind
        job.payload = payload
        job._run_at_us = run_at_us
        job._delay_us = 0
        job._created_us = job._updated_us = created_us
        job.status = _PENDING
        job.attempts_done = 0
        job._last_attempt_us = job.last_error = job.result = None
        return job

    @property
    def run_at(self) -> datetime | None:
        """Not to run before this instant. None: none was given. Cannot be set beside `delay`."""
        return _datetime_or_none(self._run_at_us)

    @run_at.setter
    def run_at(self, value: datetime | None) -> None:
        run_at_us = _us_or_none("run_at", value)
        if run_at_us is not None and self._delay_us:
            raise InvalidJobError(f"job {self.id!r} ({self.kind}): set its delay to 0 first")
        self._run_at_us = run_at_us

    @property
    def delay(self) -> timedelta:
        """How long to wait after enqueue, by the server's clock. Cannot be set beside `run_at`."""
        return self._delay_us * _MICROSECOND

    @delay.setter
    def delay(self, value: timedelta | float) -> None:
        delay_us = _delay_us(value)
        if delay_us and self._run_at_us is not None:
            raise InvalidJobError(f"job {self.id!r} ({self.kind}): set its run_at to None first")
        self._delay_us = delay_us

    @property
    def created_at(self) -> datetime:
        """When the job was made, by the producer's clock."""
        return _datetime(self._created_us)

    @created_at.setter
    def created_at(self, value: datetime) -> None:
        self._created_us = _us("created_at", value)

    @property
    def updated_at(self) -> datetime:
        """When the job last changed."""
        return _datetime(self._updated_us)

    @updated_at.setter
    def updated_at(self, value: datetime) -> None:
        self._updated_us = _us("updated_at", value)

    @property
    def last_attempt_at(self) -> datetime | None:
        """When the last attempt was made."""
        return _datetime_or_none(self._last_attempt_us)

    @last_attempt_at.setter
    def last_attempt_at(self, value: datetime | None) -> None:
        self._last_attempt_us = _us_or_none("last_attempt_at", value)

    def sanitise(self) -> None:
        """Makes the job a new one: id and kind trimmed, kind in lower case, no progress.

        A missing `run_at` becomes now, plus the delay, by this machine's clock.

        Raises:
            InvalidJobError: no job can have this id, kind or `run_at`. Nothing was changed.
        """
        job_id, kind, now_us = normalise_id(self.id), normalise_kind(self.kind), _now_us()
        run_at_us = now_us + self._delay_us if self._run_at_us is None else self._run_at_us
        if run_at_us > MAX_RUN_AT_US:
            raise InvalidJobError(f"job {job_id!r} ({kind}): its RunAt is beyond the year 2200")
        self.id, self.kind = job_id, kind
        self._run_at_us, self._delay_us = run_at_us, 0
        self.status = Status.PENDING
        self._created_us = self._updated_us = now_us
        self.result = self.last_error = self._last_attempt_us = None
        self.attempts_done = 0

    def attempt(
        self,
        ctx: Context,
        now: datetime,
        fn: SyncHandler,
        *,
        min_backoff: timedelta | float = DEFAULT_MIN_BACKOFF,
    ) -> None:
        """Runs `fn(ctx, job)` on a copy of the job and records the outcome here.

        Raises nothing that `fn` raises. A run that a shutdown or a lost lease ended is no attempt.

        Args:
            ctx: goes to `fn` as it is: its `attempt` does not follow the job's `attempts_done`. If
                it is cancelled already, `fn` is not called and the job is to run again.
            now: the time of the attempt; a retry is due from here.
            fn: returns bytes or None.
            min_backoff: the shortest delay before a retry, as a timedelta or in seconds.

        Raises:
            InvalidJobError: `now` is naive or no datetime.
        """
        now_us = _us("now", now)
        self._apply(run(fn, ctx, copy(self), _span(min_backoff)), now_us)

    async def attempt_async(
        self,
        ctx: Context,
        now: datetime,
        fn: AsyncHandler,
        *,
        min_backoff: timedelta | float = DEFAULT_MIN_BACKOFF,
    ) -> None:
        """Awaits `fn(ctx, job)` as `attempt` calls it. The task's cancellation ends here, too."""
        now_us = _us("now", now)
        self._apply(await run_async(fn, ctx, copy(self), _span(min_backoff)), now_us)

    def _apply(self, outcome: Outcome, now_us: int) -> None:
        if outcome.status is None:
            return
        self.status = outcome.status
        self.attempts_done += 1
        self._last_attempt_us = self._updated_us = now_us
        if outcome.status is Status.DONE:
            self.result = outcome.result
        else:
            self.last_error = outcome.error
        if outcome.retry_after is not None:
            self._run_at_us = now_us + outcome.retry_after // _MICROSECOND
            self._delay_us = 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Job):
            return NotImplemented
        return bool(_all_fields(self) == _all_fields(other))

    def __repr__(self) -> str:
        return f"<Job {self.id!r} ({self.kind}), {self.status}, attempts: {self.attempts_done}>"


_all_fields = attrgetter(*Job.__slots__)


def _span(value: timedelta | float) -> timedelta:
    return value if isinstance(value, timedelta) else timedelta(seconds=value)


def _now_us() -> int:
    return time.time_ns() // 1000


def _us(field: str, value: object) -> int:
    if not isinstance(value, datetime):
        raise InvalidJobError(f"{field} must be a datetime, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise InvalidJobError(f"{field} must be timezone-aware, like datetime.now(timezone.utc)")
    return (value - _EPOCH) // _MICROSECOND


def _us_or_none(field: str, value: object) -> int | None:
    return None if value is None else _us(field, value)


def _delay_us(value: object) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value = timedelta(seconds=value)
        except (OverflowError, ValueError):
            raise InvalidJobError(f"a delay of {value} seconds cannot be") from None
    if not isinstance(value, timedelta):
        raise InvalidJobError(f"delay must be a timedelta or seconds, not {type(value).__name__}")
    return max(0, value // _MICROSECOND)


def _datetime(us: int) -> datetime:
    return _EPOCH + us * _MICROSECOND


def _datetime_or_none(us: int | None) -> datetime | None:
    return None if us is None else _datetime(us)


def _checked_status(status: Status | str) -> Status:
    if status is _PENDING:  # nearly always; to look it up is a fifth of what making a job takes
        return _PENDING
    try:
        return Status(status)
    except ValueError as err:
        raise InvalidJobError(f"status must be one of {', '.join(Status)}, not {status!r}") from err
