"""The jobs of a queue, page by page, as commands choose them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.operations.listing import Standing
from redisjobs.operations.operation import Operation
from redisjobs.operations.refusals import names
from redisjobs.operations.sections import Entry, Held, Position
from redisjobs.queue import RedisQueue

STATUSES = (
    "pending", "running", "ready", "scheduled", "done", "failed", "panic", "cancelled",
)  # fmt: skip

_PAGE = 500
_DELIVERIES = 2000
_WAITING_OR_RUNNING = ("running", "ready", "scheduled")


class Listed(NamedTuple):
    """A job, and how it stands. `worker`: of one that runs, the id of the one that holds it, if it
    still does.
    """

    job: Job
    standing: Standing
    worker: str | None


def pages(
    queue: RedisQueue, statuses: Sequence[str], kinds: Sequence[str], limit: int = 0
) -> Iterator[Sequence[Listed]]:
    """Up to `limit` jobs, or all with 0, a page at a time: one listing after the other, for each
    of the statuses and of the kinds; none of them means all.
    """
    size = min(_PAGE, limit) if limit else _PAGE
    number = 0
    for status in _in_one_listing_each(statuses):
        for kind in kinds or (None,):
            for page in _listing(queue, status, kind, size, statuses):
                yield page[: limit - number] if limit else page
                number += len(page)
                if limit and number >= limit:
                    return


def _in_one_listing_each(statuses: Sequence[str]) -> Sequence[str | None]:
    """The statuses to list one after the other, each job in one of them only."""
    asked = [status for status in STATUSES if status in statuses]
    pending = [status for status in asked if status in _WAITING_OR_RUNNING]
    if "pending" in asked or len(pending) > 1:
        # In one listing: between two, one that is scheduled could become ready.
        return ["pending", *(one for one in asked if one not in ("pending", *pending))]
    return asked or [None]


def _listing(
    queue: RedisQueue, status: str | None, kind: str | None, size: int, statuses: Sequence[str]
) -> Iterator[Sequence[Listed]]:
    after = None
    holders = _Holders(queue)
    while True:
        page = queue.jobs(status=status, kind=kind, limit=size, after=after)
        chosen = [
            (job, standing)
            for job, standing in zip(page.jobs, page.standings, strict=True)
            if status != "pending" or "pending" in statuses or standing in statuses
        ]
        workers = holders.of([job.id for job, now in chosen if now is Standing.RUNNING])
        yield [Listed(job, standing, workers.get(job.id)) for job, standing in chosen]
        after = page.after
        if after is None:
            return


class _Holders:
    """Finds out who holds the jobs of one listing, which has them in the order of the lists that
    they are in: each page goes on where the one before it ended.
    """

    def __init__(self, queue: RedisQueue) -> None:
        self._queue = queue
        self._after: Position | None = None

    def of(self, ids: Sequence[str]) -> dict[str, str]:
        """The workers of those that are still held, by the jobs' ids."""
        wanted, found = set(ids), dict[str, str]()
        after = self._after
        while len(found) < len(wanted):
            entries = self._queue.lines.run(partial(_held, self._queue.keys, after))
            for entry in entries:
                worker = entry.position[0]
                assert isinstance(worker, bytes)
                id, holder = names([entry.id, worker])
                if id in wanted:
                    found[id], self._after = holder, entry.position
            if len(entries) < _DELIVERIES:
                break
            after = entries[-1].position
        return found


def _held(keys: Keys, after: Position | None) -> Operation[list[Entry]]:
    return Held().next(keys, (), after, _DELIVERIES)
