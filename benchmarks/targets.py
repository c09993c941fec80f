"""What issue and design ask for, beside what was measured. Each line is drawn from figures, so that
the page cannot say what no run has shown.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from benchmarks.report import Figures, cell

All = Mapping[str, Figures]


class Target(NamedTuple):
    """One line: what, the target, and what draws the measured text from all figures."""

    what: str
    target: str
    measured: Callable[[All], str]


def _values(figures: All, name: str, row: str, metric: str) -> Sequence[float]:
    """All runs of that row, or of the first whose name matches it as a pattern."""
    if name not in figures:
        return []
    rows = figures[name].rows
    found = rows.get(row) or next((rows[key] for key in rows if fnmatchcase(key, row)), {})
    return found.get(metric, [])


def _shown(name: str, row: str, metric: str, digits: int) -> Callable[[All], str]:
    return lambda figures: cell(_values(figures, name, row, metric), digits)


def _times(name: str, row: str, others: Mapping[str, str], metric: str) -> Callable[[All], str]:
    """The row as a multiple of others, by the pairs of each run."""

    def text(figures: All) -> str:
        ours, parts = _values(figures, name, row, metric), []
        for label, other in others.items():
            theirs = _values(figures, name, other, metric)
            if ours and len(ours) == len(theirs):
                ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
                parts.append(f"{cell(ratios, 1)} x {label}")
        return "; ".join(parts)

    return text


def _spread(rows: Sequence[str], name: str, metric: str, digits: int) -> Callable[[All], str]:
    """The medians of several rows, each with what tells it apart."""

    def text(figures: All) -> str:
        parts = []
        for row in rows:
            values = _values(figures, name, row, metric)
            if values:
                label = row.removeprefix("redisjobs").strip("*, ")
                parts.append(f"{statistics.median(values):,.{digits}f} {label}".strip())
        return "; ".join(parts)

    return text


def _beside_peers(metric: str, digits: int) -> Callable[[All], str]:
    """Ours and the fastest peers, as they were measured in turn."""
    rows = ("redisjobs, sync", "mayu*", "BullMQ*", "ArdiQ*", "Dramatiq*")
    spread = _spread(rows, "peers", metric, digits)

    def text(figures: All) -> str:
        parts = spread(figures)
        return f"beside peers: {parts}" if parts else ""

    return text


def _growth(label: str, sizes: Sequence[str]) -> Callable[[All], str]:
    """Cost at the last size over that at the first: worker and Redis CPU."""

    def text(figures: All) -> str:
        parts = []
        for metric, name in (("worker_cpu_us", "worker"), ("redis_cpu_us", "Redis")):
            few = _values(figures, "scale", f"{label}: {sizes[0]}", metric)
            many = _values(figures, "scale", f"{label}: {sizes[1]}", metric)
            if few and len(few) == len(many):
                ratios = [b / a for a, b in zip(few, many, strict=True)]
                parts.append(f"{name} CPU x {cell(ratios, 2)}")
        return "; ".join(parts)

    return text


def _memory(figures: All) -> str:
    if "memory" not in figures:
        return ""
    return "; ".join(
        f"{name.removeprefix('redisjobs, ')}: {cell(row['bytes_per_job'], 0)}"
        for name, row in figures["memory"].rows.items()
    )


def _both(first: Callable[[All], str], second: Callable[[All], str]) -> Callable[[All], str]:
    return lambda figures: "; ".join(filter(None, (first(figures), second(figures))))


_SLOW = {name: f"{name}*" for name in ("Dramatiq", "arq", "SAQ", "RQ", "Celery")}
_WORK = [
    f"redisjobs, {work}, {how}, processes: 1"
    for work in ("1 ms CPU", "5 ms wait", "mix")
    for how in ("sync", "async")
]
_FLOORS = [f"floor: bare {what}, 5 ms wait" for what in ("threads", "tasks")]

TARGETS = (
    Target(
        "drain, one worker process, sync", "≥ 2.5 x mayu, ≥ 5 x BullMQ; goal 4 x and 10 x",
        _times("peers", "redisjobs, sync", {"mayu": "mayu*", "BullMQ": "BullMQ*"}, "jobs_per_s"),
    ),
    Target(
        "the same", "≥ 20 x Dramatiq, arq, SAQ, RQ, Celery",
        _times("peers", "redisjobs, sync", _SLOW, "jobs_per_s"),
    ),
    Target(
        "the same", "of the scripted floor: reported, goal 0.65",
        _shown("throughput", "redisjobs, sync", "fraction", 2),
    ),
    Target(
        "async handlers", "≥ 2 x mayu, goal 3 x",
        _times("peers", "redisjobs, async", {"mayu": "mayu*"}, "jobs_per_s"),
    ),
    Target(
        "two worker processes", "≥ 3 x mayu's two, goal 4 x",
        _times("peers", "redisjobs, sync, 2 processes", {"mayu's two": "mayu*, 2 processes"},
               "jobs_per_s"),
    ),
    Target(
        "concurrency 10, no prefetch", "≥ 1.5 x BullMQ",
        _times("peers", "redisjobs, prefetch=0", {"BullMQ": "BullMQ*"}, "jobs_per_s"),
    ),
    Target(
        "default retention", "≥ 0.6 of the rate without",
        _shown("throughput", "redisjobs, default retention", "fraction", 2),
    ),
    Target(
        "overhead of a job, worker CPU", "≤ 50 µs",
        _spread([*_WORK, *_FLOORS], "work", "overhead_us", 0),
    ),
    Target(
        "Redis CPU of a job, whole life", "≤ 6 µs and ≤ 3 x plain pipelined commands",
        _both(
            _shown("throughput", "redisjobs, sync", "redis_life_us", 1),
            _times("throughput", "redisjobs, sync",
                   {"plain commands, many jobs each": "floor: plain commands*",
                    "one job each": "plain commands, one*"}, "redis_life_us"),
        ),
    ),
    Target(
        "enqueue one by one", "≥ 0.85 of a bare EVALSHA loop",
        _shown("throughput", "redisjobs, one by one", "of_bare", 2),
    ),
    Target(
        "enqueue_many", "≥ 1.2 x Sidekiq's push_bulk and ChasquiMQ, where they run",
        _times("peers", "redisjobs, sync", {"ArdiQ": "ArdiQ*", "BullMQ": "BullMQ*"}, "bulk_per_s"),
    ),
    Target(
        "enqueue one by one, jobs/s", "reported",
        _beside_peers("enqueue_per_s", 0),
    ),
    Target(
        "pick-up by an idle worker, p50 ms", "≤ 0.45",
        _both(
            _spread(["redisjobs, sync", "redisjobs, async", "floor*"], "latency", "p50_ms", 2),
            _beside_peers("p50_ms", 2),
        ),
    ),
    Target(
        "the same, p99 ms", "≤ 1.2",
        _both(
            _spread(["redisjobs, sync", "redisjobs, async", "floor*"], "latency", "p99_ms", 2),
            _beside_peers("p99_ms", 2),
        ),
    ),
    Target(
        "scheduled over 4 s, p50 ms late", "≤ 0.6, never early",
        _spread(["redisjobs, sync, spread", "redisjobs, async, spread"], "scheduled", "p50_ms", 2),
    ),
    Target(
        "the same, p99 ms late", "≤ 2",
        _spread(["redisjobs, sync, spread", "redisjobs, async, spread"], "scheduled", "p99_ms", 2),
    ),
    Target(
        "200 due in one instant, the last, ms late", "≤ 10",
        _spread(["redisjobs, sync, one instant", "redisjobs, async, one instant"], "scheduled",
                "max_ms", 1),
    ),
    Target(
        "memory of a waiting job, bytes", "≤ 280 on Redis 8 and Valkey 9, ≤ 340 on Redis 7.0",
        _both(_memory, _beside_peers("bytes_per_job", 0)),
    ),
    Target(
        "calls a second of an idle worker", "≤ 2",
        _shown("scale", "redisjobs with idle workers: 1", "idle_calls_per_s", 2),
    ),
    Target(
        "10,000 → 1,000,000 waiting jobs", "cost of a job x 1.3 at most",
        _growth("redisjobs beside waiting", ("10,000", "1,000,000")),
    ),
    Target(
        "1 → 200 kinds", "cost of a job x 1.5 at most",
        _growth("redisjobs with kinds", ("1", "200")),
    ),
    Target(
        "500 idle workers, 100 due a second", "≤ 5 % of a core for Redis",
        _shown("scale", "redisjobs with idle workers: 500", "redis_percent", 1),
    ),
    Target(
        "another kind beside a flood, ms", "≤ 50",
        _shown("scale", "redisjobs, another kind*", "max_ms", 1),
    ),
    Target(
        "long jobs on two workers, the last starts after ms", "≤ 1,000",
        _shown("scale", "redisjobs, long jobs*", "max_ms", 0),
    ),
    Target(
        "1, 2, 4, 8 processes, 5 ms handler", "linear until the cores are full",
        _spread([f"redisjobs with processes: {number}" for number in (1, 2, 4, 8)], "scale",
                "of_ideal", 2),
    ),
)  # fmt: skip


def lines(figures: All) -> list[list[str]]:
    """Head and lines of the table; of those that were measured."""
    drawn = [[one.what, one.target, one.measured(figures)] for one in TARGETS]
    return [["what", "target", "measured"], *(line for line in drawn if line[2])]
