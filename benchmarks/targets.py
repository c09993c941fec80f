"""What issue and design ask for, beside what was measured. Each line is drawn from figures, so that
the page cannot say what no run has shown.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from benchmarks.report import Figures, cell, known

All = Mapping[str, Figures]


class Limit(NamedTuple):
    """What a median must not be under, or over."""

    least: float = float("-inf")
    most: float = float("inf")

    def holds(self, values: Sequence[float]) -> bool:
        """Whether their median keeps to it."""
        return self.least <= statistics.median(values) <= self.most


class Seen(NamedTuple):
    """What was measured, as text, and whether each of its limits held; those that have none have
    no say.
    """

    text: str = ""
    held: Sequence[bool] = ()


Measured = Callable[[All], Seen]


class Target(NamedTuple):
    """One line: what, the target, and what draws the measured text from all figures."""

    what: str
    target: str
    measured: Measured


def _joined(parts: Sequence[Seen]) -> Seen:
    return Seen(
        "; ".join(part.text for part in parts if part.text),
        [held for part in parts for held in part.held],
    )


def _all_of(*measured: Measured) -> Measured:
    return lambda figures: _joined([one(figures) for one in measured])


def _runs(figures: All, name: str, row: str, metric: str) -> Sequence[float | None]:
    """All runs of that row, or of the first whose name matches it as a pattern."""
    if name not in figures:
        return []
    rows = figures[name].rows
    found = rows.get(row) or next((rows[key] for key in rows if fnmatchcase(key, row)), {})
    return found.get(metric, [])


def _seen(values: Sequence[float], text: str, limit: Limit | None) -> Seen:
    if not values:
        return Seen()
    return Seen(text, [] if limit is None else [limit.holds(values)])


def _shown(
    name: str, row: str, metric: str, digits: int, limit: Limit | None = None, *, after: str = ""
) -> Measured:
    def measured(figures: All) -> Seen:
        values = known(_runs(figures, name, row, metric))
        return _seen(values, cell(values, digits) + after, limit)

    return measured


def _pairs(
    ours: Sequence[float | None], theirs: Sequence[float | None]
) -> Sequence[tuple[float, float]]:
    """Of those runs that have both."""
    return [(a, b) for a, b in zip(ours, theirs, strict=False) if a is not None and b is not None]


def _times(
    name: str, row: str, others: Mapping[str, tuple[str, Limit | None]], metric: str
) -> Measured:
    """The row as a multiple of others, by the pairs of each run."""

    def measured(figures: All) -> Seen:
        ours, parts = _runs(figures, name, row, metric), []
        for label, (other, limit) in others.items():
            ratios = [a / b for a, b in _pairs(ours, _runs(figures, name, other, metric))]
            parts.append(_seen(ratios, f"{cell(ratios, 1)} x {label}", limit))
        return _joined(parts)

    return measured


def _medians(
    rows: Sequence[str], name: str, metric: str, digits: int, limit: Limit | None = None
) -> Measured:
    """Of several rows, each with what tells it apart."""
    labels = {row: row.removeprefix("redisjobs").replace("*", "").strip(", ") for row in rows}
    return _labelled_medians(labels, name, metric, digits, limit)


def _labelled_medians(
    rows: Mapping[str, str], name: str, metric: str, digits: int, limit: Limit | None = None
) -> Measured:
    """Of several rows, each with its label."""

    def measured(figures: All) -> Seen:
        parts = []
        for row, label in rows.items():
            values = known(_runs(figures, name, row, metric))
            text = f"{statistics.median(values):,.{digits}f} {label}".strip() if values else ""
            parts.append(_seen(values, text, limit))
        return _joined(parts)

    return measured


def _beside_peers(name: str, metric: str, digits: int, rows: Sequence[str]) -> Measured:
    """Medians of others, as they were measured in turn."""
    medians = _medians(rows, name, metric, digits)

    def measured(figures: All) -> Seen:
        seen = medians(figures)
        return Seen(f"beside: {seen.text}" if seen.text else "")

    return measured


def _growth(
    label: str, sizes: Sequence[str], metrics: Mapping[str, str], limit: Limit | None
) -> Measured:
    """A cost at the last size over that at the first."""

    def measured(figures: All) -> Seen:
        parts = []
        for metric, name in metrics.items():
            few, many = (_runs(figures, "scale", f"{label}: {size}", metric) for size in sizes)
            ratios = [b / a for a, b in _pairs(few, many)]
            parts.append(_seen(ratios, f"{name} x {cell(ratios, 2)}", limit))
        return _joined(parts)

    return measured


def _memory(figures: All) -> Seen:
    if "memory" not in figures:
        return Seen()
    parts = []
    for name in figures["memory"].rows:
        server = name.removeprefix("redisjobs, ")
        values = figures["memory"].values(name, "bytes_per_job")
        most = 340.0 if server.startswith("Redis 7") else 280.0
        parts.append(_seen(values, f"{server}: {cell(values, 0)}", Limit(most=most)))
    return _joined(parts)


_FAST = ("mayu*", "BullMQ*", "ArdiQ*", "Dramatiq*")
_SLOW = {name: (f"{name}*", Limit(20)) for name in ("Dramatiq", "arq", "SAQ", "RQ", "Celery")}
_WORK = [
    f"redisjobs, {work}, {how}, processes: 1"
    for work in ("1 ms CPU", "5 ms wait", "mix")
    for how in ("sync", "async")
]
_FLOORS = [
    f"floor: bare {what}, {work}"
    for what in ("threads", "tasks")
    for work in ("1 ms CPU", "5 ms wait", "mix")
]
_POP_FLOORS = {
    "floor: push and blocking pop": "floor",
    "floor: push, blocking pop, bare claim, a thread": "floor with our hops",
}
_DUE_FLOOR = {"floor: bare claim when due, a thread, spread": "floor"}
_INSTANT_FLOOR = {"floor: bare claim when due, ten threads, one instant": "floor"}
_KEEPING_FLOORS = {
    f"floor: bare scripts that keep records, {batch} a call": f"the floor's own, {batch} a call"
    for batch in ("100", "1,000")
}
_IDLE = "redisjobs with idle workers"
_CPU = {"worker_cpu_us": "worker CPU", "redis_cpu_us": "Redis CPU"}

TARGETS = (
    Target(
        "drain, one worker process, sync", "≥ 2.5 x mayu, ≥ 5 x BullMQ; goal 4 x and 10 x",
        _times("peers", "redisjobs, sync",
               {"mayu": ("mayu*", Limit(2.5)), "BullMQ": ("BullMQ*", Limit(5)),
                "mayu async": ("mayu, async*", None)}, "jobs_per_s"),
    ),
    Target(
        "the same", "≥ 20 x Dramatiq, arq, SAQ, RQ, Celery",
        _times("peers", "redisjobs, sync", _SLOW, "jobs_per_s"),
    ),
    Target(
        "the same, with typed tasks", "reported",
        _times("peers", "redisjobs, typed task",
               {"mayu": ("mayu*", None), "BullMQ": ("BullMQ*", None),
                "raw bytes": ("redisjobs, sync", None)}, "jobs_per_s"),
    ),
    Target(
        "the same, of the scripted floor", "reported, goal 0.65 of it with 100 a call",
        _all_of(
            _shown("throughput", "redisjobs, sync", "of_floor", 2),
            _shown("throughput", "redisjobs, sync", "of_large_floor", 2, after=" of 1,000 a call"),
        ),
    ),
    Target(
        "async handlers", "≥ 2 x mayu, goal 3 x",
        _times("peers", "redisjobs, async",
               {"mayu sync": ("mayu*", Limit(2)), "mayu async": ("mayu, async*", Limit(2))},
               "jobs_per_s"),
    ),
    Target(
        "two worker processes", "≥ 3 x mayu's two, goal 4 x",
        _times("peers", "redisjobs, sync, 2 processes",
               {"mayu's two": ("mayu*, 2 processes", Limit(3))}, "jobs_per_s"),
    ),
    Target(
        "concurrency 10, no prefetch", "≥ 1.5 x BullMQ",
        _all_of(
            _times("peers", "redisjobs, prefetch=0",
                   {"BullMQ at 10": ("BullMQ, 10 at once*", Limit(1.5)),
                    "BullMQ at 500": ("BullMQ (*", None)}, "jobs_per_s"),
            _shown("throughput", "redisjobs, prefetch=0", "of_small_floor", 2,
                   after=" of the floor, 10 a call"),
            _shown("throughput", "redisjobs, prefetch=0", "of_threads", 2,
                   after=" of the same with ten threads"),
        ),
    ),
    Target(
        "default retention", "≥ 0.6 of the rate without",
        _all_of(
            _shown("throughput", "redisjobs, default retention", "of_without_retention", 2,
                   Limit(0.6)),
            _labelled_medians(_KEEPING_FLOORS, "throughput", "of_without_retention", 2),
            _shown("throughput", "redisjobs, default retention", "of_large_floor", 2,
                   after=" of the floor that keeps, 1,000 a call"),
        ),
    ),
    Target(
        "overhead of a job, worker CPU µs", "≤ 50",
        _all_of(
            _medians(_WORK, "work", "overhead_us", 0, Limit(most=50)),
            _medians(_FLOORS, "work", "overhead_us", 0),
        ),
    ),
    Target(
        "Redis CPU of a job, whole life, µs", "≤ 6, and ≤ 3 x plain pipelined commands",
        _all_of(
            _shown("throughput", "redisjobs, sync", "redis_life_us", 1, Limit(most=6)),
            _times("throughput", "redisjobs, sync",
                   {"plain commands, 100 jobs each": ("floor: plain commands, 100*", Limit(most=3)),
                    "1,000 each": ("floor: plain commands, 1,000*", None),
                    "one each": ("plain commands, one*", Limit(most=3))}, "redis_life_us"),
            _beside_peers("peers", "redis_life_us", 0, _FAST),
        ),
    ),
    Target(
        "enqueue one by one", "≥ 0.85 of a bare EVALSHA loop",
        _shown("throughput", "redisjobs, one by one", "of_bare", 2, Limit(0.85)),
    ),
    Target(
        "enqueue_many", "≥ 1.2 x Sidekiq's push_bulk and ChasquiMQ, where they run",
        _times("peers", "redisjobs, sync",
               {"ArdiQ (those do not run here)": ("ArdiQ*", None), "BullMQ": ("BullMQ*", None)},
               "bulk_per_s"),
    ),
    Target(
        "enqueue one by one, jobs/s", "reported",
        _all_of(
            _medians(["redisjobs, sync"], "peers", "enqueue_per_s", 0),
            _beside_peers("peers", "enqueue_per_s", 0, _FAST),
        ),
    ),
    Target(
        "pick-up by an idle worker, p50 ms", "≤ 0.45",
        _all_of(
            _medians(["redisjobs, sync", "redisjobs, async"], "latency", "p50_ms", 2,
                     Limit(most=0.45)),
            _labelled_medians(_POP_FLOORS, "latency", "p50_ms", 2),
            _beside_peers("peers", "p50_ms", 2, ["redisjobs, sync", *_FAST]),
        ),
    ),
    Target(
        "the same, p99 ms", "≤ 1.2",
        _all_of(
            _medians(["redisjobs, sync", "redisjobs, async"], "latency", "p99_ms", 2,
                     Limit(most=1.2)),
            _labelled_medians(_POP_FLOORS, "latency", "p99_ms", 2),
            _beside_peers("peers", "p99_ms", 2, ["redisjobs, sync", *_FAST]),
        ),
    ),
    Target(
        "scheduled over 4 s, p50 ms late", "≤ 0.6, never early",
        _all_of(
            _medians(["redisjobs, sync, spread", "redisjobs, async, spread"], "scheduled",
                     "p50_ms", 2, Limit(most=0.6)),
            _labelled_medians(_DUE_FLOOR, "scheduled", "p50_ms", 2),
            _beside_peers("scheduled", "p50_ms", 0,
                          [f"{name}*, spread" for name in ("Celery", "mayu", "BullMQ")]),
        ),
    ),
    Target(
        "the same, p99 ms late", "≤ 2",
        _all_of(
            _medians(["redisjobs, sync, spread", "redisjobs, async, spread"], "scheduled",
                     "p99_ms", 2, Limit(most=2)),
            _labelled_medians(_DUE_FLOOR, "scheduled", "p99_ms", 2),
            _beside_peers("scheduled", "p99_ms", 0,
                          [f"{name}*, spread" for name in ("Celery", "mayu", "BullMQ")]),
        ),
    ),
    Target(
        "200 due in one instant, the last, ms late", "≤ 10",
        _all_of(
            _medians([f"redisjobs, {how}, one instant{again}"
                      for again in ("", ", again") for how in ("sync", "async")],
                     "scheduled", "max_ms", 1, Limit(most=10)),
            _labelled_medians(_INSTANT_FLOOR, "scheduled", "max_ms", 1),
            _beside_peers("scheduled", "max_ms", 0,
                          [f"{name}*, one instant" for name in ("Celery", "mayu", "BullMQ")]),
        ),
    ),
    Target(
        "memory of a waiting job, bytes", "≤ 280 on Redis 8 and Valkey 9, ≤ 340 on Redis 7.0",
        _all_of(_memory, _beside_peers("peers", "bytes_per_job", 0, _FAST)),
    ),
    Target(
        "calls a second of an idle worker", "≤ 2",
        _shown("scale", f"{_IDLE}: 1", "idle_calls_per_s", 2, Limit(most=2)),
    ),
    Target(
        "processor of an idle worker, % of a core", "not measurable",
        _medians([f"{_IDLE}: {number}" for number in (1, 10, 100, 500)], "scale",
                 "idle_worker_percent", 2),
    ),
    Target(
        "10,000 → 1,000,000 waiting jobs", "cost of a job x 1.3 at most",
        _all_of(
            _growth("redisjobs beside waiting", ("10,000", "1,000,000"), _CPU, Limit(most=1.3)),
            _growth("floor: bare scripts beside waiting", ("10,000", "1,000,000"),
                    {"redis_cpu_us": "floor: Redis CPU"}, None),
        ),
    ),
    Target(
        "1 → 200 kinds", "cost of a job x 1.5 at most",
        _all_of(
            _growth("redisjobs with kinds", ("1", "200"),
                    {**_CPU, "fill_redis_us": "Redis CPU to enqueue"}, Limit(most=1.5)),
            _growth("floor: bare scripts with kinds", ("1", "200"),
                    {"redis_cpu_us": "floor: Redis CPU",
                     "fill_redis_us": "floor: Redis CPU to enqueue"}, None),
        ),
    ),
    Target(
        "500 idle workers, 100 due a second", "≤ 5 % of a core for Redis",
        _all_of(
            _shown("scale", f"{_IDLE}: 500", "redis_percent", 1, Limit(most=5)),
            _medians(["floor: PING as often, connections: 500"], "scale", "redis_percent", 1),
        ),
    ),
    Target(
        "another kind beside a flood, the last of 50, ms", "≤ 50",
        _shown("scale", "redisjobs, another kind*", "max_ms", 1, Limit(most=50)),
    ),
    Target(
        "long jobs on two workers, the last starts after ms", "≤ 1,000",
        _shown("scale", "redisjobs, long jobs*", "max_ms", 0, Limit(most=1000)),
    ),
    Target(
        "1, 2, 4, 8 processes, 5 ms handler", "linear until the cores are full",
        _medians([f"redisjobs with processes: {number}" for number in (1, 2, 4, 8)], "scale",
                 "of_ideal", 2),
    ),
)  # fmt: skip


def _verdict(held: Sequence[bool]) -> str:
    if not held:
        return ""
    return "met" if all(held) else "in part" if any(held) else "missed"


def lines(figures: All) -> list[list[str]]:
    """Head and lines of the table; of those that were measured."""
    drawn = [(one, one.measured(figures)) for one in TARGETS]
    head = ["what", "target", "measured", ""]
    return [
        head,
        *(
            [one.what, one.target, seen.text, _verdict(seen.held)]
            for one, seen in drawn
            if seen.text
        ),
    ]
