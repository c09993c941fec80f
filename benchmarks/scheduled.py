"""How late a job with a RunAt starts, and that none starts early.

    python -m benchmarks.scheduled [--runs 5] [--jobs 400] [--json FILE] [--plot FILE]

Jobs spread over 4 seconds, and half as many due in one instant, twice: the first ones that a worker
meets tell it nothing of how long they take. Lateness is from the job's RunAt to
the first line of the handler, by the clock of this machine, which is the server's, too. In the
first run other queues are measured, too (benchmarks/peers/scheduled.py).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.contender import Ours
from benchmarks.cpu import ForeignLoad
from benchmarks.floor import BELL, DUE, JOBS, RECORD, Raw
from benchmarks.journal import Journal
from benchmarks.latency import percentiles, stamped
from benchmarks.peers.catalog import PEERS
from benchmarks.peers.install import NotHere
from benchmarks.peers.scheduled import scheduled
from benchmarks.plots import Plot
from benchmarks.processes import running
from benchmarks.report import Benchmark, Metric, Options, Run, main
from benchmarks.servers import serving
from benchmarks.waiting import wait_for
from redisjobs import Job

SPREAD_S = 4.0
LEAD_S = 1.0
ROWS = {
    "redisjobs, sync, spread": ("late", SPREAD_S),
    "redisjobs, async, spread": ("late_async", SPREAD_S),
    "redisjobs, sync, one instant": ("late", 0.0),
    "redisjobs, async, one instant": ("late_async", 0.0),
}
# With how many threads, and spread over how long.
FLOORS = {
    "floor: bare claim when due, a thread, spread": (1, SPREAD_S),
    "floor: bare claim when due, ten threads, one instant": (10, 0.0),
}


def lateness(
    server: str, handler: str, jobs: int, spread_s: float, rounds: int = 1
) -> list[dict[str, float]]:
    """One row for each round, all with one worker: in the first it has run nothing yet.

    Raises:
        AssertionError: a job started before its time.
    """
    with serving(server) as served, tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal = Journal(notes)
        ours = Ours(served, handler=handler)
        with running(ours.command(), 1, journal.environ, Path(folder, "log")):
            wait_for("the worker", lambda: bool(ours.queue.stats().workers))
            rows = [_coming_due(ours, journal, jobs, spread_s) for _ in range(rounds)]
        ours.verify(jobs * rounds)
        return rows


def _moments(first: float, jobs: int, spread_s: float) -> list[float]:
    # Whole microseconds, as they are stored: else a fraction of one would seem early.
    return [round(first + spread_s * place / jobs, 6) for place in range(jobs)]


def _row(late: Sequence[float], load: ForeignLoad) -> dict[str, float]:
    assert min(late) >= 0, f"a job started {-min(late) * 1e6:.0f} µs early"
    return {**percentiles(late), "least_ms": min(late) * 1e3, "foreign_cores": load.cores()}


def _coming_due(ours: Ours, journal: Journal, jobs: int, spread_s: float) -> dict[str, float]:
    ran, load, first = journal.runs(), ForeignLoad(), time.time() + LEAD_S
    for due in _moments(first, jobs, spread_s):
        run_at = datetime.fromtimestamp(due, UTC)
        ours.queue.enqueue(Job("noop", stamped(run_at.timestamp()), run_at=run_at))
    assert time.time() < first, "enqueueing took longer than the lead"
    wait_for("all jobs to run", lambda: journal.runs() >= ran + jobs)
    return _row(journal.values()[ran:], load)


def bare_lateness(server: str, threads: int, jobs: int, spread_s: float) -> dict[str, float]:
    """The limit: a process that knows when its jobs are due, and claims them then for so many
    threads.

    Raises:
        AssertionError: a job started before its time.
    """
    with serving(server) as served, tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal, raw = Journal(notes), Raw(served.url)
        command = [sys.executable, "-m", "benchmarks.bare_worker", served.url, "due", str(threads)]
        with running(command, 1, journal.environ, Path(folder, "log")):
            wait_for("the worker", lambda: served.client.info("clients")["blocked_clients"] == 1)
            load, first = ForeignLoad(), time.time() + LEAD_S
            for place, due in enumerate(_moments(first, jobs, spread_s)):
                id = b"%020d" % place
                raw.ask(
                    ("HSET", JOBS, id, stamped(due, len(RECORD))),
                    ("ZADD", DUE, round(due * 1e6), id),
                )
            raw.ask(("RPUSH", BELL, "1"))
            assert time.time() < first, "enqueueing took longer than the lead"
            wait_for("all jobs to run", lambda: journal.runs() >= jobs)
            row = _row(journal.values(), load)
            wait_for("nothing to be left", lambda: served.client.dbsize() == 0)
        raw.close()
        return row


def run(options: Options) -> Run:
    """All rows once; the peers' in the first run only, since they take minutes."""
    rows: dict[str, dict[str, float]] = {}
    for name, (handler, spread) in ROWS.items():
        if options.wants(name) and spread:
            [rows[name]] = lateness(options.server, handler, options.jobs, spread)
        elif options.wants(name):
            rows[name], rows[f"{name}, again"] = lateness(
                options.server, handler, options.jobs // 2, spread, rounds=2
            )
    for name, (threads, spread) in FLOORS.items():
        if options.wants(name):
            jobs = options.jobs if spread else options.jobs // 2
            rows[name] = bare_lateness(options.server, threads, jobs, spread)
    for peer in PEERS:
        if options.turn == 0 and not peer.only_drained and options.wants(peer.title):
            try:
                rows |= scheduled(options.server, peer, options.jobs, SPREAD_S)
            except (NotHere, RuntimeError, TimeoutError, AssertionError) as err:
                options.failed(peer.title, err)
    return rows


METRICS = [
    Metric("p50_ms", "p50 ms late", 2),
    Metric("p99_ms", "p99 ms late", 2),
    Metric("max_ms", "most ms late", 2),
    Metric("least_ms", "least ms late", 2),
    Metric("early", "part that began early", 2),
    Metric("foreign_cores", "foreign cores", 2),
]

BENCHMARK = Benchmark(
    "scheduled",
    "Lateness of scheduled jobs: spread over 4 s, and many due in one instant",
    METRICS,
    run,
    jobs=400,
    plot=Plot(
        "Lateness",
        {"p50_ms": "p50, ms", "p99_ms": "p99, ms", "max_ms": "the last, ms"},
        rows=("redisjobs", "floor", "mayu", "BullMQ", "ArdiQ", "Dramatiq", "Celery"),
        log=True,
    ),
)


if __name__ == "__main__":
    main(BENCHMARK)
