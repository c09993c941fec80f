"""What producers, handlers and the storm itself write down, outside the Redis under test.

Append-only files, one for each process, one line for each event. A line is the kernel's as soon as
it is written, so it outlasts a SIGKILL of its writer. Times are of the machine's monotonic clock,
which all its processes share.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Run(NamedTuple):
    """A handler began to run a delivery."""

    id: str
    token: int
    kind: str
    attempt: int
    losses: int
    worker: str
    pid: int
    role: str
    at: float


class End(NamedTuple):
    """A run ended: done, retry, failed, panic or cancelled. `after_ms`: the delay of a retry."""

    outcome: str
    after_ms: int
    at: float


class Asked(NamedTuple):
    """A job that a producer asked to have stored, in which of its calls."""

    id: str
    kind: str
    delay_ms: int
    call: str
    at: float


class Fault(NamedTuple):
    """What was done to the system, from when to when, and to which process (0: to none of ours)."""

    kind: str
    began: float
    ended: float
    pid: int


@dataclass
class Journals:
    """All that was written down.

    Attributes:
        asked: by id; an id is asked for once as a new one.
        calls: the ids of each call of enqueue.
        answers: by call: ok, exists, failed. A call without one was cut short.
        cancels: by id: True, False, or None where it could not be told.
    """

    runs: list[Run] = field(default_factory=list)
    ends: dict[tuple[str, int], End] = field(default_factory=dict)
    asked: dict[str, Asked] = field(default_factory=dict)
    calls: dict[str, list[str]] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    cancels: dict[str, bool | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class Journal:
    """One process's. Threads may share it."""

    def __init__(self, folder: Path, role: str) -> None:
        path = folder / f"{role}.{os.getpid()}.journal"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, *fields: object) -> None:
        """One event: its letter, and what belongs to it."""
        os.write(self._file, ("\t".join(map(str, fields)) + "\n").encode())

    def began(self, id: str, token: int, kind: str, attempt: int, losses: int, worker: str) -> None:
        """A run begins."""
        self.write("run", id, token, kind, attempt, losses, worker, time.monotonic())

    def ended(self, id: str, token: int, outcome: str, after_ms: int = 0) -> None:
        """A run has ended so."""
        self.write("end", id, token, outcome, after_ms, time.monotonic())

    def asks(self, call: str, jobs: list[tuple[str, str, int]]) -> None:
        """A producer is about to ask for these jobs: id, kind and delay of each."""
        words = ",".join(f"{id}:{kind}:{delay_ms}" for id, kind, delay_ms in jobs)
        self.write("ask", call, time.monotonic(), words)

    def answered(self, call: str, answer: str) -> None:
        """It has its answer."""
        self.write("answer", call, answer)

    def cancelled(self, id: str, answer: bool | None) -> None:
        """A call of cancel was answered so; None: nobody knows."""
        self.write("cancel", id, {True: "yes", False: "no", None: "unknown"}[answer])

    def fault(self, fault: Fault) -> None:
        """Something was done to the system."""
        self.write("fault", *fault)


def read_journals(folder: Path) -> Journals:
    """All that the processes of a storm wrote down."""
    read = Journals()
    for path in sorted(folder.glob("*.journal")):
        role, pid, _ = path.name.split(".")
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):  # else its writer was killed in mid-line
                _read_line(read, role, int(pid), line[:-1].split("\t"))
    read.runs.sort(key=lambda run: run.token)
    return read


def _read_line(read: Journals, role: str, pid: int, fields: list[str]) -> None:
    match fields:
        case ["run", id, token, kind, attempt, losses, worker, at]:
            read.runs.append(
                Run(
                    id, int(token), kind, int(attempt), int(losses), worker, pid, role, float(at)
                )
            )  # fmt: skip
        case ["end", id, token, outcome, after_ms, at]:
            read.ends[id, int(token)] = End(outcome, int(after_ms), float(at))
        case ["ask", call, at, words]:
            ids = read.calls[call] = []
            for word in words.split(","):
                id, kind, delay_ms = word.split(":")
                ids.append(id)
                # An id that is asked for again is there already: the first call is the one.
                read.asked.setdefault(id, Asked(id, kind, int(delay_ms), call, float(at)))
        case ["answer", call, answer]:
            read.answers[call] = answer
        case ["cancel", id, answer]:
            read.cancels[id] = {"yes": True, "no": False}.get(answer)
        case ["fault", kind, began, ended, whose]:
            read.faults.append(Fault(kind, float(began), float(ended), int(whose)))
        case _:
            raise ValueError(f"no event of a journal: {fields}")
