# mypy: disable-error-code="import-not-found, untyped-decorator"
"""Celery: late acknowledgement, so that a crash loses nothing; no results."""

from __future__ import annotations

from celery import Celery

from benchmarks.peers.common import as_datetime, handle, url

app = Celery("peer", broker=url())
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=100,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)


@app.task
def noop(payload: str) -> None:
    """The handler."""
    handle(payload)


def one(payload: str) -> None:
    """One job."""
    noop.delay(payload)


def later(payload: str, due: float) -> None:
    """One job, for a moment in seconds since the epoch."""
    noop.apply_async((payload,), eta=as_datetime(due))
