"""Threads that are handed records and run them, with nothing around it: the hop that every handler
of ours has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

from benchmarks.floor import (
    CLAIM,
    ENQUEUE,
    KEYS,
    SETTLE,
    Calls,
    Command,
    Raw,
    evalsha,
    leave,
    load,
    moved,
    with_records,
)
from benchmarks.servers import Served


class BareThreads:
    """So many, each of which calls `handle` with one record at a time."""

    def __init__(self, number: int, handle: Callable[[bytes], object]) -> None:
        self._handle = handle
        self._records = SimpleQueue[bytes | None]()
        self._ended = SimpleQueue[None]()
        self._threads = [
            threading.Thread(target=self._keep_running, daemon=True) for _ in range(number)
        ]
        for thread in self._threads:
            thread.start()

    def _keep_running(self) -> None:
        while (record := self._records.get()) is not None:
            self._handle(record)
            self._ended.put(None)

    def run(self, records: Sequence[bytes]) -> None:
        """Returns when all have run."""
        for record in records:
            self._records.put(record)
        for _ in records:
            self._ended.get()

    def close(self) -> None:
        """Ends them."""
        for _ in self._threads:
            self._records.put(None)


def scripts_and_threads(served: Served, jobs: int, batch: int) -> dict[str, float]:
    """As `floor.scripts`; what a call claimed is run by as many threads before it is settled. All
    of them wait for the last: to compare with, and no limit.
    """
    raw = Raw(served.url)
    load(raw, ENQUEUE, CLAIM, SETTLE)
    threads = BareThreads(batch, lambda _: None)

    def settle(ids: Sequence[bytes]) -> Command:
        threads.run(ids)
        return evalsha(SETTLE, KEYS, *ids)

    calls = Calls(
        enqueue=lambda ids: evalsha(ENQUEUE, KEYS, *with_records(ids)),
        claim=lambda: evalsha(CLAIM, KEYS, batch),
        settle=settle,
    )
    row = moved(raw, served, calls, jobs, batch)
    leave(raw, served)
    threads.close()
    return row
