"""What the queue has stored in the end: read as it stands there, not through the queue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import redis

from redisjobs import Status
from redisjobs.keys import Keys
from redisjobs.record import decode_record, decode_state
from tests.chaos.jobs import KINDS
from tests.chaos.setting import QUEUE

if TYPE_CHECKING:
    from tests.chaos.journal import Journals, Run

_KEYS = Keys(QUEUE)
_TOKEN = re.compile(rb"token=(\d+)")
_AT_ONCE = 1000


class Stored(NamedTuple):
    """One job as it ended, or waits. `token`: of the run whose outcome is stored, if it tells."""

    kind: str
    status: Status
    lost_too_often: bool
    token: int | None
    attempts: int


class Everything(NamedTuple):
    """All jobs by id; and by `outcome:kind`, how many ends and retries were counted."""

    jobs: dict[str, Stored]
    totals: dict[str, int]


def is_at_work(client: Any, workers: int) -> bool:
    """Whether so many workers are there, and jobs have ended."""
    try:
        return bool(client.zcard(_KEYS.workers) >= workers and client.exists(_KEYS.totals))
    except redis.RedisError:
        return False


def is_drained(client: Any) -> bool:
    """Whether nothing waits and nobody holds anything."""
    try:
        workers = client.zrange(_KEYS.workers, 0, -1)
        pipeline = client.pipeline()
        for kind in KINDS:
            pipeline.zcard(_KEYS.due(kind))
        for worker in workers:
            pipeline.llen(_KEYS.processing(worker.decode()))
        return not any(pipeline.execute())
    except redis.RedisError:
        return False


def read_stored(client: Any) -> Everything:
    """Everything, once all is quiet."""
    jobs = {}
    records = client.hscan_iter(_KEYS.jobs, count=_AT_ONCE)
    states = dict(client.hscan_iter(_KEYS.state, count=_AT_ONCE))
    for id, record in records:
        jobs[id.decode()] = _stored(record, states.get(id))
    totals = client.hgetall(_KEYS.totals)
    return Everything(jobs, {name.decode(): int(number) for name, number in totals.items()})


def with_forgotten(stored: Everything, journals: Journals) -> Everything:
    """With those that are not there since what is done is not kept: whose last run was done. That
    so many were counted as such the totals must say; which of its runs was settled nobody can.
    """
    last: dict[str, Run] = {}
    for run in journals.runs:
        last[run.id] = run
    jobs = dict(stored.jobs)
    for id, run in last.items():
        end = journals.ends.get((id, run.token))
        if id not in jobs and end is not None and end.outcome == "done":
            jobs[id] = Stored(run.kind, Status.DONE, False, run.token, run.attempt)
    return stored._replace(jobs=jobs)


def _stored(record: bytes, raw: bytes | None) -> Stored:
    kind = decode_record(record).kind
    if raw is None:
        return Stored(kind, Status.PENDING, False, None, 0)
    state = decode_state(raw)
    said = state.result or (state.last_error or "").encode()
    found = _TOKEN.search(said)
    token = int(found[1]) if found else None
    return Stored(kind, state.status, state.letter == b"L", token, state.attempts_done)
