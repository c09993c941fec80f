"""When handlers started: the workers write it down, in files that outlast a SIGKILL."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from redisjobs.context import Context
from redisjobs.job import Job

PREFIX = "journal-"


class Start(NamedTuple):
    """A handler began to run a delivery. `at`: in seconds of the machine's monotonic clock, which
    all its processes share.
    """

    id: str
    token: int
    at: float


class Journal:
    """The starts in one worker process. Threads may share it."""

    def __init__(self, directory: Path) -> None:
        path = directory / f"{PREFIX}{os.getpid()}"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def started(self, ctx: Context, job: Job) -> None:
        """Writes a start down. What is written is the kernel's, and so outlasts this process."""
        os.write(self._file, f"{job.id}\t{ctx.token}\t{time.monotonic()!r}\n".encode())


def read_starts(directory: Path) -> Iterator[Start]:
    """All starts that workers wrote down, in no order that matters."""
    for path in directory.glob(f"{PREFIX}*"):
        yield from parse_starts(path.read_text().splitlines(keepends=True))


def parse_starts(lines: Iterable[str]) -> Iterator[Start]:
    """The starts that these lines tell. One without an end was cut short by a kill."""
    for line in lines:
        if line.endswith("\n"):
            id, token, at = line.rstrip("\n").split("\t")
            yield Start(id, int(token), float(at))
