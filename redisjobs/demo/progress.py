"""How far a run is: a bar on a terminal, else a line every second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from redisjobs.operations.inspect import Stats

LINE_EVERY_S = 1.0


class Counts(NamedTuple):
    """Where the jobs of a run are.

    Attributes:
        enqueued: all that were enqueued so far, wherever they are now.
        total: how many there will be.
    """

    enqueued: int
    running: int
    done: int
    failed: int
    total: int

    @property
    def ended(self) -> int:
        """How many are over."""
        return self.done + self.failed

    @classmethod
    def of(cls, stats: Stats, total: int, *, at_least: int = 0) -> Counts:
        """Adds the kinds up. `at_least`: how many were enqueued before."""
        kinds = stats.kinds.values()
        running = sum(kind.running for kind in kinds)
        done = sum(kind.done for kind in kinds)
        failed = sum(kind.failed + kind.cancelled for kind in kinds)
        waiting = sum(kind.scheduled + kind.ready for kind in kinds)
        # They are counted one after the other, while jobs move: some are missed, some seen twice.
        seen = min(total, waiting + running + done + failed)
        return cls(max(at_least, seen), running, done, failed, total)


class Display(Protocol):
    """Shows how far a run is."""

    def show(self, counts: Counts) -> None:
        """Shows where the jobs are now."""

    def say(self, event: str) -> None:
        """Tells something that has happened."""


class LineDisplay:
    """A line every second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_at = 0.0

    def show(self, counts: Counts) -> None:
        """Writes a line, unless the last one is younger than a second; the last one always."""
        if time.monotonic() >= self._next_at or counts.ended == counts.total:
            self._next_at = time.monotonic() + LINE_EVERY_S
            self.say(
                f"enqueued {counts.enqueued:,} of {counts.total:,}, running {counts.running:,},"
                f" done {counts.done:,}" + (f", failed {counts.failed:,}" if counts.failed else "")
            )

    def say(self, event: str) -> None:
        """Writes a line."""
        self._console.print(event, markup=False, highlight=False, soft_wrap=True)


class BarDisplay:
    """A bar that moves, with what happens above it."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def show(self, counts: Counts) -> None:
        """Moves the bar."""
        self._progress.update(self._task, total=counts.total, completed=counts.ended, counts=counts)

    def say(self, event: str) -> None:
        """Writes a line above the bar."""
        self._progress.console.print(event, markup=False, highlight=False)


@contextmanager
def display_on(console: Console) -> Iterator[Display]:
    """The display that suits where the output goes."""
    if not console.is_terminal:
        yield LineDisplay(console)
        return
    columns = (
        BarColumn(),
        TextColumn("enqueued [cyan]{task.fields[counts].enqueued:,}[/]"),
        TextColumn("running [yellow]{task.fields[counts].running:,}[/]"),
        TextColumn("done [green]{task.fields[counts].done:,}[/]"),
        TextColumn("of {task.fields[counts].total:,}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield BarDisplay(progress, progress.add_task("", total=None, counts=Counts(0, 0, 0, 0, 0)))
