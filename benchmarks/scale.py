"""What grows with the queue, and what does not.

    python -m benchmarks.scale [--runs 3] [--full] [--only PART …] [--json FILE] [--plot FILE]

Waiting jobs from 10,000 to 1,000,000 (5,000,000 with --full); 1 to 200 kinds; 1 to 500 idle workers
(threads, each with its connections, of processes with up to 100) while 100 scheduled jobs a second
come due; another kind beside a flood; long jobs on two workers; 1 to 8 processes with a handler
that waits 5 ms.
"""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean

from benchmarks import floor
from benchmarks.contender import Ours
from benchmarks.cpu import ForeignLoad
from benchmarks.drain import drain
from benchmarks.journal import Journal
from benchmarks.kinds_floor import scripts_with_kinds
from benchmarks.latency import percentiles, stamped
from benchmarks.plots import Plot
from benchmarks.processes import Processes, running
from benchmarks.report import Benchmark, Metric, Options, Run, main
from benchmarks.servers import Served, serving
from benchmarks.waiting import wait_for
from benchmarks.worker_process import WAIT_S
from redisjobs import Job

SIZES = (10_000, 100_000, 1_000_000)
FULL_SIZE = 5_000_000
KINDS = (1, 10, 50, 200)
WORKERS = (1, 10, 100, 500)
PROCESSES = (1, 2, 4, 8)
SCHEDULED_PER_S = 100
IDLE_S = 20.0
DUE_S = 4.0
SETTLE_S = 1.0
LONG_S = 10.0
CONCURRENCY = 10

# Up to 128 entries a due set is a list that is searched from its start: with few of each kind
# nothing but that would be measured.
_MORE_OF_KINDS = 5
# More threads than this starve each other for the interpreter of their process.
_WORKERS_A_PROCESS = 100

Rows = dict[str, dict[str, float]]


def _drain_of(served: Served, ours: Ours, waiting: int, measured: int) -> dict[str, float]:
    """Fills up to `waiting`, then drains `measured` of them."""
    began, used = time.monotonic(), served.cpu_us()
    ours.fill(waiting)
    filled, fill_us = time.monotonic() - began, served.cpu_us() - used
    left = max(0, waiting - measured)
    drained = drain(served, ours, waiting, until_left=left)
    return {
        **drained.metrics(),
        "bulk_per_s": waiting / filled,
        "fill_redis_us": fill_us / waiting,
    }


def waiting_jobs(options: Options) -> Rows:
    """The cost of a job beside ever more that wait, and of bare scripts that move as many, in turn:
    the machine's speed changes meanwhile.
    """
    ours: Rows = {}
    bare: Rows = {}
    for size in (*SIZES, FULL_SIZE) if options.full else SIZES:
        of_ours, of_bare = _beside(options, size)
        ours[f"redisjobs beside waiting: {size:,}"] = of_ours
        bare[f"floor: bare scripts beside waiting: {size:,}"] = of_bare
    return ours | bare


def _beside(options: Options, size: int) -> tuple[dict[str, float], dict[str, float]]:
    """Ours and the floor's. Few jobs are drained several times: once is too short a time."""
    scaled = max(200, size * options.jobs // 40_000)
    measured = min(options.jobs, scaled * 4 // 5)
    ours, bare = list[dict[str, float]](), list[dict[str, float]]()
    for _ in range(max(1, options.jobs // measured)):
        for drained, drains in ((_ours_drained, ours), (_bare_drained, bare)):
            with serving(options.server) as served:
                drains.append(drained(served, scaled, measured))
    return _means(ours), _means(bare)


def _means(drains: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {metric: fmean(one[metric] for one in drains) for metric in drains[0]}


def _ours_drained(served: Served, waiting: int, measured: int) -> dict[str, float]:
    return _drain_of(served, Ours(served), waiting, measured)


def _bare_drained(served: Served, waiting: int, measured: int) -> dict[str, float]:
    load = ForeignLoad()
    row = floor.scripts(served, waiting, floor.LARGE_BATCH, max(1, waiting - measured))
    return {**row, "foreign_cores": load.cores()}


def kinds(options: Options) -> Rows:
    """The cost of a job where they are of ever more kinds, all run by one worker, and that of bare
    scripts with as many kinds, in turn.
    """
    ours: Rows = {}
    bare: Rows = {}
    jobs = options.jobs * _MORE_OF_KINDS
    for number in KINDS:
        names = tuple(f"kind-{place:03}" for place in range(number))
        with serving(options.server) as served:
            row = _drain_of(served, Ours(served, kinds=names), jobs, jobs)
            ours[f"redisjobs with kinds: {number}"] = row
        with serving(options.server) as served:
            load = ForeignLoad()
            row = scripts_with_kinds(served, jobs, number)
            row["foreign_cores"] = load.cores()
            bare[f"floor: bare scripts with kinds: {number}"] = row
    return ours | bare


def idle_workers(options: Options) -> Rows:
    """What idle workers cost the server: alone, and while scheduled jobs come due; and what a
    connection for each costs it, of the three that it has, that asks it nothing as often.
    """
    ours = {
        f"redisjobs with idle workers: {number}": _idle_and_due(options, number)
        for number in WORKERS
    }
    return ours | {
        f"floor: PING as often, connections: {number}": _pinging(options, number, row)
        for number, row in zip(WORKERS, ours.values(), strict=True)
    }


def _pinging(options: Options, number: int, row: dict[str, float]) -> dict[str, float]:
    with serving(options.server) as served:
        idle_per_s = row["idle_calls_per_s"] * number
        return {
            "idle_redis_percent": floor.pings(served, number, idle_per_s, IDLE_S),
            "redis_percent": floor.pings(served, number, row["calls_per_s"], DUE_S),
        }


def _idle_and_due(options: Options, number: int) -> dict[str, float]:
    with serving(options.server) as served, tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal = Journal(notes)
        processes = math.ceil(number / _WORKERS_A_PROCESS)
        ours = Ours(served, handler="late", workers=number // processes)
        with running(ours.command(), processes, journal.environ, Path(folder, "log")) as fleet:

            def all_work() -> bool:
                fleet.check()
                return len(ours.queue.stats().workers) == number

            wait_for("all workers", all_work, 0.2)
            time.sleep(SETTLE_S)  # the first round of each is no idling
            row = _idling(served, fleet, number)
            return row | _coming_due(served, ours, journal)


_FROM_CLIENTS = {"evalsha", "eval", "blpop", "ping"}  # the others are called by scripts, or by us


def _calls(served: Served) -> int:
    return sum(cost.calls for name, cost in served.commands().items() if name in _FROM_CLIENTS)


def _idling(served: Served, fleet: Processes, number: int) -> dict[str, float]:
    calls, used, worker_s = _calls(served), served.cpu_us(), fleet.cpu_seconds()
    time.sleep(IDLE_S)
    return {
        "idle_calls_per_s": (_calls(served) - calls) / IDLE_S / number,
        "idle_redis_percent": (served.cpu_us() - used) / IDLE_S / 1e4,
        "idle_worker_percent": (fleet.cpu_seconds() - worker_s) / IDLE_S * 100 / number,
    }


def _coming_due(served: Served, ours: Ours, journal: Journal) -> dict[str, float]:
    """100 scheduled jobs a second come due; what storing them costs the server is not counted."""
    jobs = int(SCHEDULED_PER_S * DUE_S)
    first = time.time() + SETTLE_S
    moments = [round(first + place / SCHEDULED_PER_S, 6) for place in range(jobs)]
    ours.queue.enqueue(
        *(Job("noop", stamped(due), run_at=datetime.fromtimestamp(due, UTC)) for due in moments)
    )
    time.sleep(max(0.0, first - time.time() - 0.05))
    load, calls, used, began = ForeignLoad(), _calls(served), served.cpu_us(), time.monotonic()
    wait_for("the scheduled jobs", lambda: journal.runs() >= jobs)
    seconds = time.monotonic() - began
    late = percentiles(journal.values())
    return {
        "redis_percent": (served.cpu_us() - used) / seconds / 1e4,
        "calls_per_s": (_calls(served) - calls) / seconds,
        "p50_ms": late["p50_ms"],
        "p99_ms": late["p99_ms"],
        "foreign_cores": load.cores(),
    }


def fairness(options: Options) -> Rows:
    """While a flood of one kind waits and is worked on, jobs of another kind come one by one."""
    flood = max(20_000, 25 * options.jobs)
    with serving(options.server) as served, tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal = Journal(notes)
        ours = Ours(served, handler="pick_up", kinds=("flood", "other"))
        ours.queue.enqueue_many(Job("flood", b"x" * 105) for _ in range(flood))
        probes = 0
        with running(ours.command(), 1, journal.environ, Path(folder, "log")):
            wait_for("the flood to run", lambda: journal.runs() > 0)
            load = ForeignLoad()
            while probes < 50 and ours.queue.stats().kinds["flood"].ready > flood // 100:
                ours.queue.enqueue(Job("other", stamped(time.monotonic())))
                probes += 1
                time.sleep(random.uniform(0.01, 0.03))
            foreign, left = load.cores(), ours.queue.stats().kinds["flood"].ready
            wait_for("the probes to run", lambda: len(journal.values()) >= probes)
        assert probes, "the flood was over too soon"
        seen = percentiles(journal.values())
        row = {**seen, "waiting_after": left, "probes": probes, "foreign_cores": foreign}
        return {f"redisjobs, another kind beside a flood of {flood:,}": row}


def long_jobs(options: Options) -> Rows:
    """After short jobs, which teach a worker to prefetch, as many long ones as two workers have
    slots: each must start soon, none may wait behind another.
    """
    slots = 4
    with serving(options.server) as served, tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal = Journal(notes)
        ours = Ours(served, handler="long", concurrency=slots)
        ours.queue.enqueue_many(Job("noop", b"short") for _ in range(options.jobs // 4))
        with running(ours.command(), 2, journal.environ, Path(folder, "log")):
            wait_for("both workers", lambda: len(ours.queue.stats().workers) == 2)
            wait_for("the short ones to run", lambda: journal.runs() >= options.jobs // 4)
            load = ForeignLoad()
            payload = f"{time.monotonic():<20.7f}{LONG_S:<10}".encode()
            ours.queue.enqueue(*(Job("noop", payload) for _ in range(2 * slots)))
            wait_for("the long ones to start", lambda: len(journal.values()) >= 2 * slots)
            row = {**percentiles(journal.values()), "foreign_cores": load.cores()}
    return {"redisjobs, long jobs on two workers": row}


def scale_out(options: Options) -> Rows:
    """Ever more processes, with a handler that waits 5 ms."""
    rows: Rows = {}
    for number in PROCESSES:
        jobs = max(200, options.jobs // 10) * number
        with serving(options.server) as served:
            ours = Ours(served, handler="wait", concurrency=CONCURRENCY)
            ours.fill(jobs)
            row = drain(served, ours, jobs, processes=number).metrics()
        ideal = number * CONCURRENCY / WAIT_S
        rows[f"redisjobs with processes: {number}"] = {
            **row,
            "of_ideal": row["jobs_per_s"] / ideal,
        }
    return rows


PARTS = {
    "waiting": waiting_jobs,
    "kinds": kinds,
    "workers": idle_workers,
    "fairness": fairness,
    "long": long_jobs,
    "processes": scale_out,
}


def run(options: Options) -> Run:
    """All parts once. `--jobs` is how many are measured in a row, or scales it."""
    rows: Rows = {}
    for name, part in PARTS.items():
        if options.wants(name):
            try:
                rows |= part(options)
            except (TimeoutError, RuntimeError, AssertionError) as err:
                options.failed(name, err)
    return rows


METRICS = [
    Metric("jobs_per_s", "jobs/s"),
    Metric("worker_cpu_us", "worker CPU µs", 1),
    Metric("redis_cpu_us", "Redis CPU µs", 1),
    Metric("fill_redis_us", "Redis CPU µs to enqueue", 1),
    Metric("of_ideal", "of ideal", 2),
    Metric("worker_cores", "worker cores", 2),
    Metric("redis_cores", "Redis cores", 2),
    Metric("idle_calls_per_s", "idle: calls/s a worker", 2),
    Metric("idle_worker_percent", "idle: CPU % a worker", 2),
    Metric("idle_redis_percent", "idle: Redis %", 1),
    Metric("redis_percent", "100 due/s: Redis %", 1),
    Metric("calls_per_s", "100 due/s: calls/s"),
    Metric("p50_ms", "p50 ms", 2),
    Metric("p99_ms", "p99 ms", 2),
    Metric("max_ms", "max ms", 2),
    Metric("foreign_cores", "foreign cores", 2),
]

BENCHMARK = Benchmark(
    "scale",
    "Growth: waiting jobs, kinds, workers, processes",
    METRICS,
    run,
    jobs=40_000,
    plot=Plot(
        "What grows with the queue, and what does not",
        over="how many",
        panels=(
            (
                "Redis CPU, µs a job, beside waiting",
                "redis_cpu_us",
                ("redisjobs beside waiting", "floor: bare scripts beside waiting"),
            ),
            (
                "worker CPU, µs a job, beside waiting",
                "worker_cpu_us",
                ("redisjobs beside waiting",),
            ),
            (
                "Redis CPU, µs a job, with kinds",
                "redis_cpu_us",
                ("redisjobs with kinds", "floor: bare scripts with kinds"),
            ),
            ("Redis %, idle workers, 100 due a second", "redis_percent", ("redisjobs with idle",)),
            ("jobs/s with processes, 5 ms each", "jobs_per_s", ("redisjobs with processes",)),
        ),
    ),
)


if __name__ == "__main__":
    main(BENCHMARK)
