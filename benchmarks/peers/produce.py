"""Enqueues with a peer's own API, in the peer's environment.

    python -m benchmarks.peers.produce PEER many|one|stamped NUMBER
    python -m benchmarks.peers.produce PEER later NUMBER LEAD SPREAD

`many`: as fast as it can, in bulk where it has such a call. `one`: one call a job. `stamped`: one
by one with pauses, each job with the moment in its payload. `later`: one job at once, as a warm-up,
then one by one such that are due later, each with its moment by the wall clock in its payload: the
first LEAD seconds from the warm-up's end, the others spread evenly over SPREAD seconds. It fails if
the first was due before all were enqueued. Prints how many a second.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import math
import random
import sys
import time
from typing import Any

from benchmarks.peers.common import PAYLOAD, stamped

_CHUNK = 1000


def _pause() -> float:
    return random.uniform(0.005, 0.015)


def _due(number: int) -> list[float]:
    """When so many jobs are due, in seconds since the epoch; whole milliseconds, which most peers
    keep: else a fraction of one would seem early.
    """
    lead, spread = map(float, sys.argv[4:6])
    first = math.ceil((time.time() + lead) * 1000)
    return [(first + round(spread * 1000 * place / number)) / 1000 for place in range(number)]


def _check_in_time(first: float) -> None:
    late = time.time() - first
    if late >= 0:
        raise SystemExit(f"enqueueing took {late:.3f} s longer than the lead of {sys.argv[4]} s")


def _later(peer: Any, number: int) -> None:
    peer.one(PAYLOAD)
    due = _due(number)
    for moment in due:
        peer.later(stamped(moment), moment)
    _check_in_time(due[0])


async def _later_async(peer: Any, number: int) -> None:
    await peer.one(PAYLOAD)
    due = _due(number)
    for moment in due:
        await peer.later(stamped(moment), moment)
    _check_in_time(due[0])


def _produce(peer: Any, how: str, number: int) -> None:
    if how == "many" and hasattr(peer, "many"):
        for first in range(0, number, _CHUNK):
            peer.many(min(_CHUNK, number - first), PAYLOAD)
    elif how == "stamped":
        for _ in range(number):
            peer.one(stamped(time.monotonic()))
            time.sleep(_pause())
    elif how == "later":
        _later(peer, number)
    else:
        for _ in range(number):
            peer.one(PAYLOAD)


async def _produce_async(peer: Any, how: str, number: int) -> float:
    async with peer.opened():
        began = time.monotonic()
        if how == "many" and hasattr(peer, "many"):
            for first in range(0, number, _CHUNK):
                await peer.many(min(_CHUNK, number - first), PAYLOAD)
        elif how == "many":
            # No bulk call: some at a time, as a service under load would.
            for first in range(0, number, 50):
                await asyncio.gather(*(peer.one(PAYLOAD) for _ in range(min(50, number - first))))
        elif how == "stamped":
            for _ in range(number):
                await peer.one(stamped(time.monotonic()))
                await asyncio.sleep(_pause())
        elif how == "later":
            await _later_async(peer, number)
        else:
            for _ in range(number):
                await peer.one(PAYLOAD)
        return time.monotonic() - began


def main() -> None:
    """Prints the rate."""
    name, how, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    peer = importlib.import_module(f"benchmarks.peers.{name}_peer")
    if inspect.iscoroutinefunction(peer.one):
        seconds = asyncio.run(_produce_async(peer, how, number))
    else:
        began = time.monotonic()
        _produce(peer, how, number)
        seconds = time.monotonic() - began
    print(number / seconds, flush=True)


if __name__ == "__main__":
    main()
