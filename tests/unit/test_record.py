"""The stored form of a job, and what is refused of it."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjobs.errors import IncompatibleQueueError, InvalidJobError
from redisjobs.job import Job
from redisjobs.record import (
    decode_record,
    decode_state,
    encode_job,
    encode_state_body,
    to_job,
)
from redisjobs.states import STATE_LETTERS, Status

LIMIT = 1000
KINDS = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() and "\0" not in text)


def encoded(job: Job, mark: int = 1) -> bytes:
    return encode_job(job, mark, LIMIT).record


@given(KINDS, st.binary(max_size=300), st.integers(0, 2**64 - 1))
def test_what_is_encoded_is_read_back(kind: str, payload: bytes, mark: int) -> None:
    try:
        record = decode_record(encoded(Job(kind, payload), mark))
    except InvalidJobError:
        assert (
            len(kind.strip().lower().encode(errors="surrogatepass")) > 200 or not kind.isprintable()
        )
        return
    assert (record.kind, record.payload) == (kind.strip().lower(), payload)


def test_a_job_that_names_no_time_comes_due_after_its_delay_by_its_producers_clock() -> None:
    job = Job("a", delay=timedelta(seconds=7))
    stored = to_job(job.id, decode_record(encoded(job)), None)
    assert stored.run_at == job.created_at + timedelta(seconds=7)


def test_a_named_time_stays_exact() -> None:
    run_at = datetime(2199, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    job = Job("a", run_at=run_at)
    assert encode_job(job, 1, LIMIT).when == str(int(run_at.timestamp()) * 1_000_000 + 999_999)
    assert to_job(job.id, decode_record(encoded(job)), None).run_at == run_at


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (Job(" "), "kind must not be blank"),
        (Job("a", id=" "), "id must not be blank"),
        (Job("a\0b"), "NUL"),
        (Job("a", id="a\0"), "NUL"),
        (Job("k" * 201), "200 bytes"),
        (Job("a", id="é" * 101), "200 bytes"),
        (Job("a", b"x" * (LIMIT + 1)), "max_payload"),
        (Job("a", "text"), "payload must be bytes, not str"),  # type: ignore[arg-type]
        (Job("a", bytearray(b"x")), "payload must be bytes, not bytearray"),  # type: ignore[arg-type]
        (Job("a", run_at=datetime(2201, 1, 1, tzinfo=UTC)), "2200"),
        (Job("a", delay=timedelta(days=200 * 366)), "2200"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_no_job_can_have_is_refused(job: Job, message: str) -> None:
    with pytest.raises(InvalidJobError, match=message):
        encode_job(job, 1, LIMIT)


def test_equal_jobs_of_two_calls_differ() -> None:
    job = Job("a", b"x")
    assert encoded(job, mark=1) != encoded(job, mark=2)


def damaged(body: Any) -> bytes:
    return b"1a\0\0" + bytes(msgpack.packb(body))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"1",
        b"junk",
        b"1a\0no header",
        b"\0\0\0",
        b"1a\0\0",
        b"1a\0\0\xc1",
        damaged([]),
        damaged(["text", 1, None, 0]),
        damaged([b"x", None, None, 0]),
        damaged([b"x", 1, "now", 0]),
        damaged([b"x", 1, None, None]),
        damaged({"payload": b"x"}),
        b"1\xff\xfe\0\0" + bytes(msgpack.packb([b"x", 1, None, 0])),
    ],
)
def test_a_damaged_record_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidJobError, match="cannot be read"):
        decode_record(raw)


@given(st.binary(max_size=60))
def test_hostile_bytes_are_refused_with_an_error_of_ours(raw: bytes) -> None:
    for read in (decode_record, decode_state):
        with contextlib.suppress(InvalidJobError, IncompatibleQueueError):
            assert read(raw)


def test_a_record_of_another_format_is_a_newer_releases() -> None:
    with pytest.raises(IncompatibleQueueError, match="upgrade"):
        decode_record(b"2" + encoded(Job("a"))[1:])


def test_fields_that_a_later_release_appends_are_carried_unread() -> None:
    raw = b"1a\0expires=5;new\0" + bytes(msgpack.packb([b"x", 1, None, 0, 9, "more", [1, 2]]))
    assert decode_record(raw).payload == b"x"


@pytest.mark.parametrize("letter", [state.letter for state in STATE_LETTERS])
def test_a_state_is_read_back(letter: bytes) -> None:
    body = encode_state_body(5, 4, "why: because", b"result:\0")
    state = decode_state(letter + b"3:1234567:" + body)
    assert (state.letter, state.attempts_done, state.time_us) == (letter, 3, 1234567)
    assert (state.updated_us, state.last_attempt_us) == (5, 4)
    assert (state.last_error, state.result) == ("why: because", b"result:\0")


def test_only_a_pending_state_moves_the_time_of_a_job() -> None:
    record = decode_record(encoded(Job("a", run_at=datetime(2030, 1, 1, tzinfo=UTC))))
    body = encode_state_body(5, 4, None, None)
    ended = to_job("x", record, decode_state(b"D1:1000000:" + body))
    waits = to_job("x", record, decode_state(b"P1:1000000:" + body))
    assert ended.run_at == datetime(2030, 1, 1, tzinfo=UTC)
    assert waits.run_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)


def test_a_job_that_lost_its_worker_too_often_says_so() -> None:
    job = to_job("x", decode_record(encoded(Job("a"))), decode_state(b"L2:1000000:"))
    assert (job.status, job.attempts_done) == (Status.PANIC, 2)
    assert job.last_error == "panic: lost its worker too often"
