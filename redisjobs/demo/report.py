"""What a run has shown: a table, the proof, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from redisjobs.demo.kill import Recovery
from redisjobs.demo.plan import Results

MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Sums:
    """The result of all files together."""

    files: int
    lines: int
    words: int
    functions: int
    classes: int
    packages: int

    @classmethod
    def of(cls, results: Results) -> Sums:
        """Adds the files up; figures that are missing count as nothing."""
        figures = [found for kinds in results.values() for found in kinds.values()]
        packages = {name for found in figures for name in found.get("imports", ())}

        def total(name: str) -> int:
            return sum(found.get(name) or 0 for found in figures)

        return cls(
            len(results),
            total("lines"),
            total("words"),
            total("functions"),
            total("classes"),
            len(packages),
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a run.

    Attributes:
        jobs, done, failed: how many.
        retried: how many took more than one attempt.
        retries_planned: how many should have.
        kill_wanted: whether a worker was to be killed.
        recovery: what became of the jobs of the killed worker; None: none was killed.
        seconds: from the start of the services until the last job was done.
        sums: the collected result in short.
        unfinished: about each job that is not DONE, what became of it.
        differences: about each figure that is not as computed directly, a sentence.
        broken: what `queue.check()` found.
    """

    jobs: int
    done: int
    failed: int
    retried: int
    retries_planned: int
    kill_wanted: bool
    recovery: Recovery | None
    seconds: float
    sums: Sums
    unfinished: Sequence[str]
    differences: Sequence[str]
    broken: Sequence[str]

    @property
    def jobs_per_second(self) -> float:
        """Over the whole run, in which scheduled and retried jobs wait, too."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def problems(self) -> list[str]:
        """All that is not as it should be; empty if the run has shown what it should."""
        return [
            *_shortened("not finished", self.unfinished),
            *_shortened("different", self.differences),
            *_shortened("queue.check() found", self.broken),
            *self._problems_of_retries(),
            *self._problems_of_kill(),
        ]

    def _problems_of_retries(self) -> list[str]:
        if self.retried == self.retries_planned:
            return []
        planned = f"{self.retries_planned:,} jobs raise RetryableError once"
        return [f"retried: {planned}, but {self.retried:,} took more than one attempt"]

    def _problems_of_kill(self) -> list[str]:
        if self.recovery is None:
            missed = "killed: none, since from half way on no worker was seen to hold a job"
            return [missed] if self.kill_wanted else []
        missing = self.recovery.held - self.recovery.again
        return (
            [f"delivered again: all but {missing:,} jobs of the killed worker"] if missing else []
        )

    @property
    def exit_code(self) -> int:
        """0: all is as it should be."""
        return 1 if self.problems else 0

    def to_dict(self) -> dict[str, Any]:
        """The same as values that JSON can carry."""
        return {
            **asdict(self),
            "jobs_per_second": self.jobs_per_second,
            "identical": not self.differences and not self.unfinished,
            "problems": self.problems,
        }


def _shortened(what: str, sentences: Sequence[str]) -> list[str]:
    shown = [f"{what}: {sentence}" for sentence in sentences[:MOST_SHOWN]]
    left = len(sentences) - MOST_SHOWN
    return [*shown, f"{what}: {left:,} more"] if left > 0 else shown


def show(report: Report, console: Console) -> None:
    """Prints the table and the proof, or what is wrong."""
    console.print(_table(report))
    sums = report.sums
    _say(
        console,
        f"collected: files {sums.files:,}, lines {sums.lines:,}, words {sums.words:,},"
        f" functions {sums.functions:,}, classes {sums.classes:,},"
        f" imported packages {sums.packages:,}",
    )
    if not report.differences and not report.unfinished:
        _say(
            console,
            f"identical: the results of all {report.jobs:,} jobs are what one process computes"
            " directly, without a queue",
        )
    for problem in report.problems:
        _say(console, problem)


def _table(report: Report) -> Table:
    table = Table(show_header=False, title="redisjobs demo", title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for name, value in _rows(report):
        table.add_row(name, value)
    return table


def _rows(report: Report) -> list[tuple[str, str]]:
    return [
        ("jobs", f"{report.jobs:,}"),
        ("done", f"{report.done:,}"),
        ("failed", f"{report.failed:,}"),
        ("retried", f"{report.retried:,}"),
        *_rows_of_kill(report.recovery),
        ("jobs/s", f"{report.jobs_per_second:,.0f}"),
        ("seconds in all", f"{report.seconds:.1f}"),
        ("broken invariants", f"{len(report.broken):,}"),
    ]


def _rows_of_kill(recovery: Recovery | None) -> list[tuple[str, str]]:
    if recovery is None:
        return [("workers killed", "0")]
    took = "never" if recovery.seconds is None else f"{recovery.seconds:.2f} s"
    return [
        ("held by the killed worker", f"{recovery.held:,}"),
        ("delivered again after the kill", f"{recovery.again:,}"),
        ("from the kill until its last job was running again", took),
    ]


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
