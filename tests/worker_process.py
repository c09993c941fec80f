"""A worker in a process of its own, for tests that stop, pause or kill it; and what runs in it.

`python -m tests.worker_process URL QUEUE SETTINGS` runs a worker until it is stopped. Its handlers
speak to the test over lists in Redis, beside the queue's keys.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import redis

from redisjobs import RedisQueue
from redisjobs.worker import Worker
from tests.waiting import wait_until

if TYPE_CHECKING:
    from redisjobs.context import Context
    from redisjobs.job import Job

ROOT = Path(__file__).parent.parent
WAIT_S = 20


class Wire:
    """The lists over which handlers and the test speak."""

    def __init__(self, client: redis.Redis, queue_name: str) -> None:
        self._client: Any = client
        self._prefix = f"wire:{{{queue_name}}}:"

    def send(self, what: str, word: str) -> None:
        """Say something; forgotten after a minute."""
        self._client.rpush(self._prefix + what, word)
        self._client.expire(self._prefix + what, 60)

    def receive(self, what: str, timeout: int = WAIT_S) -> str:
        """The next word, in its order."""
        popped = self._client.blpop(self._prefix + what, timeout)
        assert popped is not None, f"awaited for {timeout} s in vain: a word of {what!r}"
        word: str = popped[1].decode()
        return word


class Handlers:
    """What the worker in the process runs."""

    def __init__(self, client: redis.Redis, queue_name: str) -> None:
        self._wire = Wire(client, queue_name)

    def block(self, ctx: Context, job: Job) -> bytes:
        """Tells that it has begun, and ends when it is told to."""
        self._wire.send("began", job.id)
        self._wire.receive(f"go {job.id}")
        return b"through"

    def listen(self, ctx: Context, job: Job) -> bytes:
        """Tells that it has begun, and why it was cancelled."""
        self._wire.send("began", job.id)
        ctx.wait_cancelled(WAIT_S)
        self._wire.send("heard", str(ctx.cancel_reason))
        return b"late"

    def poison(self, ctx: Context, job: Job) -> None:
        """Kills the process."""
        self._wire.send("poisoned", job.id)
        os.kill(os.getpid(), signal.SIGKILL)

    def quick(self, ctx: Context, job: Job) -> bytes:
        """Tells that it ran."""
        self._wire.send("ran", job.id)
        return b"quick"


class WorkerProcess:
    """The process. `close` ends it, whatever it does."""

    def __init__(self, url: str, queue_name: str, **settings: Any) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.worker_process", url, queue_name, json.dumps(settings)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=self._log,
        )

    @property
    def log(self) -> str:
        """What it has logged."""
        self._log.seek(0)
        return self._log.read().decode()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, timeout: float = WAIT_S) -> int:
        """Its exit code, when it has ended."""
        wait_until(lambda: self.process.poll() is not None, "the worker's process ends", timeout)
        return self.process.returncode

    def close(self) -> None:
        """End it and give its log back."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._log.close()


def main(url: str, queue_name: str, settings: str) -> None:
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    client = redis.Redis.from_url(url, socket_timeout=None)
    handlers = Handlers(client, queue_name)
    queue = RedisQueue.from_url(url, queue_name)
    kinds = ("block", "listen", "poison", "quick")
    functions = {kind: getattr(handlers, kind) for kind in kinds}
    Worker(queue, functions, **json.loads(settings)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
