"""What handlers note while they are measured. Needs the standard library only: the peers' handlers
use it, too, in environments of their own.

Each process counts its runs in memory; a thread writes the number to a file of the process's own
every 100 ms, so that a run costs nothing but `next()`. What handlers measured it appends to another
file, only what is new: while it does so no handler has the interpreter.
"""

from __future__ import annotations

import os
import threading
import time
from itertools import count
from pathlib import Path

FOLDER = "BENCHMARK_JOURNAL"
_EVERY_S = 0.1

_numbers = count(1)
_values: list[float] = []


def _number_so_far() -> int:
    return int(repr(_numbers)[len("count(") : -1]) - 1


def ran() -> None:
    """One run of a handler."""
    if next(_numbers) == 1:
        _begin()


def note(value: float) -> None:
    """One run of a handler, and what it measured."""
    _values.append(value)
    ran()


def _begin() -> None:
    folder = os.environ.get(FOLDER)
    if folder is None:
        return
    path = Path(folder, str(os.getpid()))
    path.write_text("1")
    threading.Thread(target=_keep_writing, args=(path,), daemon=True).start()


def _keep_writing(path: Path) -> None:
    written, noted, threads = 0, 0, ""
    while True:
        now_running = "\n".join(f"{one.native_id} {one.name}" for one in threading.enumerate())
        if now_running != threads:
            path.with_suffix(".threads").write_text(now_running)
            threads = now_running
        now = _number_so_far()
        if now != written:
            values = _values[noted:]
            if values:
                with path.with_suffix(".values").open("a") as file:
                    file.write("".join(f"{value!r}\n" for value in values))
                noted += len(values)
            new = path.with_suffix(".new")
            new.write_text(str(now))
            new.rename(path)
            written = now
        time.sleep(_EVERY_S)


class Journal:
    """All processes' notes, as the benchmark reads them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def environ(self) -> dict[str, str]:
        """What the processes that write it need in their environment."""
        return {FOLDER: str(self._folder)}

    def _numbers(self) -> list[int]:
        paths = (path for path in self._folder.iterdir() if not path.suffix)
        return [int(text) for path in paths if (text := path.read_text())]

    def processes(self) -> int:
        """In how many a handler has run."""
        return len(self._numbers())

    def runs(self) -> int:
        """How many there were, by the last that was written."""
        return sum(self._numbers())

    def threads(self) -> dict[str, dict[str, str]]:
        """The names of each process's threads, by process id and native thread id."""
        return {
            path.stem: dict(line.split(" ", 1) for line in path.read_text().splitlines())
            for path in self._folder.glob("*.threads")
        }

    def values(self) -> list[float]:
        """What they noted."""
        texts = (path.read_text() for path in self._folder.glob("*.values"))
        return [float(value) for text in texts for value in text.split()]
