"""Runs a benchmark several times, prints medians and spread, writes JSON and a plot."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import redis

from benchmarks.cpu import machine
from benchmarks.plots import Plot, draw
from benchmarks.servers import KINDS, serving

# What one run measured: row → metric → value.
Run = Mapping[str, Mapping[str, float]]


class Metric(NamedTuple):
    """A column: its name in the figures, its title with the unit, its decimals."""

    name: str
    title: str
    digits: int = 0


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    runs: int
    jobs: int
    server: str
    full: bool = False
    only: Sequence[str] = ()
    failures: list[str] = field(default_factory=list)
    turn: int = 0  # which run this is, from 0

    def failed(self, what: str, err: Exception) -> None:
        """Something was not measured. The others are all the same. What the processes wrote is told
        here, and not on the page.
        """
        self.failures.append(f"{what}: {err}")
        notes = getattr(err, "__notes__", [])
        print(f"{what} is not measured: {err}", *notes, sep="\n", file=sys.stderr)

    def wants(self, row: str) -> bool:
        """Whether this row is asked for: all are, unless --only names some."""
        return not self.only or any(part in row for part in self.only)


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: what it is called, its columns, its plot, and how one run is made."""

    name: str
    title: str
    metrics: Sequence[Metric]
    run: Callable[[Options], Run]
    jobs: int
    plot: Plot | None = None
    server: str = "redis"
    most_runs: int = 100  # what hardly differs from run to run needs fewer


@dataclass
class Figures:
    """All runs of one benchmark, and what they ran on.

    Attributes:
        rows: row → metric → a value for each run, None where a run has none. Runs that have none at
            the end are left out.
        failures: what was not measured, and why.
    """

    name: str
    title: str
    machine: str
    server: str
    redis_py: str
    jobs: int
    runs: int
    seconds: float = 0.0
    code: str = ""
    failures: list[str] = field(default_factory=list)
    rows: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)

    def add(self, run: Run) -> None:
        """One more run."""
        for row, values in run.items():
            for metric, value in values.items():
                of = self.rows.setdefault(row, {}).setdefault(metric, [])
                of += [None] * (self.runs - len(of))
                of.append(value)
        self.runs += 1

    def values(self, row: str, metric: str) -> list[float]:
        """What was measured, of the runs that did."""
        return known(self.rows.get(row, {}).get(metric, ()))

    def measured(self) -> dict[str, dict[str, list[float]]]:
        """All rows, as `values` has them."""
        return {
            row: {metric: self.values(row, metric) for metric in of}
            for row, of in self.rows.items()
        }

    @classmethod
    def load(cls, path: Path) -> Figures:
        """What `--json` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def known(values: Sequence[float | None]) -> list[float]:
    """Without the runs that have none."""
    return [value for value in values if value is not None]


def as_json(figures: Figures) -> str:
    """What `Figures.load` reads, with the numbers of one row and metric on one line."""
    rounded = {
        row: {
            metric: [None if value is None else float(f"{value:.6g}") for value in values]
            for metric, values in of.items()
        }
        for row, of in figures.rows.items()
    }
    text = json.dumps({**asdict(figures), "rows": rounded}, indent=1)
    return (
        re.sub(r"\[\s+([^\]]*?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"
    )


def number(value: float, digits: int) -> str:
    """As tables show it."""
    return f"{value:,.{digits}f}"


def cell(values: Sequence[float] | None, digits: int) -> str:
    """The median, and in brackets the least and the greatest where they differ."""
    if not values:
        return ""
    low, middle, high = (
        number(value, digits) for value in (min(values), statistics.median(values), max(values))
    )
    return middle if low == high else f"{middle} ({low} to {high})"


def table(figures: Figures, metrics: Sequence[Metric]) -> list[list[str]]:
    """Head and rows, of those metrics that were measured. A row that some runs lack says so."""
    rows = figures.measured()
    shown = [one for one in metrics if any(one.name in row for row in rows.values())]
    head = [figures.name, *(one.title for one in shown)]

    def named(name: str) -> str:
        runs = max(map(len, rows[name].values()))
        return name if runs == figures.runs else f"{name} ({runs} of {figures.runs} runs)"

    return [
        head,
        *(
            [named(name), *(cell(row.get(one.name), one.digits) for one in shown)]
            for name, row in rows.items()
        ),
    ]


def about(figures: Figures) -> str:
    """On what it was measured, when, and how often."""
    on = [figures.machine, figures.server, f"redis-py {figures.redis_py}", figures.code]
    text = "; ".join(filter(None, on)) + "."
    runs = "One run" if figures.runs == 1 else f"Median (least to greatest) of {figures.runs} runs"
    foreign = [value for row in figures.rows for value in figures.values(row, "foreign_cores")]
    if not foreign:
        return f"{text} {runs}."
    mean, most = statistics.fmean(foreign), max(foreign)
    return f"{text} {runs}; others kept {mean:.2f} cores busy meanwhile, {most:.2f} at most."


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if place == 0 else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _options(benchmark: Benchmark, arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{benchmark.name}", description=benchmark.title
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=benchmark.jobs, help="%(default)s by default")
    parser.add_argument("--server", choices=KINDS, default=benchmark.server)
    parser.add_argument("--full", action="store_true", help="the sizes that take long, too")
    parser.add_argument("--only", nargs="+", default=[], help="rows whose name has one of these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them: .svg or .png")
    return parser.parse_args(arguments)


def _code() -> str:
    """Today, which commit this is, and whether what is measured, or measures, has changed since.
    Figures and page may have.
    """
    commit = _git("describe", "--always") or "unknown"
    changed = _git("status", "--porcelain", "--", "redisjobs", "benchmarks")
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}{' and changes' * bool(changed)}"


def _git(*words: str) -> str:
    root = Path(__file__).parents[1]
    try:
        ran = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ran.stdout.strip()


def measure(
    benchmark: Benchmark, options: Options, save: Callable[[Figures], object] | None = None
) -> Figures:
    """Runs it so often. `save` is called after each run, so that none is lost where a later one
    fails.
    """
    with serving(options.server) as served:
        server = served.name
    figures = Figures(
        benchmark.name, benchmark.title, machine(), server, redis.__version__,
        options.jobs, 0, code=_code(), failures=options.failures,
    )  # fmt: skip
    began = time.monotonic()
    for place in range(options.runs):
        figures.add(benchmark.run(replace(options, turn=place)))
        figures.seconds = time.monotonic() - began
        if save:
            save(figures)
        print(f"run {place + 1} of {options.runs}", file=sys.stderr)
    return figures


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> Figures:
    """The command line of one benchmark."""
    asked = _options(benchmark, arguments)
    options = Options(asked.runs, asked.jobs, asked.server, asked.full, tuple(asked.only))
    figures = measure(benchmark, options)
    print(f"{benchmark.title}\n{about(figures)}\n")
    print(aligned(table(figures, benchmark.metrics)))
    if asked.json:
        asked.json.write_text(as_json(figures), encoding="utf-8")
    if asked.plot:
        if benchmark.plot is None:
            raise SystemExit(f"{benchmark.name} has no plot")
        draw(benchmark.plot, figures.measured(), asked.plot)
    return figures
