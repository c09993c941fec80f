"""`redisjobs worker` in a process of its own, over a module that a test writes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.waiting import POLL_S, Deadline

PROJECT = Path(__file__).parents[1]

# Handlers tell the test by lists in Redis that they have begun, and wait for it the same way.
MODULE = """
import os, redis
from redisjobs import RedisQueue, Worker

url, name = os.environ["REDISJOBS_URL"], os.environ["QUEUE"]
queue = RedisQueue.from_url(url, name)
client = redis.Redis.from_url(url, socket_timeout=None)

def told(what):
    return f"redisjobs:{{{name}}}:test-{what}"

def hold(ctx, job):
    client.rpush(told("began"), f"{job.id} {os.getpid()} {ctx.losses}")
    client.blpop([told(f"go-{job.id}")])

def count(ctx, job):
    client.incr(told("count"))

# No lease lapses while a test runs, so what runs again was taken back by the supervisor's word.
worker = Worker(queue, {"hold": hold, "count": count}, concurrency=2, lease=120.0, prefetch=0)
"""


class Supervised:
    """A supervisor and its children. All of them write to one pipe, whose end is the end of all.

    Args:
        folder: where `shop.py` is, the module to run, and where it is run.
        arguments: of `redisjobs worker`.
        environ: what the environment has besides.
    """

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "redisjobs", "worker", *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(PROJECT)} | environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.output = ""
        self._changed = threading.Condition()
        self._all_ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.output += line.decode(errors="replace")
                self._changed.notify_all()
        with self._changed:
            self._all_ended = True
            self._changed.notify_all()

    def line(self, pattern: str, deadline: Deadline, *, count: int = 1) -> re.Match[str]:
        """The match in the first line that has this pattern, or in the `count`th, once it is
        written.
        """
        found: list[re.Match[str]] = []

        def is_there() -> bool:
            found[:] = re.finditer(pattern, self.output)
            return len(found) >= count or self._all_ended

        with self._changed:
            self._changed.wait_for(is_there, deadline.left_s)
        if len(found) < count:
            raise AssertionError(f"awaited in vain: {pattern!r}, {count} times;\n{self.output}")
        return found[count - 1]

    @property
    def children(self) -> list[int]:
        """The pids of all processes that were started until now."""
        return [int(pid) for pid in re.findall(r"started worker process (\d+)", self.output)]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Sends the supervisor a signal."""
        self.process.send_signal(number)

    def exit_code(self, deadline: Deadline) -> int:
        """The supervisor's exit code, once all processes have ended."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._all_ended, deadline.left_s):
                raise AssertionError(f"not all processes have ended; output:\n{self.output}")
        code = self.process.wait(deadline.left_s + POLL_S)
        self._close()
        return code

    def _close(self) -> None:
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def end(self) -> None:
        """After the test: ends what is left, and waits for it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        deadline = time.monotonic() + 5.0
        for pid in self.children:
            if not self._all_ended:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._reader.join(max(0.0, deadline - time.monotonic()))
        if self.process.stdout is not None and self._all_ended:
            self.process.stdout.close()
