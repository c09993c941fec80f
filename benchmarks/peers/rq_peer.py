# mypy: disable-error-code="import-not-found, untyped-decorator"
"""RQ: without a fork for each job, no results kept."""

from __future__ import annotations

from redis import Redis
from rq import Queue

from benchmarks.peers.common import as_datetime, handle, url

queue = Queue(connection=Redis.from_url(url()))


def noop(payload: str) -> None:
    """The handler."""
    handle(payload)


def one(payload: str) -> None:
    """One job."""
    queue.enqueue(noop, payload, result_ttl=0)


def many(number: int, payload: str) -> None:
    """So many at once."""
    queue.enqueue_many([Queue.prepare_data(noop, (payload,), result_ttl=0) for _ in range(number)])


def later(payload: str, due: float) -> None:
    """One job, for a moment in seconds since the epoch; kept in whole seconds, cut off."""
    queue.enqueue_at(as_datetime(due), noop, payload, result_ttl=0)
