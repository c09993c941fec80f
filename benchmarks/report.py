"""Runs a benchmark several times, prints medians and spread, writes JSON and a plot."""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
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
    """All runs of one benchmark, and what they ran on."""

    name: str
    title: str
    machine: str
    server: str
    redis_py: str
    jobs: int
    runs: int
    seconds: float = 0.0
    rows: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, run: Run) -> None:
        """One more run."""
        for row, values in run.items():
            for metric, value in values.items():
                self.rows.setdefault(row, {}).setdefault(metric, []).append(value)

    def median(self, row: str, metric: str) -> float | None:
        """The middle of all runs; None if it was not measured."""
        values = self.rows.get(row, {}).get(metric)
        return statistics.median(values) if values else None

    @classmethod
    def load(cls, path: Path) -> Figures:
        """What `--json` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def as_json(figures: Figures) -> str:
    """What `Figures.load` reads, with the numbers of one row and metric on one line."""
    rounded = {
        row: {metric: [float(f"{value:.6g}") for value in values] for metric, values in of.items()}
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
    """Head and rows, of those metrics that were measured."""
    shown = [one for one in metrics if any(one.name in row for row in figures.rows.values())]
    head = [figures.name, *(one.title for one in shown)]
    return [
        head,
        *(
            [name, *(cell(row.get(one.name), one.digits) for one in shown)]
            for name, row in figures.rows.items()
        ),
    ]


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
        options.jobs, 0,
    )  # fmt: skip
    began = time.monotonic()
    for place in range(options.runs):
        figures.add(benchmark.run(options))
        figures.runs, figures.seconds = place + 1, time.monotonic() - began
        if save:
            save(figures)
        print(f"run {place + 1} of {options.runs}", file=sys.stderr)
    return figures


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> Figures:
    """The command line of one benchmark."""
    asked = _options(benchmark, arguments)
    options = Options(asked.runs, asked.jobs, asked.server, asked.full, tuple(asked.only))
    figures = measure(benchmark, options)
    print(f"{benchmark.title}\n{figures.machine}; {figures.server}; redis-py {figures.redis_py}")
    print(f"median (least to greatest) of {figures.runs} runs\n")
    print(aligned(table(figures, benchmark.metrics)))
    if asked.json:
        asked.json.write_text(as_json(figures), encoding="utf-8")
    if asked.plot:
        if benchmark.plot is None:
            raise SystemExit(f"{benchmark.name} has no plot")
        draw(benchmark.plot, figures.rows, asked.plot)
    return figures
