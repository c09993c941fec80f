"""The storm's processes: workers under supervisors, workers alone, producers.

Signals go through pidfds, so that none ever reaches a process that is not the storm's. Linux only.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.chaos.setting import ROOT

if TYPE_CHECKING:
    from tests.chaos.setting import Setting

SUPERVISED = "supervised"
ALONE = "alone"
PRODUCER = "producer"
_WORKER = "tests.chaos.worker:make_worker"
# How long a process may take to end that was asked to: its jobs get less.
END_WITHIN_S = 30.0
STARTED_AGAIN_AFTER_S = 0.3
# A loaded machine takes its time to start an interpreter.
YOUNG_S = 10.0


@dataclass(frozen=True)
class Part:
    """One service of the system, as whoever runs it would describe it."""

    setting: Setting
    processes: int = 1

    @property
    def kind(self) -> str:
        """SUPERVISED, ALONE or PRODUCER."""
        return self.setting.role.partition("-")[0]

    def command(self) -> list[str]:
        """What starts it."""
        if self.kind == SUPERVISED:
            module = ["tests.chaos.supervised", "worker", _WORKER, "--log-level", "warning"]
            return [sys.executable, "-m", *module, "--processes", str(self.processes)]
        return [sys.executable, "-m", f"tests.chaos.{'worker' if self.kind == ALONE else PRODUCER}"]


class Running:
    """A process of one part, on a leash: it ends when the storm does."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.was_ended = False
        self._born_at = time.monotonic()
        with Path(part.setting.folder, f"{part.setting.role}.log").open("ab") as log:
            self._process = subprocess.Popen(
                part.command(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=part.setting.environment(),
                # A Ctrl-C reaches the storm alone; what is stopped gets a SIGHUP when that dies.
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """How it ended; None while it lives."""
        return self._process.poll()

    @property
    def excused(self) -> set[int]:
        """Codes with which it may end after a SIGTERM, besides 0: it was killed meanwhile, or it
        had not got to where it minds signals.
        """
        is_young = time.monotonic() - self._born_at < YOUNG_S
        return {-signal.SIGKILL, -signal.SIGTERM} if is_young else {-signal.SIGKILL}

    def workers(self) -> list[int]:
        """The pids of the processes that run its jobs, as far as they live."""
        if self.part.kind == SUPERVISED:
            return children_of(self.pid) if self.exit_code() is None else []
        return [self.pid] if self.exit_code() is None else []

    def send(self, number: signal.Signals) -> None:
        """Sends it a signal, if it lives."""
        self._process.send_signal(number)

    def end(self, number: signal.Signals) -> None:
        """Sends a signal that ends it: what it ends with then is no surprise."""
        self.was_ended = True
        self.send(number)

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within this time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.exit_code() is not None

    def let_go(self) -> None:
        """Closes the leash of one that has ended."""
        if self._process.stdin is not None:
            self._process.stdin.close()


def children_of(pid: int) -> list[int]:
    """The pids of a process's children."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(word) for word in words]
    return []


class Handle:
    """A hold on one process: what is sent through it never reaches another that has its pid.

    Raises:
        ProcessLookupError: it is no child of `parent`, nor that process itself.
    """

    def __init__(self, pid: int, parent: int) -> None:
        self.pid = pid
        self._file = os.pidfd_open(pid)
        # Asked once the handle is held: until now the pid may have become another's.
        if pid != parent and pid not in children_of(parent):
            os.close(self._file)
            raise ProcessLookupError(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def send(self, number: signal.Signals) -> bool:
        """Sends a signal; False: it has ended."""
        try:
            signal.pidfd_send_signal(self._file, number)
        except ProcessLookupError:
            return False
        return True


def end_all_of(folder: str) -> list[str]:
    """Kills every process that was told to write to this folder. Returns what they were."""
    found, mark = [], json.dumps(folder).encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(int(path.name))
            try:
                if mark in (path / "environ").read_bytes():
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    words = (path / "cmdline").read_bytes().split(b"\0")
                    found.append(b" ".join(words).decode().strip())
            finally:
                os.close(handle)
    return found


class Fleet:
    """All parts, each with the process that runs it; one that dies is followed by another, as an
    init system would see to.

    Attributes:
        complaints: processes that ended by themselves, or did not end when they were asked to.
    """

    def __init__(self, parts: list[Part]) -> None:
        self._lock = threading.Lock()
        self._running = {part: Running(part) for part in parts}
        self._died_at: dict[Part, float] = {}
        self._leaving: list[Running] = []
        self.complaints: list[str] = []

    @property
    def parts(self) -> list[Part]:
        """What it is made of."""
        return list(self._running)

    def of(self, *kinds: str) -> list[Running]:
        """Those of these kinds that live."""
        with self._lock:
            return [
                one
                for part, one in self._running.items()
                if part.kind in kinds and one.exit_code() is None
            ]

    def keep(self) -> None:
        """Starts what has died again. To be called now and then."""
        with self._lock:
            for part, one in list(self._running.items()):
                code = one.exit_code()
                if code is None:
                    continue
                died_at = self._died_at.setdefault(part, time.monotonic())
                if time.monotonic() - died_at >= STARTED_AGAIN_AFTER_S:
                    self._bury(one, code)
                    del self._died_at[part]
                    self._running[part] = Running(part)
            for one in list(self._leaving):
                if (code := one.exit_code()) is not None:
                    self._leaving.remove(one)
                    self._bury(one, code)

    def _bury(self, one: Running, code: int) -> None:
        one.let_go()
        # A worker may be killed by a poison job; nothing else ends by itself.
        if not one.was_ended and not (one.part.kind == ALONE and code == -signal.SIGKILL):
            self.complaints.append(f"{one.part.setting.role} ended by itself with code {code}")

    def replace(self, one: Running) -> None:
        """A rolling deploy: asks it to end, while its successor starts."""
        with self._lock:
            if self._running.get(one.part) is not one or one.exit_code() is not None:
                return
            one.end(signal.SIGTERM)
            self._leaving.append(one)
            self._running[one.part] = Running(one.part)

    def stop(self, *kinds: str) -> None:
        """Asks those of these kinds to end, and waits until they have."""
        with self._lock:
            stopped = [one for part, one in self._running.items() if part.kind in kinds]
            stopped += [one for one in self._leaving if one.part.kind in kinds]
            self._leaving = [one for one in self._leaving if one not in stopped]
            for one in stopped:
                self._running.pop(one.part, None)
        for one in stopped:
            if not one.was_ended:  # a second signal would end it at once
                one.end(signal.SIGTERM)
        deadline = time.monotonic() + END_WITHIN_S
        for one in stopped:
            if not one.wait(max(0.0, deadline - time.monotonic())):
                self.complaints.append(f"{one.part.setting.role} has not ended after a SIGTERM")
            elif (code := one.exit_code()) and code not in one.excused:
                self.complaints.append(f"{one.part.setting.role} ended with code {code}")
            one.let_go()

    def kill(self) -> None:
        """Ends all, at once."""
        with self._lock:
            left = [*self._running.values(), *self._leaving]
            self._running, self._leaving = {}, []
        for one in left:
            one.end(signal.SIGKILL)
        for one in left:
            one.wait(END_WITHIN_S)
            one.let_go()
