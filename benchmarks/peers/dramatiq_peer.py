# mypy: disable-error-code="import-not-found, untyped-decorator"
"""Dramatiq: threads, acknowledged; no results."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.common import handle, url

dramatiq.set_broker(RedisBroker(url=url()))


@dramatiq.actor
def noop(payload: str) -> None:
    """The handler."""
    handle(payload)


def one(payload: str) -> None:
    """One job."""
    noop.send(payload)
