"""A worker's process, as its supervisor has it."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from redisjobs.supervisor.protocol import Birth, Report, birth_line, read_report

CHILD_MODULE = "redisjobs.supervisor.child"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What each process is to run, and how.

    Attributes:
        target: `MODULE:WORKER`.
        settings: by the names that `Worker` gives them; what is not here is left to the worker.
        burst: whether to end when nothing is due.
        log_level: of the process's log, e.g. "info".
    """

    target: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    burst: bool = False
    log_level: str = "info"

    def arguments(self, lifeline: int) -> list[str]:
        """The command line of a child, whose end of the pair is this file descriptor."""
        arguments = [sys.executable, "-m", CHILD_MODULE, self.target]
        arguments += ["--lifeline", str(lifeline), "--log-level", self.log_level]
        if self.settings:
            arguments += ["--settings", json.dumps(dict(self.settings))]
        if self.burst:
            arguments.append("--burst")
        return arguments


class WorkerProcess:
    """A fresh interpreter in a session of its own, where a Ctrl-C at the terminal does not reach
    it.

    It has the supervisor's output, no input, and nothing else that is open here.

    Args:
        born_at: the supervisor's time.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, options: WorkerOptions, birth: Birth, born_at: float) -> None:
        self.spawn = birth.spawn
        self.born_at = born_at
        self._line, theirs = socket.socketpair()
        with theirs:
            # What a child does not read must not hold the supervisor.
            self._line.setblocking(False)
            self.tell(birth_line(birth))
            try:
                self._process = subprocess.Popen(
                    options.arguments(theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except BaseException:
                self._line.close()
                raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, line: bytes) -> None:
        """Says something to it. If it is at its end, or has not read for very long, nobody hears
        it, and what it would have done is left to the leases.
        """
        with contextlib.suppress(OSError):
            self._line.send(line)

    def exit_code(self) -> int | None:
        """How it ended, as `subprocess` tells it; None while it lives."""
        return self._process.poll()

    def report(self) -> Report:
        """What it has said, once it has ended."""
        said = b""
        with self._line, contextlib.suppress(OSError):
            while part := self._line.recv(65536):
                said += part
        return read_report(said.splitlines())

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def await_end(self) -> None:
        """Blocks until it has ended, for a second at most."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)


def how_it_ended(exit_code: int) -> str:
    """An exit code in words."""
    if exit_code >= 0:
        return f"ended with code {exit_code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-exit_code).name}"
    return f"was ended by signal {-exit_code}"
