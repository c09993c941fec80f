# mypy: disable-error-code="import-not-found, untyped-decorator"
"""mayu: a Rust core, at-least-once."""

from __future__ import annotations

from mayu import App

from benchmarks.peers.common import as_datetime, handle, url

app = App(broker=url())


@app.task
def noop(payload: str) -> None:
    """The handler."""
    handle(payload)


def one(payload: str) -> None:
    """One job."""
    noop.delay(payload)


def later(payload: str, due: float) -> None:
    """One job, for a moment in seconds since the epoch; kept in whole milliseconds."""
    noop.send(payload, eta=as_datetime(due))
