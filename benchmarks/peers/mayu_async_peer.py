# mypy: disable-error-code="import-not-found, untyped-decorator"
"""mayu with an `async def` handler."""

from __future__ import annotations

from mayu import App

from benchmarks.peers.common import handle_async, url

app = App(broker=url())


@app.task
async def noop(payload: str) -> None:
    """The handler."""
    await handle_async(payload)


def one(payload: str) -> None:
    """One job."""
    noop.delay(payload)
