"""The worker that `benchmarks/recovery.py` starts and kills: it journals when each run began."""

from __future__ import annotations

import os
import time
from pathlib import Path

from redisjobs import Context, Job, RedisQueue, Worker

queue = RedisQueue.from_url(os.environ["REDISJOBS_URL"], "recovery", retention=0)
journal = os.open(Path(os.environ["RECOVERY_JOURNAL"]), os.O_WRONLY | os.O_APPEND)


def wait(_: Context, job: Job) -> None:
    """Notes when it began, by the clock that all processes of a machine share, then waits 50 ms."""
    os.write(journal, f"{job.id} {time.monotonic()}\n".encode())
    time.sleep(0.05)


worker = Worker(queue, {"wait": wait}, lease=float(os.environ["RECOVERY_LEASE"]))

if __name__ == "__main__":
    worker.run()
