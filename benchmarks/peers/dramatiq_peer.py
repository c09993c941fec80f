# mypy: disable-error-code="import-not-found, untyped-decorator"
"""Dramatiq: threads, acknowledged; no results."""

from __future__ import annotations

import time

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


def later(payload: str, due: float) -> None:
    """One job, for a moment in seconds since the epoch; it takes the milliseconds until then, and
    adds them to its own whole milliseconds.
    """
    noop.send_with_options(args=(payload,), delay=round(due * 1000) - int(time.time() * 1000))
