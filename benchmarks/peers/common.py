"""What the peers' modules share; the standard library only."""

from __future__ import annotations

import os
import time

from benchmarks.journal import note, ran

PAYLOAD = "x" * 105
STAMP_WIDTH = 20


def url() -> str:
    """The server that is measured."""
    return os.environ["BENCHMARK_URL"]


def stamped(moment: float) -> str:
    """A payload that begins with a moment, in seconds."""
    return f"{moment:<{STAMP_WIDTH}.7f}".ljust(len(PAYLOAD), "x")


def handle(payload: str) -> None:
    """What every peer's handler does: nothing but being counted, or noting how long ago the job was
    sent, if it says when.
    """
    if payload[0] == "x":
        ran()
    else:
        note(time.monotonic() - float(payload[:STAMP_WIDTH]))
