"""A handler without a queue: as many threads or tasks as there are slots, each of which calls it
again and again. What this uses is the handler's own, with its falling asleep and waking up.

    python -m benchmarks.bare_slots wait 4000 10
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast

from benchmarks.processes import ROOT
from benchmarks.worker_process import HANDLERS
from redisjobs import Context, Job


class Bare(NamedTuple):
    """What so many calls took."""

    calls: int
    seconds: float
    cpu_s: float


def measured(handler: str, jobs: int, slots: int) -> Bare:
    """In a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bare_slots", handler, str(jobs), str(slots)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return Bare(**json.loads(ran.stdout))


def _on_threads(call: Callable[[], object], times: int, slots: int) -> None:
    def again() -> None:
        for _ in range(times):
            call()

    threads = [threading.Thread(target=again) for _ in range(slots)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def _on_tasks(call: Callable[[], Awaitable[object]], times: int, slots: int) -> None:
    async def again() -> None:
        for _ in range(times):
            await call()

    await asyncio.gather(*(again() for _ in range(slots)))


def main() -> None:
    """Prints what it took."""
    handler, times, slots = sys.argv[1], int(sys.argv[2]) // int(sys.argv[3]), int(sys.argv[3])
    fn, ctx, job = HANDLERS[handler], Context.background(), Job("noop", b"")

    def call() -> Any:
        return fn(ctx, job)

    began, used = time.monotonic(), time.process_time()
    if asyncio.iscoroutinefunction(fn):
        asyncio.run(_on_tasks(cast("Callable[[], Awaitable[object]]", call), times, slots))
    else:
        _on_threads(call, times, slots)
    took = Bare(times * slots, time.monotonic() - began, time.process_time() - used)
    print(json.dumps(took._asdict()))


if __name__ == "__main__":
    main()
