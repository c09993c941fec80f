"""What the peers' modules share; the standard library only."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime

from benchmarks.journal import note, ran

PAYLOAD = "x" * 105
STAMP_WIDTH = 20


def url() -> str:
    """The server that is measured."""
    return os.environ["BENCHMARK_URL"]


def stamped(moment: float) -> str:
    """A payload that begins with a moment, in seconds."""
    return f"{moment:<{STAMP_WIDTH}.7f}".ljust(len(PAYLOAD), "x")


def as_datetime(moment: float) -> datetime:
    """Seconds since the epoch, as most peers take the moment when a job is due."""
    return datetime.fromtimestamp(moment, UTC)


def at_once() -> int:
    """How many handlers are to run at once in a process."""
    return int(os.environ["BENCHMARK_AT_ONCE"])


def _count(payload: str) -> None:
    """Nothing but being counted, or noting how long ago the job was sent, if it says when."""
    if payload[0] == "x":
        ran()
    else:
        note(time.monotonic() - float(payload[:STAMP_WIDTH]))


def _compute(_: str) -> None:
    """1 ms of this thread's processor time."""
    end = time.thread_time() + 0.001
    while time.thread_time() < end:
        pass
    ran()


def _wait(_: str) -> None:
    """5 ms of nothing."""
    time.sleep(0.005)
    ran()


def _late(payload: str) -> None:
    """Nothing but being counted, or noting how late the job is if it says when it was due, in
    seconds by the wall clock; the server is on this machine and has its clock.
    """
    now = time.time()
    if payload[0] == "x":
        ran()
    else:
        note(now - float(payload[:STAMP_WIDTH]))


# What every peer's handler does.
handle = {"": _count, "cpu": _compute, "wait": _wait, "late": _late}[
    os.environ.get("BENCHMARK_WORK", "")
]


async def handle_async(payload: str) -> None:
    """The same in a coroutine."""
    if handle is _wait:
        await asyncio.sleep(0.005)
        ran()
    else:
        handle(payload)
