"""jobs: the jobs of a queue, a page at a time."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from redisjobs.errors import ConfigurationError, RedisJobsError
from redisjobs.job import Job
from redisjobs.keys import FINISHED_STATUSES, Keys
from redisjobs.limits import normalise_kind
from redisjobs.operations.operation import Call, Operation, reply_of
from redisjobs.operations.refusals import names
from redisjobs.operations.scanning import Walk, all_names
from redisjobs.operations.sections import Entry, Held, Position, Section, Sets, Standing
from redisjobs.record import UNREADABLE, State, decode_record, decode_state, to_job
from redisjobs.states import Status

__all__ = ["JobPage", "Standing", "list_jobs"]

MOST_JOBS = 1000


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some of a queue's jobs.

    Attributes:
        jobs: what cannot be read of one is told in its `last_error`.
        after: where the next page begins; None: this was the last one.
        standings: of each job, whether it runs, is ready, is scheduled, or how it has ended.
    """

    jobs: tuple[Job, ...]
    after: str | None
    standings: tuple[Standing, ...]


def list_jobs(
    keys: Keys, status: str | None, kind: str | None, limit: int, after: str | None
) -> Operation[JobPage]:
    """Up to `limit` jobs: those that run, those that wait, in the order in which they come due,
    then those that have ended, the latest first.

    A page of large jobs may have fewer, though more are there: it stops after about 8 MiB. What
    moves between two pages may be in both or none.

    Raises:
        ConfigurationError: a status, limit or `after` that cannot be.
        InvalidJobError: no job can have that kind.
    """
    sections = _sections(status)
    wanted = None if kind is None else normalise_kind(kind)
    if type(limit) is not int or not 1 <= limit <= MOST_JOBS:
        raise ConfigurationError(f"limit must be from 1 to {MOST_JOBS:,}, not {limit!r}")
    first, position = _read_cursor(sections, after)
    if wanted is None:
        kinds = sorted(names((yield from all_names(Walk("SSCAN", keys.kinds), 1))))
    else:
        kinds = [wanted]
    page = _Page(keys, wanted, limit)
    for section in sections[first:]:
        if (yield from page.fill(section, kinds, position)):
            break
        position = None
    return page.told()


class _Page:
    def __init__(self, keys: Keys, kind: str | None, limit: int) -> None:
        self._keys = keys
        self._kind = kind
        self._limit = limit
        self._jobs: list[Job] = []
        self._standings: list[Standing] = []
        self._last = ""
        self._after: str | None = None

    def fill(
        self, section: Section, kinds: Sequence[str], position: Position | None
    ) -> Operation[bool]:
        """Adds jobs of this section. Returns whether the page has ended, and more are there."""
        while True:
            room = self._limit - len(self._jobs)
            # One more than there is room for tells whether this is the last page.
            entries = yield from section.next(self._keys, kinds, position, room + 1)
            if not entries:
                return False
            read = (yield from self._add(section, entries[:room])) if room else 0
            if len(self._jobs) == self._limit and read < len(entries):
                return self._end()
            if read < min(room, len(entries)) and self._jobs:
                return self._end()  # the rest is large
            if len(entries) <= room and read == len(entries):
                return False
            position = entries[read - 1].position

    def _add(self, section: Section, entries: Sequence[Entry]) -> Operation[int]:
        """Adds those of these jobs that are still there. Returns how many entries were read."""
        keys = self._keys
        ids = [entry.id for entry in entries]
        replies = yield (Call("read_jobs", [keys.jobs, keys.state, keys.meta], ids),)
        told = reply_of(replies)
        for entry, (record, state, past) in zip(entries, told, strict=False):
            job = None if record is None or past else _job(entry, record, state)
            if job is not None and self._kind in (None, job.kind):
                self._jobs.append(job)
                self._standings.append(entry.standing)
                self._last = _cursor(section, entry.position)
        return len(told)

    def _end(self) -> bool:
        self._after = self._last
        return True

    def told(self) -> JobPage:
        return JobPage(tuple(self._jobs), self._after, tuple(self._standings))


def _job(entry: Entry, raw_record: bytes, raw_state: bytes | None) -> Job | None:
    """The job, with what cannot be read of it as its last error. None: it stands elsewhere by
    now.
    """
    problem, state, record = None, None, UNREADABLE
    status = entry.standing.status
    try:
        state = decode_state(raw_state) if raw_state else None
        if (state.status if state else Status.PENDING) is not status:
            return None
    except RedisJobsError as err:
        problem = str(err)
        state = State(b"", status, 0, 0, 0, None, None, None)
    try:
        record = decode_record(raw_record)
    except RedisJobsError as err:
        problem = str(err)
        record = record._replace(kind=entry.kind or _kind_in(raw_record))
    job = to_job(names([entry.id])[0], record, state)
    job.last_error = job.last_error or problem
    return job


def _kind_in(raw_record: bytes) -> str:
    return names([raw_record[1:].partition(b"\0")[0]])[0]


_FINISHED = {Standing(status.lower()): status for status in FINISHED_STATUSES}


def _sections(status: str | None) -> Sequence[Section]:
    """Where jobs of this status are, in the order in which they are told."""
    waiting = Sets("waiting", Status.PENDING)
    if status is None:
        return (Held(), waiting, Sets("finished", *FINISHED_STATUSES))
    asked = str(status).lower()
    if asked == "pending":
        return (Held(), waiting)
    try:
        standing = Standing(asked)
    except ValueError:
        known = ", ".join(["pending", *Standing])
        raise ConfigurationError(f"status must be one of {known}, not {status!r}") from None
    if standing is Standing.RUNNING:
        return (Held(),)
    if standing in _FINISHED:
        return (Sets("finished", _FINISHED[standing]),)
    return (Sets("waiting", Status.PENDING, which=standing),)


def _cursor(section: Section, position: Position) -> str:
    packed: bytes = msgpack.packb([section.name, *position])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _read_cursor(sections: Sequence[Section], after: str | None) -> tuple[int, Position | None]:
    """In which section to begin, and behind which position."""
    if after is None:
        return 0, None
    try:
        padded = after + "=" * (-len(after) % 4)
        found: Any = msgpack.unpackb(base64.b64decode(padded, altchars=b"-_", validate=True))
        name, *position = found
        shape = (bytes, int, bytes) if name == Held.name else (float, bytes)
        place = [section.name for section in sections].index(name)
        if tuple(map(type, position)) != shape:
            raise ValueError("no position")
    except Exception as err:
        raise ConfigurationError(
            f"after must be what an earlier page of the same listing has, not {after!r}"
        ) from err
    return place, tuple(position)
