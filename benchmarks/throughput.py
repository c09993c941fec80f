"""How many no-op jobs a second go through, and what each costs.

    python -m benchmarks.throughput [--runs 5] [--jobs 200000] [--json FILE] [--plot FILE]

Each row has a fresh server on TCP: it is filled by `enqueue_many`, then worker processes drain it.
The rate is taken once a fifth has ended, so that starting an interpreter is no part of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks import floor
from benchmarks.bare_threads import scripts_and_threads
from benchmarks.contender import Ours
from benchmarks.cpu import ForeignLoad
from benchmarks.drain import drain
from benchmarks.keeping_floor import scripts_that_keep
from benchmarks.plots import Plot
from benchmarks.producing import one_by_one
from benchmarks.report import Benchmark, Metric, Options, Run, main
from benchmarks.servers import Served, serving

SMALL_BATCH = 10  # as many as ten slots without prefetch have a round trip for
FEWER = 4  # a quarter of the jobs is enough then


class Drain(NamedTuple):
    """One row: its handler, how many processes, and settings other than the defaults."""

    handler: str = "noop"
    processes: int = 1
    settings: dict[str, float] = {}  # noqa: RUF012 - nobody writes it


# What is quoted as a fraction of another of ours stands next to it: such a machine's speed changes
# by the minute. The floors come minutes later.
DRAINS = {
    "redisjobs, sync": Drain(),
    "redisjobs, default retention": Drain(settings={"retention": 3600.0}),
    "redisjobs, async": Drain("noop_async"),
    "redisjobs, 2 processes": Drain(processes=2),
    "redisjobs, 2 processes, async": Drain("noop_async", 2),
    "redisjobs, prefetch=0": Drain(settings={"prefetch": 0}),
}
# Where one row is quoted as a fraction of another: of which, and as what.
FRACTIONS = (
    ("redisjobs, sync", "floor: bare scripts, 100 a call", "of_floor"),
    ("redisjobs, sync", "floor: bare scripts, 1,000 a call", "of_large_floor"),
    ("redisjobs, 2 processes", "floor: bare scripts, 100 a call", "of_floor"),
    ("redisjobs, 2 processes", "floor: bare scripts, 1,000 a call", "of_large_floor"),
    ("redisjobs, prefetch=0", "floor: bare scripts, 10 a call", "of_small_floor"),
    ("redisjobs, prefetch=0", "floor: bare scripts and ten threads, 10 a call", "of_threads"),
    ("redisjobs, default retention", "redisjobs, sync", "of_without_retention"),
    (
        "redisjobs, default retention",
        "floor: bare scripts that keep records, 100 a call",
        "of_floor",
    ),
    (
        "redisjobs, default retention",
        "floor: bare scripts that keep records, 1,000 a call",
        "of_large_floor",
    ),
    *(
        (
            f"floor: bare scripts that keep records, {batch} a call",
            f"floor: bare scripts, {batch} a call",
            "of_without_retention",
        )
        for batch in ("100", "1,000")
    ),
)


def drained(served: Served, how: Drain, jobs: int) -> dict[str, float]:
    """Fills and drains once."""
    ours = Ours(served, handler=how.handler, **how.settings)
    used, began = served.cpu_us(), time.monotonic()
    before = time.process_time()
    ours.fill(jobs)
    producer_us = (time.process_time() - before) * 1e6 / jobs
    bulk = jobs / (time.monotonic() - began)
    result = drain(served, ours, jobs, processes=how.processes)
    return {
        **result.metrics(),
        "bulk_per_s": bulk,
        "producer_cpu_us": producer_us,
        "redis_life_us": (result.redis_us - used) / jobs,
    }


class Floor(NamedTuple):
    """One row: what moves the jobs, how many a call, and by what the number of jobs is divided."""

    move: Callable[[Served, int, int], dict[str, float]]
    batch: int
    divided_by: int = 1


FLOORS = {
    "floor: bare scripts, 10 a call": Floor(floor.scripts, SMALL_BATCH, FEWER),
    "floor: bare scripts and ten threads, 10 a call": Floor(
        scripts_and_threads, SMALL_BATCH, FEWER
    ),
    "floor: bare scripts, 100 a call": Floor(floor.scripts, floor.BATCH),
    "floor: bare scripts that keep records, 100 a call": Floor(scripts_that_keep, floor.BATCH),
    "floor: bare scripts, 1,000 a call": Floor(floor.scripts, floor.LARGE_BATCH),
    "floor: bare scripts that keep records, 1,000 a call": Floor(
        scripts_that_keep, floor.LARGE_BATCH
    ),
    "floor: plain commands, 100 jobs each": Floor(floor.commands, floor.BATCH),
    "floor: plain commands, 1,000 jobs each": Floor(floor.commands, floor.LARGE_BATCH),
    "plain commands, one job each": Floor(floor.single_commands, floor.BATCH),
}


def run(options: Options) -> Run:
    """All rows once."""
    rows: dict[str, dict[str, float]] = {}
    for name, how in DRAINS.items():
        if options.wants(name):
            jobs = options.jobs * how.processes
            if how.settings.get("prefetch") == 0:
                jobs //= FEWER
            with serving(options.server) as served:
                rows[name] = drained(served, how, jobs)
    for name, bare in FLOORS.items():
        if options.wants(name):
            with serving(options.server) as served:
                load = ForeignLoad()
                rows[name] = bare.move(served, options.jobs // bare.divided_by, bare.batch)
                rows[name]["foreign_cores"] = load.cores()
    if options.wants("redisjobs, one by one"):
        with serving(options.server) as served:
            load = ForeignLoad()
            rows["redisjobs, one by one"] = one_by_one(served, options.jobs // 20)
            rows["redisjobs, one by one"]["foreign_cores"] = load.cores()
    for name, other, what in FRACTIONS:
        if name in rows and other in rows:
            rows[name][what] = rows[name]["jobs_per_s"] / rows[other]["jobs_per_s"]
    return rows


METRICS = [
    Metric("jobs_per_s", "drain/s"),
    Metric("of_floor", "of the floor, 100 a call", 2),
    Metric("of_large_floor", "of the floor, 1,000 a call", 2),
    Metric("of_small_floor", "of the floor, 10 a call", 2),
    Metric("of_threads", "of the same with ten threads", 2),
    Metric("of_without_retention", "of the rate without retention", 2),
    Metric("worker_cpu_us", "worker CPU µs", 1),
    Metric("redis_cpu_us", "Redis CPU µs", 1),
    Metric("redis_life_us", "Redis CPU µs, whole life", 1),
    Metric("worker_cores", "worker cores", 2),
    Metric("redis_cores", "Redis cores", 2),
    Metric("bulk_per_s", "bulk/s"),
    Metric("enqueue_per_s", "enqueue/s"),
    Metric("bare_per_s", "bare EVALSHA/s"),
    Metric("of_bare", "of bare", 2),
    Metric("producer_cpu_us", "producer CPU µs", 1),
    Metric("foreign_cores", "foreign cores", 2),
]

BENCHMARK = Benchmark(
    "throughput",
    "No-op jobs with a payload of 105 bytes: drain, enqueue, and processor time per job",
    METRICS,
    run,
    jobs=200_000,
    plot=Plot(
        "No-op jobs a second, and what each costs",
        {"jobs_per_s": "drained a second", "worker_cpu_us": "worker CPU, µs a job",
         "redis_life_us": "Redis CPU, µs a job, whole life"},
    ),
)  # fmt: skip


if __name__ == "__main__":
    main(BENCHMARK)
