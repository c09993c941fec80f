"""Waiting for what other processes do, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 120.0


def wait_for(
    what: str, found: Callable[[], bool], every_s: float = 0.005, patience_s: float = PATIENCE_S
) -> None:
    """Asks again and again, and gives up naming what it waited for."""
    deadline = time.monotonic() + patience_s
    while not found():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience_s:g} s in vain for {what}")
        time.sleep(every_s)
