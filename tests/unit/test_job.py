from __future__ import annotations

import asyncio
import copy
import pickle
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjobs.context import CancelReason, Context
from redisjobs.errors import InvalidJobError
from redisjobs.job import Job
from redisjobs.limits import MAX_RUN_AT_US
from redisjobs.retry import RetryableError
from redisjobs.states import Status

NOW = datetime(2026, 3, 4, 5, 6, 7, 123457, tzinfo=UTC)
HOUR = timedelta(hours=1)
YEAR_2200 = datetime(2200, 1, 1, tzinfo=UTC)
INSTANTS = ["run_at", "created_at", "updated_at", "last_attempt_at"]


def test_a_new_job_waits_and_has_no_progress() -> None:
    before = datetime.now(UTC)
    job = Job("mail", b"hello")
    assert (job.kind, job.payload, job.status) == ("mail", b"hello", Status.PENDING)
    assert (job.run_at, job.delay) == (None, timedelta(0))
    assert (job.result, job.last_error, job.attempts_done, job.last_attempt_at) == (
        None,
        None,
        0,
        None,
    )
    assert before - timedelta(microseconds=1) <= job.created_at <= datetime.now(UTC)
    assert job.updated_at == job.created_at


def test_the_payload_is_empty_by_default() -> None:
    assert Job("mail").payload == b""


def test_a_job_without_an_id_gets_one_that_sorts_by_time() -> None:
    ids = [Job("mail").id for _ in range(100)]
    assert {type(made) for made in ids} == {str}
    assert ids == sorted(set(ids))


def test_a_given_id_and_kind_are_kept_as_they_are() -> None:
    job = Job(" Mail ", id=" Order 7 ")
    assert (job.kind, job.id) == (" Mail ", " Order 7 ")


def test_all_fields_can_be_given() -> None:
    job = Job(
        "mail",
        b"x",
        id="a",
        run_at=NOW,
        status="FAILED",
        created_at=NOW - 3 * HOUR,
        updated_at=NOW - HOUR,
        result=b"r",
        attempts_done=2,
        last_attempt_at=NOW - 2 * HOUR,
        last_error="why",
    )
    assert job.status is Status.FAILED
    assert (job.run_at, job.created_at) == (NOW, NOW - 3 * HOUR)
    assert (job.updated_at, job.last_attempt_at) == (NOW - HOUR, NOW - 2 * HOUR)
    assert (job.result, job.attempts_done, job.last_error) == (b"r", 2, "why")


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(InvalidJobError, match="PENDING, DONE, FAILED, PANIC, CANCELLED, not 'OK'"):
        Job("mail", status="OK")


# Datetimes


ZONES: st.SearchStrategy[tzinfo] = st.timezones() | st.just(UTC)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), ZONES)  # noqa: DTZ001
def test_an_instant_is_kept_to_the_microsecond_and_read_as_utc(
    wall_clock: datetime, zone: tzinfo
) -> None:
    instant = wall_clock.replace(tzinfo=zone)
    job = Job("mail", run_at=instant)
    assert job.run_at == instant.astimezone(UTC)
    assert job.run_at is not None
    assert job.run_at.tzinfo is UTC


@pytest.mark.parametrize(
    "run_at_us",
    [MAX_RUN_AT_US, MAX_RUN_AT_US - 1, 4_503_599_627_370_497, 1_700_000_000_000_001, 1, 0, -1],
)
@pytest.mark.parametrize("field", INSTANTS)
def test_no_microsecond_is_lost(field: str, run_at_us: int) -> None:
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=run_at_us)
    job = Job("mail", **{field: instant})  # type: ignore[arg-type]
    assert getattr(job, field) == instant
    slot = {"created_at": "_created_us", "updated_at": "_updated_us"}.get(field)
    slot = slot or {"run_at": "_run_at_us", "last_attempt_at": "_last_attempt_us"}[field]
    assert getattr(job, slot) == run_at_us
    setattr(job, field, instant + timedelta(microseconds=1))
    assert getattr(job, slot) == run_at_us + 1


def test_another_time_zone_is_converted() -> None:
    berlin = NOW.astimezone(timezone(HOUR))
    assert Job("mail", run_at=berlin).run_at == NOW
    folded = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    assert Job("mail", run_at=folded).run_at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


class NoOffset(tzinfo):
    def utcoffset(self, dt: datetime | None) -> None:
        return None

    def dst(self, dt: datetime | None) -> None:
        return None

    def tzname(self, dt: datetime | None) -> str:
        return "nowhere"


BAD_INSTANTS = [
    pytest.param(NOW.replace(tzinfo=None), "must be timezone-aware", id="naive"),
    pytest.param(NOW.replace(tzinfo=NoOffset()), "must be timezone-aware", id="no offset"),
    pytest.param(NOW.date(), "must be a datetime, not date", id="date"),
    pytest.param(1_700_000_000, "must be a datetime, not int", id="seconds"),
    pytest.param("2026-03-04", "must be a datetime, not str", id="text"),
]


@pytest.mark.parametrize("field", INSTANTS)
@pytest.mark.parametrize(("value", "message"), BAD_INSTANTS)
def test_what_is_no_instant_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidJobError, match=f"{field} {message}"):
        Job("mail", **{field: value})
    job = Job("mail", created_at=NOW)
    before = copy.copy(job)
    with pytest.raises(InvalidJobError, match=f"{field} {message}"):
        setattr(job, field, value)
    assert job == before


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_a_job_always_has_these_instants(field: str) -> None:
    with pytest.raises(InvalidJobError, match=f"{field} must be a datetime, not NoneType"):
        setattr(Job("mail"), field, None)


def test_run_at_and_last_attempt_can_be_taken_away() -> None:
    job = Job("mail", run_at=NOW, last_attempt_at=NOW)
    job.run_at = job.last_attempt_at = None
    assert (job.run_at, job.last_attempt_at) == (None, None)


# Delay


def test_a_delay_is_kept_to_the_microsecond() -> None:
    delay = timedelta(days=40_000, microseconds=1)
    job = Job("mail", delay=delay)
    assert (job.delay, job.run_at, job._delay_us) == (delay, None, 40_000 * 86_400_000_000 + 1)


def test_a_negative_delay_counts_as_none() -> None:
    job = Job("mail", delay=-HOUR)
    assert job.delay == timedelta(0)
    job.delay = HOUR
    job.delay = -HOUR
    assert job.delay == timedelta(0)


@pytest.mark.parametrize(
    ("delay", "means"), [(5, timedelta(seconds=5)), (0.25, timedelta(milliseconds=250))]
)
def test_a_delay_may_be_seconds(delay: float, means: timedelta) -> None:
    assert Job("mail", delay=delay).delay == means


@pytest.mark.parametrize("delay", [float("inf"), float("nan"), 1e300])
def test_a_delay_is_a_time_that_can_be(delay: float) -> None:
    with pytest.raises(InvalidJobError, match="cannot be"):
        Job("mail", delay=delay)


@pytest.mark.parametrize("delay", [True, "5", NOW])
def test_a_delay_is_a_timedelta(delay: Any) -> None:
    with pytest.raises(InvalidJobError, match="delay must be a timedelta"):
        Job("mail", delay=delay)
    with pytest.raises(InvalidJobError, match="delay must be a timedelta"):
        Job("mail").delay = delay


def test_delay_and_run_at_together_are_refused() -> None:
    with pytest.raises(InvalidJobError, match=r"job 'a' \(mail\): give run_at or delay, not both"):
        Job("mail", id="a", run_at=NOW, delay=HOUR)
    with pytest.raises(InvalidJobError, match=r"^a job of kind 'mail': give run_at or delay, not"):
        Job("mail", run_at=NOW, delay=HOUR)
    with pytest.raises(InvalidJobError, match="set its run_at to None first"):
        Job("mail", run_at=NOW).delay = HOUR
    with pytest.raises(InvalidJobError, match="set its delay to 0 first"):
        Job("mail", delay=HOUR).run_at = NOW


# Sanitise


def test_sanitise_trims_and_lowers() -> None:
    job = Job("  Send Mail\n", id="\tOrder 7 ")
    job.sanitise()
    assert (job.kind, job.id) == ("send mail", "Order 7")


def test_sanitise_resets_progress() -> None:
    job = Job(
        "mail",
        b"x",
        id="a",
        run_at=NOW,
        status=Status.PANIC,
        created_at=NOW,
        updated_at=NOW,
        result=b"r",
        attempts_done=2,
        last_attempt_at=NOW,
        last_error="why",
    )
    before = time.time_ns() // 1000
    job.sanitise()
    after = time.time_ns() // 1000
    assert (job.status, job.attempts_done, job.payload) == (Status.PENDING, 0, b"x")
    assert (job.result, job.last_attempt_at, job.last_error) == (None, None, None)
    assert before <= job._created_us == job._updated_us <= after
    assert job.run_at == NOW


def test_sanitise_makes_a_missing_run_at_now() -> None:
    job = Job("mail", created_at=NOW - HOUR)
    job.sanitise()
    assert job.run_at == job.created_at
    assert job.run_at != NOW - HOUR


def test_sanitise_adds_the_delay_to_now_once() -> None:
    job = Job("mail", delay=HOUR)
    job.sanitise()
    first = job.run_at
    assert first == job.created_at + HOUR
    assert job.delay == timedelta(0)
    job.sanitise()
    assert job.run_at == first


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param({"id": " "}, "id must not be blank", id="blank id"),
        pytest.param({"id": ""}, "id must not be blank", id="empty id"),
        pytest.param({"id": 7}, "id must be a str, not int", id="id is no str"),
        pytest.param({"id": "a" * 201}, "at most 200 bytes", id="long id"),
        pytest.param({"id": "a\0"}, "must have no NUL", id="NUL in the id"),
        pytest.param({"kind": " "}, "kind must not be blank", id="blank kind"),
        pytest.param({"kind": None}, "kind must be a str, not NoneType", id="no kind"),
        pytest.param({"kind": "ü" * 101}, "at most 200 bytes", id="long kind"),
        pytest.param(
            {"run_at": YEAR_2200 + timedelta(microseconds=1)}, "beyond the year 2200", id="RunAt"
        ),
        pytest.param({"delay": timedelta.max}, "beyond the year 2200", id="delay"),
    ],
)
def test_sanitise_refuses_what_no_job_can_have_and_changes_nothing(
    fields: dict[str, Any], message: str
) -> None:
    job = Job(**{"kind": " Mail ", "id": " a ", "status": "FAILED", "attempts_done": 3, **fields})
    before = copy.copy(job)
    with pytest.raises(InvalidJobError, match=message):
        job.sanitise()
    assert job == before


def test_sanitise_takes_the_last_instant_before_the_limit() -> None:
    job = Job("mail", run_at=YEAR_2200)
    job.sanitise()
    assert job.run_at == YEAR_2200


# Attempts: what an outcome does to the job. tests/unit/test_attempt.py has the outcomes.

BACKOFF = timedelta(seconds=5)
Handler = Callable[[Context, Job], bytes | None]


def attempted_job(**fields: Any) -> Job:
    defaults = {
        "id": "a",
        "run_at": NOW - HOUR,
        "created_at": NOW - HOUR,
        "attempts_done": 1,
        "last_error": "earlier",
    }
    return Job("mail", b"x", **{**defaults, **fields})


def attempt_sync(job: Job, ctx: Context, fn: Handler, **settings: Any) -> None:
    job.attempt(ctx, NOW, fn, **settings)


def attempt_async(job: Job, ctx: Context, fn: Handler, **settings: Any) -> None:
    async def handler(ctx: Context, job: Job) -> bytes | None:
        await asyncio.sleep(0)
        return fn(ctx, job)

    asyncio.run(job.attempt_async(ctx, NOW, handler, **settings))


both_ways = pytest.mark.parametrize("attempt", [attempt_sync, attempt_async])


def raising(error: BaseException) -> Handler:
    def handler(ctx: Context, job: Job) -> bytes | None:
        raise error

    return handler


def moved(job: Job) -> tuple[int, datetime | None, datetime]:
    return job.attempts_done, job.last_attempt_at, job.updated_at


@both_ways
def test_done_sets_the_result_and_keeps_the_earlier_error(attempt: Any) -> None:
    job = attempted_job()
    attempt(job, Context.background(), lambda ctx, job: job.payload + b"y")
    assert (job.status, job.result, job.last_error) == (Status.DONE, b"xy", "earlier")
    assert moved(job) == (2, NOW, NOW)
    assert job.run_at == NOW - HOUR


@both_ways
@pytest.mark.parametrize(
    ("error", "status", "last_error"),
    [
        (ValueError("bad"), Status.FAILED, "ValueError: bad"),
        (SystemExit(3), Status.PANIC, "panic: SystemExit: 3"),
    ],
)
def test_failed_and_panic_set_the_error(
    attempt: Any, error: BaseException, status: Status, last_error: str
) -> None:
    job = attempted_job(result=b"earlier")
    attempt(job, Context.background(), raising(error))
    assert (job.status, job.last_error, job.result) == (status, last_error, b"earlier")
    assert moved(job) == (2, NOW, NOW)
    assert job.run_at == NOW - HOUR


@both_ways
@pytest.mark.parametrize(
    ("retry_after", "settings", "after"),
    [
        pytest.param(timedelta(0), {}, timedelta(seconds=5), id="the floor is 5 s by default"),
        pytest.param(timedelta(seconds=6), {}, timedelta(seconds=6), id="above the floor"),
        pytest.param(timedelta(0), {"min_backoff": HOUR}, HOUR, id="another floor"),
        pytest.param(
            timedelta(0), {"min_backoff": timedelta(0)}, timedelta(0), id="a floor of nothing"
        ),
    ],
)
def test_a_retry_waits_from_now_on(
    attempt: Any, retry_after: timedelta, settings: dict[str, Any], after: timedelta
) -> None:
    job = attempted_job()
    attempt(job, Context.background(), raising(RetryableError("busy", retry_after)), **settings)
    assert (job.status, job.last_error) == (Status.PENDING, "retryable-error: busy")
    assert job.run_at == NOW + after
    assert moved(job) == (2, NOW, NOW)


@both_ways
def test_a_retry_replaces_the_delay(attempt: Any) -> None:
    job = attempted_job(run_at=None, delay=HOUR)
    attempt(job, Context.background(), raising(RetryableError("busy")))
    assert (job.run_at, job.delay) == (NOW + BACKOFF, timedelta(0))


@both_ways
def test_the_longest_delay_ends_before_the_year_2200(attempt: Any) -> None:
    job = attempted_job()
    attempt(job, Context.background(), raising(RetryableError("busy", timedelta.max)))
    assert job.run_at is not None
    assert NOW + 10_000 * timedelta(days=1) < job.run_at < YEAR_2200


@both_ways
def test_an_attempt_cancelled_before_it_began_counts(attempt: Any) -> None:
    job, ctx, calls = attempted_job(), Context.background(), list[Job]()
    ctx.cancel(CancelReason.SHUTDOWN)
    attempt(job, ctx, lambda ctx, job: calls.append(job))
    assert (job.status, job.last_error) == (Status.PENDING, "cancelled: shutdown")
    assert job.run_at == NOW + BACKOFF
    assert moved(job) == (2, NOW, NOW)
    assert calls == []


@both_ways
@pytest.mark.parametrize("reason", [CancelReason.SHUTDOWN, CancelReason.LEASE_LOST])
def test_a_job_that_is_given_back_does_not_move(attempt: Any, reason: CancelReason) -> None:
    job, ctx = attempted_job(), Context.background()
    before = copy.copy(job)

    def handler(ctx: Context, job: Job) -> bytes | None:
        ctx.cancel(reason)
        ctx.raise_if_cancelled()
        raise AssertionError("it was not cancelled")

    attempt(job, ctx, handler)
    assert job == before


@both_ways
def test_what_a_handler_writes_to_its_job_is_not_kept(attempt: Any) -> None:
    def handler(ctx: Context, job: Job) -> bytes | None:
        assert job == before
        job.status, job.attempts_done, job.last_error = Status.PANIC, 100, "mine"
        job.id, job.payload, job.run_at = "other", b"other", None
        return b"r"

    job = attempted_job()
    before = copy.copy(job)
    attempt(job, Context.background(), handler)
    assert (job.id, job.payload, job.run_at) == ("a", b"x", NOW - HOUR)
    assert (job.status, job.attempts_done, job.last_error) == (Status.DONE, 2, "earlier")


@both_ways
def test_the_handler_gets_the_context(attempt: Any) -> None:
    ctx, seen = Context.background(), list[Context]()
    attempt(attempted_job(), ctx, lambda ctx, job: seen.append(ctx))
    assert seen == [ctx]


def test_a_naive_now_is_refused_before_the_handler_runs() -> None:
    calls: list[Job] = []

    async def handler(ctx: Context, job: Job) -> None:
        calls.append(job)

    naive = NOW.replace(tzinfo=None)
    with pytest.raises(InvalidJobError, match="now must be timezone-aware"):
        Job("mail").attempt(Context.background(), naive, lambda ctx, job: calls.append(job))
    with pytest.raises(InvalidJobError, match="now must be timezone-aware"):
        asyncio.run(Job("mail").attempt_async(Context.background(), naive, handler))
    assert calls == []


def test_the_context_is_the_callers_whatever_the_job_has_behind_it() -> None:
    job, attempts = attempted_job(), list[int]()
    for attempt in (7, 1):
        job.attempt(
            Context.background(attempt=attempt), NOW, lambda ctx, job: attempts.append(ctx.attempt)
        )
    assert (attempts, job.attempts_done) == ([7, 1], 3)


def test_attempts_go_on_from_one_another() -> None:
    job = Job("mail")
    job.sanitise()
    job.attempt(Context.background(), NOW, raising(RetryableError("busy")))
    job.attempt(Context.background(), NOW + HOUR, lambda ctx, job: b"r")
    assert (job.status, job.result, job.last_error) == (Status.DONE, b"r", "retryable-error: busy")
    assert moved(job) == (2, NOW + HOUR, NOW + HOUR)


# What a job is as an object


def full_job() -> Job:
    return Job._restore(
        "a", "mail", b"x", 1, 2, 3, 4, Status.FAILED, 5, 6, "why", b"r"
    )  # fmt: skip


def test_restore_puts_each_field_in_its_place() -> None:
    job = full_job()
    assert (job.id, job.kind, job.payload) == ("a", "mail", b"x")
    assert (job._run_at_us, job._delay_us, job._created_us, job._updated_us) == (1, 2, 3, 4)
    assert (job.status, job.attempts_done, job._last_attempt_us) == (Status.FAILED, 5, 6)
    assert (job.last_error, job.result) == ("why", b"r")


@pytest.mark.parametrize("slot", Job.__slots__)
def test_jobs_are_equal_when_all_fields_are(slot: str) -> None:
    job, other = full_job(), full_job()
    assert job == other
    setattr(other, slot, "different")
    assert job != other


def test_a_job_is_no_other_thing_and_no_key() -> None:
    assert full_job() != "a"
    with pytest.raises(TypeError, match="unhashable"):
        hash(full_job())
    assert not hasattr(full_job(), "__dict__")


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda job: pickle.loads(pickle.dumps(job))]
)
def test_a_copy_is_equal(again: Callable[[Job], Job]) -> None:
    assert again(full_job()) == full_job()


def test_its_repr_is_short_and_keeps_the_payload_to_itself() -> None:
    job = Job("mail", b"secret", id="a", last_error="secret", result=b"secret", attempts_done=2)
    assert repr(job) == "<Job 'a' (mail), PENDING, attempts: 2>"


def test_the_sync_and_the_async_attempt_take_the_same() -> None:
    names = [list(method.__annotations__) for method in (Job.attempt, Job.attempt_async)]
    assert names[0] == names[1]
