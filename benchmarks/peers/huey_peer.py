# mypy: disable-error-code="import-not-found, untyped-decorator"
"""Huey: it has no acknowledgement, a crash loses what runs."""

from __future__ import annotations

from huey import RedisHuey

from benchmarks.peers.common import as_datetime, handle, url

huey = RedisHuey("peer", url=url(), results=False)


@huey.task()
def noop(payload: str) -> None:
    """The handler."""
    handle(payload)


def one(payload: str) -> None:
    """One job."""
    noop(payload)


def later(payload: str, due: float) -> None:
    """One job, for a moment in seconds since the epoch; the consumer looks each second."""
    noop.schedule((payload,), eta=as_datetime(due))
