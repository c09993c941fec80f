"""What one enqueue call may carry, and how a stream is cut into such calls. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from redisjobs.errors import InvalidJobError, RedisJobsError
from redisjobs.job import Job
from redisjobs.limits import MAX_JOBS_PER_CALL
from redisjobs.record import EncodedJob, encode_job

# The server is held while a call runs, and buffers all of it.
MAX_CALL_BYTES = 64 * 2**20
_CHUNK_BYTES = MAX_CALL_BYTES // 4


def encode_batch(jobs: Sequence[Job], mark: int, max_payload: int) -> list[EncodedJob]:
    """The jobs of one call as they are stored.

    Raises:
        InvalidJobError: a job that cannot be stored, an id twice, or too much for one call.
    """
    if len(jobs) > MAX_JOBS_PER_CALL:
        raise InvalidJobError(
            f"{len(jobs):,} jobs in one call: enqueue takes at most {MAX_JOBS_PER_CALL:,};"
            " use enqueue_many"
        )
    for job in jobs:
        if not isinstance(job, Job):
            raise InvalidJobError(f"enqueue takes Job objects, not {type(job).__name__}")
    encoded = [encode_job(job, mark, max_payload) for job in jobs]
    if len(encoded) > 1:
        _check_together(encoded)
    return encoded


def _check_together(encoded: Sequence[EncodedJob]) -> None:
    seen: set[str] = set()
    for job in encoded:
        if job.id in seen:
            raise InvalidJobError(f"job id {job.id!r} is there twice in one call")
        seen.add(job.id)
    size = sum(len(job.record) for job in encoded)
    if size > MAX_CALL_BYTES:
        raise InvalidJobError(
            f"{size:,} bytes in one call: enqueue takes at most {MAX_CALL_BYTES:,};"
            " use enqueue_many"
        )


class Chunks:
    """Cuts a stream of jobs into parts of at most `size` jobs, and of at most a quarter of what one
    call may carry.

    Raises:
        InvalidJobError: no call can have that size.
    """

    def __init__(self, size: int) -> None:
        if not 1 <= size <= MAX_JOBS_PER_CALL:
            raise InvalidJobError(f"chunk must be from 1 to {MAX_JOBS_PER_CALL:,}, not {size}")
        self._size = size
        self._part: list[Job] = []
        self._bytes = 0

    def add(self, job: Job) -> list[Job] | None:
        """The part that this job makes full, if it does."""
        payload = getattr(job, "payload", b"")
        self._part.append(job)
        self._bytes += len(payload) if isinstance(payload, bytes) else 0
        if len(self._part) == self._size or self._bytes > _CHUNK_BYTES:
            return self.rest()
        return None

    def rest(self) -> list[Job]:
        """What is left over."""
        part, self._part, self._bytes = self._part, [], 0
        return part

    def of(self, jobs: Iterable[Job]) -> Iterator[list[Job]]:
        """All parts of an iterable."""
        for job in jobs:
            if part := self.add(job):
                yield part
        if part := self.rest():
            yield part


@dataclass(slots=True)
class Stored:
    """How many jobs of a stream are stored already."""

    count: int = 0


@contextmanager
def telling_what_was_stored() -> Iterator[Stored]:
    """An error that ends the stream says how many jobs were stored before it."""
    stored = Stored()
    try:
        yield stored
    except RedisJobsError as err:
        err.stored = stored.count
        raise
    except Exception as err:
        err.add_note(f"{stored.count:,} jobs of this enqueue_many were stored before")
        raise
