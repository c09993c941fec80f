"""What a run came to, as it is settled and as it is logged; and claims that cannot be run."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs.attempt import Outcome
from redisjobs.errors import IncompatibleQueueError, InvalidJobError
from redisjobs.job import Job
from redisjobs.operations.claim import Claim, Claimed
from redisjobs.operations.settle import Settlement
from redisjobs.record import decode_state, encode_job, encode_state_body
from redisjobs.registry import Handlers
from redisjobs.states import Status
from redisjobs.worker.outcomes import Clerk

if TYPE_CHECKING:
    from redisjobs.operations.settle import Settlement
    from redisjobs.record import State
    from redisjobs.worker.delivery import Delivery

LOGGER = logging.getLogger("tests.outcomes")


def _plain(ctx: object, job: object) -> None: ...


async def _awaited(ctx: object, job: object) -> None: ...


@pytest.fixture
def clerk() -> Clerk:
    return Clerk("orders", Handlers({"email": _plain, "report": _awaited}), LOGGER)


def _claim(kind: str = "email", **fields: Any) -> Claim:
    record = encode_job(Job(kind, b"payload", id="job-1"), 0, 1000).record
    return Claim("job-1", kind, record, None, 0)._replace(**fields)


def _state(letter: str = "P", attempts: int = 2, error: str | None = "earlier") -> bytes:
    body = encode_state_body(1, 1, error, None)
    return f"{letter}{attempts}:5000000:".encode() + body


def _stored(settlement: Settlement) -> State:
    """The state as the settle script writes it."""
    head = b"%b%d:%d:" % (settlement.letter, settlement.attempts_done, settlement.delay_us)
    return decode_state(head + settlement.body)


def _deliver(clerk: Clerk, claim: Claim, *, alone: bool = False) -> Delivery:
    """As a claim of this one job is delivered; what cannot be read is raised."""
    claimed = Claimed(
        9, [claim.id.encode()], [claim.record], [(claim.kind, 1)],
        [claim.state] if claim.state else [], [claim.losses] if claim.losses else [],
        None, True, False, alone, 0, None, [],
    )  # fmt: skip
    (delivery,) = clerk.deliveries(claimed, "worker-1")
    if clerk.job_of(delivery) is None:
        assert delivery.unreadable is not None
        raise delivery.unreadable
    return delivery


def _run(clerk: Clerk, claim: Claim | None = None) -> Delivery:
    delivery = _deliver(clerk, claim or _claim())
    delivery.started_at = time.monotonic()
    delivery.context = clerk.context_of(delivery)
    return delivery


class TestDelivery:
    def test_is_named_by_token_and_id(self, clerk: Clerk) -> None:
        delivery = _deliver(clerk, _claim())
        assert (delivery.name, delivery.token, delivery.id) == ("9:job-1", 9, "job-1")
        batch, job = delivery.batch, clerk.job_of(delivery)
        assert (batch.fn, batch.is_async, batch.alone) == (_plain, False, False)
        assert job is not None
        assert job.payload == b"payload"

    def test_carries_what_the_claim_told(self, clerk: Clerk) -> None:
        claim = _claim("report", losses=2, state=_state())
        delivery = _deliver(clerk, claim, alone=True)
        batch, job = delivery.batch, clerk.job_of(delivery)
        assert (batch.fn, batch.is_async, batch.alone) == (_awaited, True, True)
        assert (delivery.losses, delivery.attempts_done, delivery.last_error) == (2, 2, "earlier")
        assert job is not None
        assert job.attempts_done == 2

    def test_its_context_tells_the_handler_where_it_runs(self, clerk: Clerk) -> None:
        delivery = _deliver(clerk, _claim(losses=1, state=_state()))
        context = clerk.context_of(delivery)
        assert (context.queue_name, context.worker_id) == ("orders", "worker-1")
        assert (context.job_id, context.job_kind) == ("job-1", "email")
        assert (context.attempt, context.losses, context.token) == (3, 1, 9)

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"record": b""}, InvalidJobError),
            ({"record": b"junk"}, InvalidJobError),
            ({"record": b"2email\0no header"}, InvalidJobError),
            ({"record": b"2email\0\0later"}, IncompatibleQueueError),
            ({"record": b"2email\0\0later", "state": b"rubbish"}, IncompatibleQueueError),
            ({"record": b"1"}, InvalidJobError),
            ({"record": b"1email\0\0\xc1"}, InvalidJobError),
            ({"record": b"1email\0\0\x80"}, InvalidJobError),
            ({"state": b"rubbish"}, InvalidJobError),
            ({"kind": "report"}, InvalidJobError),
        ],
    )
    def test_of_what_cannot_be_read_is_refused(
        self, clerk: Clerk, fields: dict[str, Any], error: type[Exception]
    ) -> None:
        with pytest.raises(error):
            _deliver(clerk, _claim()._replace(**fields))


def _torn(clerk: Clerk, **fields: Any) -> Delivery:
    """Of a job that cannot be read."""
    claim = _claim(**fields)
    claimed = Claimed(
        9, [claim.id.encode()], [claim.record], [(claim.kind, 1)], [claim.state], [], None, True,
        False, False, 0, None, [],
    )  # fmt: skip
    (delivery,) = clerk.deliveries(claimed, "worker-1")
    return delivery


class TestUnreadable:
    def test_ends_as_failed_with_the_reason(self, clerk: Clerk) -> None:
        err = InvalidJobError("the job's record cannot be read: it is torn")
        settlement = clerk.unreadable(_torn(clerk, record=b"1torn"), err)
        assert settlement.delivery == "9:job-1"
        assert settlement.kind == "email"
        state = _stored(settlement)
        assert state.status is Status.FAILED
        assert state.last_error == "InvalidJobError: the job's record cannot be read: it is torn"

    def test_of_a_newer_release_waits_for_a_worker_that_can_read_it(self, clerk: Clerk) -> None:
        err = IncompatibleQueueError("record format b'2' is not known")
        settlement = clerk.unreadable(_torn(clerk, record=b"2new"), err)
        assert _stored(settlement).status is Status.PENDING
        assert settlement.delay_us >= 1_000_000, "not in a busy loop"

    def test_of_a_newer_release_keeps_its_progress_unread(self, clerk: Clerk) -> None:
        body = b"\xc1 what only a newer release can read: even this \n"
        torn = _torn(clerk, record=b"2new", state=b"P2:5000000:" + body)
        settlement = clerk.unreadable(torn, IncompatibleQueueError("format b'2'"))
        assert (settlement.letter, settlement.attempts_done) == (b"P", 2)
        assert settlement.body == body

    def test_is_logged_with_the_job(self, clerk: Clerk, caplog: pytest.LogCaptureFixture) -> None:
        clerk.unreadable(_torn(clerk), InvalidJobError("torn"))
        record = caplog.records[-1]
        assert record.levelno == logging.ERROR
        assert (record.job_id, record.job_kind) == ("job-1", "email")  # type: ignore[attr-defined]
        assert "torn" in record.getMessage()


class TestSettlement:
    def test_done_with_its_result(self, clerk: Clerk) -> None:
        settlement = clerk.settlement(_run(clerk), Outcome(Status.DONE, b"result"), keeps_done=True)
        assert settlement[:5] == ("9:job-1", "email", b"D", 1, 0)
        assert _stored(settlement).result == b"result"

    def test_done_sends_nothing_that_nobody_keeps(self, clerk: Clerk) -> None:
        settlement = clerk.settlement(
            _run(clerk), Outcome(Status.DONE, b"result"), keeps_done=False
        )
        assert (settlement.letter, settlement.attempts_done, settlement.body) == (b"D", 1, b"")

    @pytest.mark.parametrize("keeps_done", [True, False])
    @pytest.mark.parametrize("status", [Status.FAILED, Status.PANIC])
    def test_a_bad_end_is_told_also_where_done_is_not_kept(
        self, clerk: Clerk, status: Status, keeps_done: bool
    ) -> None:
        outcome = Outcome(status, error="broken")
        settlement = clerk.settlement(_run(clerk), outcome, keeps_done=keeps_done)
        assert (_stored(settlement).status, _stored(settlement).last_error) == (status, "broken")

    def test_a_retry_has_its_delay_in_microseconds(self, clerk: Clerk) -> None:
        delay = timedelta(seconds=7, microseconds=1)
        outcome = Outcome(Status.PENDING, error="retryable-error: x", retry_after=delay)
        settlement = clerk.settlement(_run(clerk), outcome, keeps_done=True)
        assert (settlement.letter, settlement.delay_us) == (b"P", 7_000_001)

    def test_each_attempt_counts_on(self, clerk: Clerk) -> None:
        delivery = _run(clerk, _claim(state=_state(attempts=2)))
        settlement = clerk.settlement(delivery, Outcome(Status.DONE), keeps_done=True)
        assert settlement.attempts_done == 3

    def test_done_keeps_the_error_of_an_earlier_attempt(self, clerk: Clerk) -> None:
        delivery = _run(clerk, _claim(state=_state(error="retryable-error: earlier")))
        settlement = clerk.settlement(delivery, Outcome(Status.DONE), keeps_done=True)
        assert _stored(settlement).last_error == "retryable-error: earlier"

    def test_the_attempt_is_dated_by_the_wall_clock(self, clerk: Clerk) -> None:
        before_us = time.time_ns() // 1000
        settlement = clerk.settlement(_run(clerk), Outcome(Status.DONE), keeps_done=True)
        last_attempt_us = _stored(settlement).last_attempt_us
        assert last_attempt_us is not None
        assert last_attempt_us == pytest.approx(before_us, abs=1_000_000)


@pytest.mark.parametrize(
    ("outcome", "level", "words"),
    [
        (Outcome(Status.DONE), logging.DEBUG, "done in"),
        (Outcome(None), logging.INFO, "given back"),
        (Outcome(Status.FAILED, error="broken"), logging.ERROR, "FAILED: broken"),
        (Outcome(Status.PANIC, error="panic: x"), logging.ERROR, "PANIC: panic: x"),
        (
            Outcome(Status.PENDING, error="retryable-error: x", retry_after=timedelta(seconds=5)),
            logging.WARNING,
            ": retryable-error: x",
        ),
    ],
)
def test_each_outcome_is_logged_with_the_job(
    clerk: Clerk, caplog: pytest.LogCaptureFixture, outcome: Outcome, level: int, words: str
) -> None:
    caplog.set_level(logging.DEBUG, "tests.outcomes")
    clerk.log_outcome(_run(clerk, _claim(state=_state(attempts=1))), outcome)
    (record,) = caplog.records
    assert record.levelno == level
    assert words in record.getMessage()
    fields = vars(record)
    assert (fields["job_id"], fields["job_kind"], fields["attempt"]) == ("job-1", "email", 2)
    assert (fields["queue_name"], fields["worker_id"]) == ("orders", "worker-1")


def test_a_failure_is_logged_with_its_traceback(
    clerk: Clerk, caplog: pytest.LogCaptureFixture
) -> None:
    err = ValueError("broken")
    clerk.log_outcome(_run(clerk), Outcome(Status.FAILED, error="broken", exception=err))
    assert caplog.records[-1].exc_info is not None
    assert caplog.records[-1].exc_info[1] is err


def test_a_lost_lock_is_logged_with_the_job(clerk: Clerk, caplog: pytest.LogCaptureFixture) -> None:
    clerk.log_lost(_run(clerk))
    record = caplog.records[-1]
    assert record.levelno == logging.WARNING
    assert "lock was lost" in record.getMessage()
    assert vars(record)["job_id"] == "job-1"


def test_the_time_of_an_attempt_is_by_the_wall_clock_of_its_end(
    clerk: Clerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which may have been set right since the worker began."""
    delivery, hour_us = _run(clerk), 3_600_000_000
    wall_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: wall_ns + hour_us * 1000)
    clerk.look_at_the_time()
    state = _stored(clerk.settlement(delivery, Outcome(Status.DONE), keeps_done=True))
    assert state.last_attempt_us == pytest.approx(wall_ns / 1000 + hour_us, abs=60e6)


def test_a_delay_that_began_when_the_handler_ended_is_shorter_when_it_is_sent_later() -> None:
    sent = Settlement("9:x", "email", b"P", 1, 5_000_000, b"", due_at=105.0)
    assert sent.at(100.5).delay_us == 4_500_000
    assert sent.at(200.0).delay_us == 0
    ended = Settlement("9:x", "email", b"D", 1, 0, b"")
    assert ended.at(200.0) is ended
