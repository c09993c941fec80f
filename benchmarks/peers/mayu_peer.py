# mypy: disable-error-code="import-not-found, untyped-decorator"
"""mayu: a Rust core, at-least-once."""

from __future__ import annotations

from mayu import App

from benchmarks.peers.common import handle, url

app = App(broker=url())


@app.task
def noop(payload: str) -> None:
    """The handler."""
    handle(payload)


def one(payload: str) -> None:
    """One job."""
    noop.delay(payload)
