"""How a job is stored: its record, written once, and its state, which scripts can write.

Record: a format byte, the kind, NUL, a header of text fields that Lua can read (empty today,
carried unread), NUL, a msgpack body `[payload, created_us, run_at_us or nil, delay_us, mark]`, to
which later releases may append.
State: a letter (`redisjobs.states`), attempts, ":", microseconds (the end, or the new RunAt of a
PENDING one), ":", a msgpack body `[updated_us, last_attempt_us, last_error, result]`, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import msgpack
from msgpack import unpackb

from redisjobs.errors import IncompatibleQueueError, InvalidJobError
from redisjobs.job import Job
from redisjobs.limits import MAX_RUN_AT_US, normalise_id, normalise_kind
from redisjobs.states import STATE_OF_LETTER, Status

FORMAT = b"1"


def _packing() -> Callable[[Any], bytes]:
    """Msgpack's own packer in C, one for all threads: it holds the interpreter's lock throughout.
    Its fallback in Python does not, and two threads would mix their bytes.
    """
    if msgpack.Packer.__module__ == "msgpack.fallback":
        return msgpack.packb  # type: ignore[no-any-return]
    return msgpack.Packer(use_bin_type=True, autoreset=True).pack  # type: ignore[no-any-return]


_pack = _packing()


class Record(NamedTuple):
    """What was enqueued."""

    kind: str
    payload: bytes
    created_us: int
    run_at_us: int | None
    delay_us: int


class State(NamedTuple):
    """What became of it so far. `time_us` is the server's: when it ended, or a PENDING job's new
    RunAt.
    """

    letter: bytes
    status: Status
    attempts_done: int
    time_us: int
    updated_us: int
    last_attempt_us: int | None
    last_error: str | None
    result: bytes | None


class EncodedJob(NamedTuple):
    """One job as an enqueue call sends it. `when` is '' for now, '+N' for µs from now, 'N' for an
    instant.
    """

    id: str
    kind: str
    record: bytes
    when: str


def encode_job(job: Job, mark: int, max_payload: int) -> EncodedJob:
    """The job as it is stored. `mark` tells an enqueue call's own jobs from equal ones of others.

    Raises:
        InvalidJobError: an id, kind, payload or RunAt that no job can have.
    """
    id, kind, payload = normalise_id(job.id), normalise_kind(job.kind), job.payload
    if type(payload) is not bytes:
        raise InvalidJobError(
            f"job {id!r} ({kind}): the payload must be bytes, not {type(payload).__name__}:"
            " encode it first"
        )
    if len(payload) > max_payload:
        raise InvalidJobError(
            f"job {id!r} ({kind}): the payload has {len(payload):,} bytes, over the limit of"
            f" {max_payload:,} (RedisQueue(max_payload=…)); store it elsewhere and send its name"
        )
    run_at_us, delay_us = job._run_at_us, job._delay_us
    when = _when(run_at_us, delay_us)
    if max(run_at_us or 0, job._created_us + delay_us) > MAX_RUN_AT_US:
        raise InvalidJobError(f"job {id!r} ({kind}): its RunAt is beyond the year 2200")
    body = _pack([payload, job._created_us, run_at_us, delay_us, mark])
    return EncodedJob(id, kind, _head_of(kind) + body, when)


def _when(run_at_us: int | None, delay_us: int) -> str:
    if run_at_us is not None:
        return str(max(0, run_at_us))
    return f"+{delay_us}" if delay_us else ""


def decode_record(raw: bytes) -> Record:
    """Reads what `encode_job` wrote, here or in another release.

    Raises:
        IncompatibleQueueError: it is of a format that this release does not know.
        InvalidJobError: it cannot be read.
    """
    try:
        kind_end = raw.index(b"\0", 1)
        header_end = raw.index(b"\0", kind_end + 1)
    except ValueError:
        kind_end = header_end = 0
    if not header_end or not raw[:1].isalnum():
        raise InvalidJobError("the job's record cannot be read: it is no record at all")
    if raw[:1] != FORMAT:
        raise IncompatibleQueueError(
            f"record format {raw[:1]!r} is not known to this release of redisjobs: upgrade it"
        )
    try:
        body: Any = unpackb(memoryview(raw)[header_end + 1 :])
        payload, created_us, run_at_us, delay_us = body[:4]
        if type(payload) is not bytes or type(created_us) is not int or type(delay_us) is not int:
            raise TypeError("a field has a wrong type")
        if run_at_us is not None and type(run_at_us) is not int:
            raise TypeError("RunAt has a wrong type")
        return Record(raw[1:kind_end].decode(), payload, created_us, run_at_us, delay_us)
    except Exception as err:
        raise InvalidJobError(f"the job's record cannot be read: {err}") from err


@lru_cache(maxsize=4096)
def _head_of(kind: str) -> bytes:
    """How the records of this kind begin while headers are empty."""
    return b"%b%b\0\0" % (FORMAT, kind.encode())


def reader_of_fresh(kind: str) -> Callable[[str, bytes], Job | None]:
    """What makes a job of an id and a record of this kind, where the job has no progress yet. None:
    the record is of another form, which `decode_record` reads, or says why it cannot be read.

    It is called for each job that a worker runs, and was a third of the worker's cost.
    """
    head = _head_of(kind)
    body_begins, waiting = len(head), Job._waiting

    def read(id: str, raw: bytes) -> Job | None:
        try:
            payload, created_us, run_at_us, delay_us, _ = unpackb(raw[body_begins:])
        except Exception:  # noqa: BLE001 - whatever hostile bytes raise: decode_record says it
            return None
        if (
            type(payload) is not bytes
            or type(created_us) is not int
            or type(delay_us) is not int
            or not raw.startswith(head)
        ):
            return None
        if run_at_us is None:
            run_at_us = created_us + delay_us
        elif type(run_at_us) is not int:
            return None
        return waiting(id, kind, payload, run_at_us, created_us)

    return read


def encode_state_body(
    updated_us: int, last_attempt_us: int | None, last_error: str | None, result: bytes | None
) -> bytes:
    """The part of a state that scripts copy unread."""
    packed: bytes = _pack([updated_us, last_attempt_us, last_error, result])
    return packed


def decode_state(raw: bytes) -> State:
    """Reads a job's state.

    Raises:
        InvalidJobError: it cannot be read, or has a letter of a newer release.
    """
    try:
        head, time_us, body = raw.split(b":", 2)
        letter = head[:1]
        known = STATE_OF_LETTER[letter]
        updated_us, last_attempt_us, last_error, result = (
            unpackb(body)[:4] if body else (int(time_us), None, None, None)
        )
        return State(
            letter,
            known.status,
            int(head[1:]),
            int(time_us),
            updated_us,
            last_attempt_us,
            last_error,
            result,
        )
    except Exception as err:
        raise InvalidJobError(f"the job's state cannot be read: {err!r}") from err


# Stands for a record that cannot be read.
UNREADABLE = Record("", b"", 0, None, 0)

LOST_TOO_OFTEN = "panic: lost its worker too often"


def to_job(id: str, record: Record, state: State | None) -> Job:
    """The job that a record and a state amount to."""
    run_at_us = record.run_at_us
    if run_at_us is None:
        run_at_us = record.created_us + record.delay_us
    if state is None:
        return Job._restore(
            id, record.kind, record.payload, run_at_us, 0, record.created_us, record.created_us,
            Status.PENDING, 0, None, None, None,
        )  # fmt: skip
    updated_us, last_error = state.updated_us, state.last_error
    if state.status is Status.PENDING:
        run_at_us = state.time_us
    elif state.letter in b"LC":
        updated_us = state.time_us
    if state.letter == b"L":
        last_error = LOST_TOO_OFTEN
    return Job._restore(
        id, record.kind, record.payload, run_at_us, 0, record.created_us, updated_us,
        state.status, state.attempts_done, state.last_attempt_us, last_error, state.result,
    )  # fmt: skip
