"""get.lua: one job as it stands, unless its record's time is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs.errors import IncompatibleQueueError, InvalidJobError
from redisjobs.record import encode_state_body
from redisjobs.states import Status

if TYPE_CHECKING:
    from redisjobs.job import Job
    from tests.scripts.bench import Bench

LATER = datetime(2035, 5, 17, 12, 30, 15, 123457, tzinfo=UTC)
LAST_MOMENT = datetime(2199, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


def get(bench: Bench, id: str) -> Job:
    job = bench.get(id)
    assert job is not None
    return job


class TestAJobThatIsStored:
    def test_a_job_that_waits_is_as_it_was_enqueued(self, bench: Bench) -> None:
        created = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
        (id,) = bench.enqueue(payload=b"\x00\xff", run_at=LATER, created_at=created)
        job = get(bench, id)
        assert (job.id, job.kind, job.payload) == (id, "email", b"\x00\xff")
        assert (job.status, job.attempts_done) == (Status.PENDING, 0)
        assert (job.run_at, job.created_at, job.updated_at) == (LATER, created, created)
        assert (job.result, job.last_error, job.last_attempt_at) == (None, None, None)

    @pytest.mark.parametrize("run_at", [datetime(1955, 11, 5, tzinfo=UTC), LATER, LAST_MOMENT])
    def test_its_run_at_is_what_the_user_gave(self, bench: Bench, run_at: datetime) -> None:
        (id,) = bench.enqueue(run_at=run_at)
        assert get(bench, id).run_at == run_at

    def test_of_a_job_with_a_delay_it_is_its_creation_plus_the_delay(self, bench: Bench) -> None:
        delay = timedelta(hours=2, microseconds=1)
        (id,) = bench.enqueue(delay=delay)
        job = get(bench, id)
        assert job.run_at == job.created_at + delay

    def test_a_job_that_is_held_is_pending(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        bench.take()
        assert get(bench, id).status is Status.PENDING

    def test_after_a_retry_run_at_is_the_servers_time(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        body = encode_state_body(1_000_000, 2_000_000, "retryable-error: no", None)
        bench.settle(*bench.take(), letter=b"P", attempts=2, delay_us=5_000_000, body=body)
        job, score = get(bench, id), bench.score(id)
        assert score is not None
        assert job.run_at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=score)
        assert (job.status, job.attempts_done) == (Status.PENDING, 2)
        assert job.last_error == "retryable-error: no"
        assert job.last_attempt_at == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("letter", "status"),
        [
            (b"D", Status.DONE),
            (b"F", Status.FAILED),
            (b"X", Status.PANIC),
            (b"C", Status.CANCELLED),
        ],
    )
    def test_a_job_that_has_ended_has_its_outcome(
        self, bench: Bench, letter: bytes, status: Status
    ) -> None:
        bench.register()
        (id,) = bench.enqueue()
        body = encode_state_body(1, 2, "why", b"result")
        bench.settle(*bench.take(), letter=letter, attempts=3, body=body)
        job = get(bench, id)
        assert (job.status, job.attempts_done) == (status, 3)
        assert (job.last_error, job.result) == ("why", b"result")

    def test_there_is_none_of_an_unknown_id(self, bench: Bench) -> None:
        assert bench.get("nobody") is None
        assert bench.answers == [[]]


class TestARecordPastItsTime:
    @pytest.mark.parametrize(
        ("letter", "setting"),
        [
            (b"D", "retention_us"),
            (b"F", "failed_retention_us"),
            (b"X", "failed_retention_us"),
            (b"C", "failed_retention_us"),
        ],
    )
    def test_it_is_gone_though_nobody_sweeps(
        self, bench: Bench, letter: bytes, setting: str
    ) -> None:
        settings: dict[str, Any] = {setting: 3_600_000_000}
        bench.register("w", **settings)
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=letter)
        bench.clock.advance(timedelta(minutes=55))
        assert bench.get(id) is not None
        bench.clock.advance(timedelta(minutes=5))
        assert bench.get(id) is None

    def test_by_default_it_is_gone_after_an_hour_or_a_week(self, bench: Bench) -> None:
        bench.register()
        done, failed = bench.enqueue(number=2)
        first, second = bench.take()
        bench.settle(first)
        bench.settle(second, letter=b"F")
        bench.clock.advance(timedelta(minutes=59))
        assert bench.get(done) is not None
        bench.clock.advance(timedelta(minutes=1))
        assert bench.get(done) is None
        bench.clock.advance(timedelta(days=6, hours=22))
        assert bench.get(failed) is not None
        bench.clock.advance(timedelta(hours=1))
        assert bench.get(failed) is None

    def test_one_that_was_condemned_is_gone_too(self, bench: Bench) -> None:
        bench.register("w", failed_retention_us=3_600_000_000)
        (id,) = bench.enqueue()
        bench.take()
        bench.reap(max_losses=0)
        assert bench.get(id) is not None
        bench.clock.advance(timedelta(hours=1))
        assert bench.get(id) is None

    def test_a_job_that_waits_is_never_past_its_time(self, bench: Bench) -> None:
        bench.register("w", retention_us=0, failed_retention_us=0)
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P")
        bench.clock.advance(timedelta(days=3650))
        assert get(bench, id).status is Status.PENDING


class TestWhatCannotBeRead:
    def test_a_record_of_a_newer_release_is_refused_by_name(self, bench: Bench) -> None:
        bench.client.hset(bench.keys.jobs, "id", b"9email\0\0new")
        with pytest.raises(IncompatibleQueueError, match="upgrade"):
            bench.get("id")

    def test_a_record_that_is_junk_is_refused(self, bench: Bench) -> None:
        bench.client.hset(bench.keys.jobs, "id", b"1junk")
        with pytest.raises(InvalidJobError):
            bench.get("id")

    def test_of_a_damaged_record_whose_job_has_ended_the_end_is_told(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue(payload=b"hello")
        (delivery,) = bench.take()
        bench.client.hset(bench.keys.jobs, id, b"1junk")
        body = encode_state_body(1, 2, "the record cannot be read", None)
        bench.settle(delivery, letter=b"F", body=body)
        job = get(bench, id)
        assert (job.status, job.payload) == (Status.FAILED, b"")
        assert job.last_error == "the record cannot be read"

    def test_a_state_that_is_junk_is_refused(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.client.hset(bench.keys.state, id, b"junk")
        with pytest.raises(InvalidJobError):
            bench.get(id)

    def test_header_fields_of_a_later_release_are_carried_unread(self, bench: Bench) -> None:
        (id,) = bench.enqueue(payload=b"hello")
        record = bench.client.hget(bench.keys.jobs, id)
        body = record.removeprefix(b"1email\0\0")
        bench.client.hset(bench.keys.jobs, id, b"1email\0expires=7;group=a\0" + body)
        assert get(bench, id).payload == b"hello"
