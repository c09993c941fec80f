"""Handlers that do something: 1 ms of computing, 5 ms of waiting, one of the former to four of the
latter. What the queue adds to each job, in worker CPU, and the floor: the same handlers on as many
bare threads or tasks.

    python -m benchmarks.work [--runs 5] [--jobs 4000] [--json FILE] [--plot FILE]

Concurrency is 10. Where handlers compute, threads of one process share one core by the GIL: the
limit of a process is then 1,000 jobs a second less what the queue needs.
"""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.bare_slots import measured
from benchmarks.contender import Ours
from benchmarks.drain import drain
from benchmarks.plots import Plot
from benchmarks.report import Benchmark, Metric, Options, Run, main
from benchmarks.servers import serving
from benchmarks.worker_process import CPU_S, MIX_COMPUTES, WAIT_S


class Work(NamedTuple):
    """One sort of work: its handler, and the processor and waiting time of one job."""

    handler: str
    cpu_s: float
    wait_s: float


WORKS = {
    "1 ms CPU": Work("cpu", CPU_S, 0.0),
    "5 ms wait": Work("wait", 0.0, WAIT_S),
    "mix": Work("mix", CPU_S * MIX_COMPUTES, WAIT_S * (1 - MIX_COMPUTES)),
}
CONCURRENCY = 10


def _ideal_per_s(work: Work, processes: int) -> float:
    """What slots and cores permit, if the queue needed nothing."""
    by_slots = CONCURRENCY / (work.cpu_s + work.wait_s)
    by_gil = 1 / work.cpu_s if work.cpu_s else by_slots
    return processes * min(by_slots, by_gil)


def run(options: Options) -> Run:
    """All rows once."""
    rows: dict[str, dict[str, float]] = {}
    for name, work in WORKS.items():
        for flavour, suffix in (("sync", ""), ("async", "_async")):
            for processes in (1, 2):
                row = f"redisjobs, {name}, {flavour}, processes: {processes}"
                if options.wants(row):
                    rows[row] = _row(options, work, suffix, processes)
            floor = f"floor: bare {'tasks' if suffix else 'threads'}, {name}"
            if options.wants(floor):
                rows[floor] = _floor(options, work, suffix)
    return rows


def _floor(options: Options, work: Work, suffix: str) -> dict[str, float]:
    bare = measured(work.handler + suffix, options.jobs, CONCURRENCY)
    per_s = bare.calls / bare.seconds
    return {
        "jobs_per_s": per_s,
        "overhead_us": (bare.cpu_s / bare.calls - work.cpu_s) * 1e6,
        "of_ideal": per_s / _ideal_per_s(work, 1),
        "worker_cores": bare.cpu_s / bare.seconds,
    }


def _row(options: Options, work: Work, suffix: str, processes: int) -> dict[str, float]:
    with serving(options.server) as served:
        ours = Ours(served, handler=work.handler + suffix, concurrency=CONCURRENCY)
        ours.fill(options.jobs)
        drained = drain(served, ours, options.jobs, processes=processes)
    return {
        **drained.metrics(),
        "overhead_us": drained.worker_cpu_us - work.cpu_s * 1e6,
        "of_ideal": drained.jobs_per_s / _ideal_per_s(work, processes),
    }


METRICS = [
    Metric("jobs_per_s", "jobs/s"),
    Metric("of_ideal", "of what slots and GIL permit", 2),
    Metric("overhead_us", "worker CPU µs beyond the handler's", 1),
    Metric("redis_cpu_us", "Redis CPU µs", 1),
    Metric("worker_cores", "worker cores", 2),
    Metric("foreign_cores", "foreign cores", 2),
]

BENCHMARK = Benchmark(
    "work",
    "Handlers that compute or wait, concurrency 10",
    METRICS,
    run,
    jobs=4000,
    plot=Plot(
        "Handlers that do something",
        {"jobs_per_s": "jobs a second", "overhead_us": "worker CPU beyond the handler's, µs"},
    ),
)


if __name__ == "__main__":
    main(BENCHMARK)
