"""Runs commands on a queue of the test's own, in a pipe and on a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from redisjobs import RedisQueue
from redisjobs.cli.root import commands

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from redisjobs.embedded import EmbeddedServer

PROJECT = Path(__file__).parents[2]
ENDS_WITHIN_S = 60
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
FAR = 9e15  # a lease that no test outlives


class Terminal(NamedTuple):
    """What a command wrote to a terminal, without colours and the like, and its exit code."""

    output: str
    exit_code: int

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.output.splitlines()]


class Run:
    """Runs a command on the test's queue."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self.environ = {"REDISJOBS_URL": url, "REDISJOBS_QUEUE": name}

    def __call__(self, *arguments: str, typed: bytes | None = None) -> Result:
        return CliRunner().invoke(
            commands, arguments, prog_name="redisjobs", env=self.environ, input=typed
        )

    def json(self, *arguments: str) -> Any:
        """What a command that succeeds writes with --json."""
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def json_lines(self, *arguments: str, exit_code: int = 0) -> list[Any]:
        result = self(*arguments, "--json")
        assert result.exit_code == exit_code, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def on_a_terminal(self, *arguments: str, width: int = 80, typed: str = "") -> Terminal:
        """What somebody sees on a terminal of this width who types this."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        environ = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        process = subprocess.Popen(
            [sys.executable, "-m", "redisjobs", *arguments],
            env=environ | self.environ | {"PYTHONPATH": str(PROJECT), "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        os.write(ours, typed.encode())
        written = b""
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:
            pass  # so a terminal ends on Linux
        os.close(ours)
        seen = CONTROL.sub("", written.decode())
        return Terminal(seen, process.wait(ENDS_WITHIN_S))


@pytest.fixture
def run(redis_server: EmbeddedServer, queue_name: str) -> Run:
    return Run(redis_server.url, queue_name)


@pytest.fixture
def queue(redis_server: EmbeddedServer, queue_name: str) -> Iterator[RedisQueue]:
    queue = RedisQueue.from_url(redis_server.url, queue_name)
    yield queue
    queue.close()


class Enter:
    """Enters workers that do nothing."""

    def __init__(self, client: redis.Redis, queue: RedisQueue) -> None:
        self._client = client
        self._queue = queue

    def __call__(
        self, worker: str, *kinds: str, host: str = "shop-1", lapses: float = FAR, **more: Any
    ) -> None:
        told = {"host": host, "pid": 42, "kinds": kinds, "concurrency": 10} | more
        self._client.hset(self._queue.keys.worker_info, worker, json.dumps(told))
        self._client.zadd(self._queue.keys.workers, {worker: lapses})

    def holding(self, worker: str, *ids: str, kind: str) -> None:
        """Has a worker hold these jobs, which wait."""
        for token, id in enumerate(ids, 1):
            self._client.zrem(self._queue.keys.due(kind), id)
            self._client.rpush(self._queue.keys.processing(worker), f"{token}:{id}")


@pytest.fixture
def enter(client: redis.Redis, queue: RedisQueue) -> Enter:
    return Enter(client, queue)
