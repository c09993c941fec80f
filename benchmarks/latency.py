"""How soon an idle worker starts a job that was just enqueued, over TCP.

    python -m benchmarks.latency [--runs 5] [--jobs 400] [--json FILE] [--plot FILE]

Measured from before the call of `enqueue` to the first line of the handler, one job at a time, with
pauses of 5 to 15 ms.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.contender import Ours
from benchmarks.cpu import ForeignLoad
from benchmarks.floor import BELL, DUE, JOBS, RECORD, Command, Raw, evalsha, load
from benchmarks.journal import Journal
from benchmarks.plots import Plot
from benchmarks.processes import running
from benchmarks.report import Benchmark, Metric, Options, Run, main
from benchmarks.servers import serving
from benchmarks.waiting import wait_for
from redisjobs import Job

ROWS = {"redisjobs, sync": "pick_up", "redisjobs, async": "pick_up_async"}
_WARM_UP = 20


def stamped(moment: float, width: int = 105) -> bytes:
    """A payload that begins with a moment, in seconds."""
    return f"{moment:<20.7f}".encode().ljust(width, b"x")


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Of what was noted, in milliseconds."""
    ordered = sorted(seconds)

    def at(part: float) -> float:
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] * 1e3

    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": ordered[-1] * 1e3}


def pick_up(server: str, handler: str, jobs: int) -> dict[str, float]:
    """One row of one run."""
    with serving(server) as served, tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal = Journal(notes)
        ours = Ours(served, handler=handler)
        with running(ours.command(), 1, journal.environ, Path(folder, "log")):
            wait_for("the worker", lambda: bool(ours.queue.stats().workers))
            load = ForeignLoad()
            for _ in range(jobs + _WARM_UP):
                ours.queue.enqueue(Job("noop", stamped(time.monotonic())))
                time.sleep(random.uniform(0.005, 0.015))
            wait_for("all jobs to run", lambda: journal.runs() >= jobs + _WARM_UP)
            foreign = load.cores()
        ours.verify(jobs + _WARM_UP)
        return {**percentiles(journal.values()[_WARM_UP:]), "foreign_cores": foreign}


class Floor(NamedTuple):
    """One row of a limit: the module that is run with the server's address and these words, and
    what is sent to it, by its place among all.
    """

    module: str
    words: Sequence[str]
    push: Callable[[int], Command]


def _push(_: int) -> Command:
    return ("RPUSH", "popper", stamped(time.monotonic()))


_ENQUEUE_AND_RING = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 1, ARGV[1])
return redis.call('RPUSH', KEYS[3], '1')
"""


def _enqueue_and_ring(place: int) -> Command:
    record = stamped(time.monotonic(), len(RECORD))
    return evalsha(_ENQUEUE_AND_RING, (JOBS, DUE, BELL), b"%020d" % place, record)


FLOORS = {
    "floor: push and blocking pop": Floor("benchmarks.popper", (), _push),
    # The hops of ours: an idle worker is handed no job behind its blocking pop.
    "floor: push, blocking pop, bare claim, a thread": Floor(
        "benchmarks.bare_worker", ("rung", "1"), _enqueue_and_ring
    ),
}


def bare(server: str, floor: Floor, jobs: int) -> dict[str, float]:
    """One row of the limit: a push, and a process that blocks in BLPOP."""
    with serving(server) as served, tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal, raw = Journal(notes), Raw(served.url)
        load(raw, _ENQUEUE_AND_RING)
        command = [sys.executable, "-m", floor.module, served.url, *floor.words]
        with running(command, 1, journal.environ, Path(folder, "log")):
            wait_for("the process", lambda: served.client.info("clients")["blocked_clients"] == 1)
            foreign_load = ForeignLoad()
            for place in range(jobs + _WARM_UP):
                raw.ask(floor.push(place))
                time.sleep(random.uniform(0.005, 0.015))
            wait_for("all to run", lambda: journal.runs() >= jobs + _WARM_UP)
            foreign = foreign_load.cores()
            wait_for("nothing to be left", lambda: served.client.dbsize() == 0)
        raw.close()
        return {**percentiles(journal.values()[_WARM_UP:]), "foreign_cores": foreign}


def run(options: Options) -> Run:
    """All rows once."""
    rows = {
        name: pick_up(options.server, handler, options.jobs)
        for name, handler in ROWS.items()
        if options.wants(name)
    }
    for name, floor in FLOORS.items():
        if options.wants(name):
            rows[name] = bare(options.server, floor, options.jobs)
    return rows


METRICS = [
    Metric("p50_ms", "p50 ms", 2),
    Metric("p99_ms", "p99 ms", 2),
    Metric("max_ms", "max ms", 2),
    Metric("foreign_cores", "foreign cores", 2),
]

BENCHMARK = Benchmark(
    "latency",
    "Pick-up of one job by an idle worker",
    METRICS,
    run,
    jobs=400,
    plot=Plot("Pick-up by an idle worker", {"p50_ms": "p50, ms", "p99_ms": "p99, ms"}),
)


if __name__ == "__main__":
    main(BENCHMARK)
