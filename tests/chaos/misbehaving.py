"""A worker in a process of its own whose handlers do what handlers should not.

`python -m tests.chaos.misbehaving URL QUEUE SETTINGS` runs it until it is stopped.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from redisjobs import RedisQueue
from redisjobs.worker import Worker

if TYPE_CHECKING:
    from redisjobs.context import Context
    from redisjobs.job import Job


ROOT = Path(__file__).resolve().parents[2]
ENDS_WITHIN_S = 20.0
DEADLY = b"deadly"
LASTING = b"lasting"


class Misbehaving:
    """The process. `close` ends it, whatever it does. `settings` are the worker's, and `burst`."""

    def __init__(self, url: str, queue_name: str, **settings: Any) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__, url, queue_name, json.dumps(settings)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=self._log,
        )

    @property
    def log(self) -> str:
        """What it has logged."""
        self._log.seek(0)
        return self._log.read().decode()

    def stop(self) -> int:
        """Asks it to end. Its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(ENDS_WITHIN_S)

    def close(self) -> None:
        """After the test."""
        self.process.kill()
        self.process.wait()
        self._log.close()


def nap(ctx: Context, job: Job) -> bytes:
    """Takes so many seconds, unless it is cancelled; or it is one that nobody survives. Returns its
    token.
    """
    if job.payload == DEADLY:
        poison(ctx, job)
    ctx.wait_cancelled(float(job.payload))
    ctx.raise_if_cancelled()
    return b"%d" % ctx.token


def poison(ctx: Context, job: Job) -> None:
    """Kills the process."""
    os.kill(os.getpid(), signal.SIGKILL)


def hog(ctx: Context, job: Job) -> None:
    """Holds the interpreter for so many seconds at least: no other thread runs meanwhile."""
    until = time.monotonic() + float(job.payload)
    size = 1_000_000
    before = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    try:
        while time.monotonic() < until:
            sum(range(size))
    finally:
        sys.setswitchinterval(before)


def leak(ctx: Context, job: Job) -> None:
    """Starts threads that never end. Python waits for them at its end if they are to be lasting."""
    for _ in range(20):
        threading.Thread(target=threading.Event().wait, daemon=job.payload != LASTING).start()


def echo(ctx: Context, job: Job) -> bytes:
    """Returns as much as it was given, in memory of its own."""
    ctx.wait_cancelled(0.02)
    return job.payload[::-1]


HANDLERS = {"nap": nap, "poison": poison, "hog": hog, "leak": leak, "echo": echo}


def main(url: str, queue_name: str, settings: str) -> None:
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    queue = RedisQueue.from_url(url, queue_name)
    given = json.loads(settings)
    burst = given.pop("burst", False)
    Worker(queue, HANDLERS, **given).run(burst=burst)


if __name__ == "__main__":
    main(*sys.argv[1:])
