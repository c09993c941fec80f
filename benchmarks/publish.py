"""Runs the whole set and rewrites the figures in docs/benchmarks.md. `scripts/bench` calls it.

    python -m benchmarks.publish [--quick | --full] [--runs N] [--only NAME …] [--redraw]

--quick: small sizes and one run, to see that everything works; writes to build/benchmarks, not to
the documentation. --full: the sizes that take long, too. --redraw: measures nothing, and draws the
page and the plots from the figures that are there.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import latency, memory, profiling, scale, scheduled, targets, throughput, work
from benchmarks.peers import __main__ as peers
from benchmarks.plots import draw
from benchmarks.processes import ROOT
from benchmarks.report import Benchmark, Figures, Options, about, as_json, measure, table

SET: dict[str, Benchmark] = {
    module.BENCHMARK.name: module.BENCHMARK
    for module in (peers, throughput, profiling, work, latency, scheduled, memory, scale)
}
PAGE = ROOT / "docs" / "benchmarks.md"
RUNS = 5
_QUICK_PART = 20


class Place(NamedTuple):
    """Where the page is, and the figures and plots, which are beside it."""

    page: Path
    folder: Path


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table, its numbers to the right."""
    head, *body = [[text.replace("|", "\\|") for text in row] for row in rows]
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *body])


def section(figures: Figures, benchmark: Benchmark, plot: str | None) -> str:
    """What stands between the markers of one benchmark."""
    shown = [one for one in benchmark.metrics if one.name != "foreign_cores"]
    parts = [about(figures), markdown(table(figures, shown))]
    if figures.failures:
        parts.append("Not measured: " + "; ".join(dict.fromkeys(figures.failures)) + ".")
    if plot:
        parts.append(f"![{benchmark.title}]({plot})")
    return "\n\n".join(parts)


def between(page: str, name: str, text: str) -> str:
    """The page with this text between the markers of that name.

    Raises:
        ValueError: the page has no such markers.
    """
    pattern = re.compile(rf"(<!-- {name}:begin -->).*?(<!-- {name}:end -->)", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no markers {name}:begin and {name}:end")
    return pattern.sub(lambda found: f"{found[1]}\n\n{text}\n\n{found[2]}", page)


def rewrite(place: Place) -> None:
    """Draws plots and page from the figures that are in the folder."""
    page, everything = place.page.read_text(encoding="utf-8"), dict[str, Figures]()
    for name, benchmark in SET.items():
        path = place.folder / f"{name}.json"
        if path.exists():
            figures = everything[name] = Figures.load(path)
            plot = None
            if benchmark.plot:
                drawn = path.with_suffix(".svg")
                draw(benchmark.plot, figures.measured(), drawn)
                plot = drawn.relative_to(place.page.parent).as_posix()
            page = between(page, name, section(figures, benchmark, plot))
    page = between(page, "targets", markdown(targets.lines(everything)))
    place.page.write_text(page, encoding="utf-8")


def _place(*, quick: bool) -> Place:
    if not quick:
        return Place(PAGE, PAGE.with_suffix(""))
    folder = ROOT / "build" / "benchmarks"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "benchmarks").mkdir(parents=True)
    page = Path(shutil.copy(PAGE, folder / PAGE.name))
    return Place(page, page.with_suffix(""))


def _measure(benchmark: Benchmark, place: Place, asked: argparse.Namespace) -> None:
    runs = 1 if asked.quick else min(asked.runs, benchmark.most_runs)
    jobs = max(100, benchmark.jobs // _QUICK_PART) if asked.quick else benchmark.jobs
    print(f"{benchmark.name}: {benchmark.title}", file=sys.stderr)
    path = place.folder / f"{benchmark.name}.json"
    measure(
        benchmark,
        Options(runs, jobs, benchmark.server, asked.full),
        lambda figures: path.write_text(as_json(figures), encoding="utf-8"),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small, one run, docs stay as they are")
    size.add_argument("--full", action="store_true", help="the sizes that take long, too")
    parser.add_argument("--runs", type=int, default=RUNS, help="%(default)s by default")
    parser.add_argument("--only", nargs="+", choices=SET, default=[], help="these benchmarks")
    parser.add_argument("--redraw", action="store_true", help="measure nothing, draw anew")
    asked = parser.parse_args(arguments)
    place = _place(quick=asked.quick)
    place.folder.mkdir(parents=True, exist_ok=True)
    for name in asked.only or SET:
        if not asked.redraw:
            _measure(SET[name], place, asked)
            rewrite(place)  # what was measured is there, whatever comes after
    rewrite(place)
    print(f"wrote {place.page}")


if __name__ == "__main__":
    main()
