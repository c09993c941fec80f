"""Plots of figures: bars with their spread, or lines over a size. Needs matplotlib."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Rows = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class Plot:
    """What to draw.

    Attributes:
        metrics: metric → title; one panel for each.
        rows: only rows whose name begins with one of these, if any.
        panels: in place of `metrics`, for each panel its title, its metric, and how its rows begin.
        over: the rows are named "<series>: <size>", and are drawn as lines over that size.
        log: a logarithmic scale of values; sizes always have one.
    """

    title: str
    metrics: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
    over: str | None = None
    log: bool = False
    panels: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


def draw(plot: Plot, rows: Rows, path: Path) -> None:
    """Writes the plot; the ending of `path` says as what."""
    import matplotlib as mpl  # only who draws needs it

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "redisjobs"  # the same figures make the same file
    from matplotlib import pyplot

    shown = {name: row for name, row in rows.items() if not plot.rows or name.startswith(plot.rows)}
    panels = plot.panels or [
        (title, name, ("",))
        for name, title in plot.metrics.items()
        if any(name in row for row in shown.values())
    ]
    count = len(panels)
    height = 3.2 if plot.over else max(1.6, 0.32 * len(shown) + 0.9)
    figure, axes = pyplot.subplots(1, count, figsize=(4.6 * count, height), squeeze=False)
    for panel, (title, metric, start) in zip(axes[0], panels, strict=True):
        of = {name: row for name, row in shown.items() if name.startswith(start)}
        (_lines if plot.over else _bars)(panel, plot, metric, of)
        panel.set_title(title, fontsize=9)
        panel.tick_params(labelsize=8)
    figure.suptitle(plot.title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    middle = statistics.median(values)
    return middle, middle - min(values), max(values) - middle


def _bars(panel: Any, plot: Plot, metric: str, rows: Rows) -> None:
    measured = [(name, _spread(row[metric])) for name, row in rows.items() if metric in row]
    names = [name for name, _ in measured]
    panel.barh(
        names,
        [middle for _, (middle, _, _) in measured],
        xerr=[[below for _, (_, below, _) in measured], [above for _, (_, _, above) in measured]],
        color=["#b3202c" if name.startswith("redisjobs") else "#5b7a99" for name in names],
        error_kw={"linewidth": 1, "ecolor": "#222222"},
    )
    panel.invert_yaxis()
    if plot.log and measured:
        panel.set_xscale("log")


def _lines(panel: Any, plot: Plot, metric: str, rows: Rows) -> None:
    series: dict[str, list[tuple[float, tuple[float, float, float]]]] = {}
    for name, row in rows.items():
        label, _, size = name.rpartition(": ")
        if metric in row and label:
            digits = size.split()[0].replace(",", "")
            series.setdefault(label, []).append((float(digits), _spread(row[metric])))
    for label, points in series.items():
        panel.errorbar(
            [size for size, _ in points],
            [middle for _, (middle, _, _) in points],
            yerr=[[below for _, (_, below, _) in points], [above for _, (_, _, above) in points]],
            marker="o", markersize=3, capsize=2, label=label,
        )  # fmt: skip
    panel.set_xscale("log")
    panel.set_yscale("log" if plot.log else "linear")
    if not plot.log:
        panel.set_ylim(bottom=0)
    panel.set_xlabel(plot.over, fontsize=8)
    if len(series) > 1:
        panel.legend(fontsize=7)
