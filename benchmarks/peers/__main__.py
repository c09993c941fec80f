"""Other job queues on the same server in turn, each at its best documented setting.

    python -m benchmarks.peers [--runs 3] [--jobs 100000] [--only mayu redisjobs] [--json FILE]

Installs what is not installed yet. Each row has fresh servers: filled in bulk and drained by one
worker process (by two, in rows that say so), each job acknowledged and counted, the queue verified
to be empty; then jobs enqueued one by one; then the pick-up of single jobs by an idle worker; then
handlers that wait or compute, ten at once. Every other run takes the rows from the last to the
first, since a machine that slows down would favour whoever comes first.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.contender import Ours
from benchmarks.drain import drain
from benchmarks.journal import Journal
from benchmarks.latency import percentiles, pick_up
from benchmarks.peers.catalog import PEERS, Peer
from benchmarks.peers.contender import PeerContender
from benchmarks.peers.install import NotHere, install, version
from benchmarks.plots import Plot
from benchmarks.processes import running
from benchmarks.producing import one_by_one
from benchmarks.report import Benchmark, Metric, Options, Run, main
from benchmarks.servers import Served, serving
from benchmarks.waiting import wait_for

Row = dict[str, float]
_PICK_UPS = 200
_WARM_UP = 20
WORKS = ("wait", "cpu")
CONCURRENCY = 10
OURS = {
    "redisjobs, sync": ("noop", "pick_up", 1, {}),
    "redisjobs, async": ("noop_async", "pick_up_async", 1, {}),
    "redisjobs, typed task": ("task", "", 1, {}),
    "redisjobs, prefetch=0": ("noop", "", 1, {"prefetch": 0}),
    "redisjobs, sync, 2 processes": ("noop", "", 2, {}),
}
# As many of ours, for each process, take about as long as the fastest peer's.
_OURS_SHARE = 2


def _filled_and_drained(
    served: Served, contender: Any, jobs: int, processes: int, fill: Callable[[], float]
) -> Row:
    before, used = served.memory_bytes(), served.cpu_us()
    bulk = fill()
    memory = (served.memory_bytes() - before) / jobs
    drained = drain(served, contender, jobs, processes=processes)
    life = (drained.redis_us - used) / jobs
    return {
        **drained.metrics(), "bulk_per_s": bulk, "bytes_per_job": memory, "redis_life_us": life,
    }  # fmt: skip


def _ours(options: Options, name: str) -> Row:
    handler, picker, processes, settings = OURS[name]
    jobs = options.jobs // 4 if settings else options.jobs * _OURS_SHARE * processes
    with serving(options.server) as served:
        ours = Ours(served, handler=handler, **settings)

        def fill() -> float:
            began = time.monotonic()
            ours.fill(jobs)
            return jobs / (time.monotonic() - began)

        row = _filled_and_drained(served, ours, jobs, processes, fill)
    if picker:
        row = pick_up(options.server, picker, _PICK_UPS) | row  # the load beside the drain stays
        with serving(options.server) as served:
            row["enqueue_per_s"] = one_by_one(served, options.jobs // 40)["enqueue_per_s"]
        row |= _our_works(options, handler.removeprefix("noop"))
    return row


def _peer(options: Options, peer: Peer, processes: int) -> Row:
    jobs = max(100, int(options.jobs * peer.share))
    with serving(options.server) as served:
        contender = PeerContender(served, peer)

        def fill() -> float:
            contender.fill(jobs)
            return contender.rate

        row = _filled_and_drained(served, contender, jobs, processes, fill)
    if processes == 1 and not peer.only_drained:
        with serving(options.server) as served:
            number = min(jobs, options.jobs // 40)
            row["enqueue_per_s"] = PeerContender(served, peer).produce("one", number)
        row |= _picked_up(options.server, peer)
        row |= _works(options, peer)
    return row


def _works(options: Options, peer: Peer) -> Row:
    """Handlers that compute for 1 ms or wait for 5, ten at once."""
    row: Row = {}
    jobs = _work_jobs(options) if peer.share > 0.01 else _work_jobs(options) // 5
    for work in WORKS:
        with serving(options.server) as served:
            contender = PeerContender(served, peer._replace(at_once=CONCURRENCY), work)
            contender.fill(jobs)
            drained = drain(served, contender, jobs)
        row |= {f"{work}_per_s": drained.jobs_per_s, f"{work}_cpu_us": drained.worker_cpu_us}
    return row


def _our_works(options: Options, suffix: str) -> Row:
    row: Row = {}
    jobs = _work_jobs(options)
    for work in WORKS:
        with serving(options.server) as served:
            ours = Ours(served, handler=work + suffix, concurrency=CONCURRENCY)
            ours.fill(jobs)
            drained = drain(served, ours, jobs)
        row |= {f"{work}_per_s": drained.jobs_per_s, f"{work}_cpu_us": drained.worker_cpu_us}
    return row


def _work_jobs(options: Options) -> int:
    return max(100, options.jobs // 50)


def _picked_up(server: str, peer: Peer) -> Row:
    with serving(server) as served, tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal, contender = Journal(notes), PeerContender(served, peer)
        environ = {**journal.environ, **contender.environ}
        with running(contender.command(), 1, environ, Path(folder, "log")):
            contender.produce("many", 1)
            wait_for(f"{peer.name} to run a job", lambda: journal.runs() >= 1)
            contender.produce("stamped", _PICK_UPS + _WARM_UP)
            wait_for("all jobs to run", lambda: journal.runs() > _PICK_UPS + _WARM_UP)
        return percentiles(journal.values()[_WARM_UP:])


def run(options: Options) -> Run:
    """All rows once."""
    measured: list[Callable[[], dict[str, Row]]] = [
        partial(_rows_of_ours, options, name) for name in OURS if options.wants(name)
    ]
    measured += [
        partial(_rows_of_peer, options, peer)
        for peer in PEERS
        if options.wants(peer.name) or options.wants(peer.title)
    ]
    found = [rows() for rows in (reversed(measured) if options.turn % 2 else measured)]
    rows: dict[str, Row] = {}
    for part in reversed(found) if options.turn % 2 else found:
        rows |= part
    return rows


def _rows_of_ours(options: Options, name: str) -> dict[str, Row]:
    return {name: _ours(options, name)}


def _rows_of_peer(options: Options, peer: Peer) -> dict[str, Row]:
    try:
        install(peer)
        return _rows_of(options, peer)
    except (NotHere, RuntimeError, TimeoutError, AssertionError) as err:
        options.failed(peer.title, err)
        return {}


def _rows_of(options: Options, peer: Peer) -> dict[str, Row]:
    title = f"{peer.title} {version(peer).split()[-1]}"
    rows = {title: _peer(options, peer, 1)}
    if peer.two:
        rows[f"{title}, 2 processes"] = _peer(options, peer, 2)
    return rows


METRICS = [
    Metric("jobs_per_s", "drain/s"),
    Metric("bulk_per_s", "bulk/s"),
    Metric("enqueue_per_s", "enqueue/s"),
    Metric("p50_ms", "pick-up p50 ms", 2),
    Metric("p99_ms", "p99 ms", 2),
    Metric("worker_cpu_us", "worker CPU µs", 1),
    Metric("redis_cpu_us", "Redis CPU µs", 1),
    Metric("redis_life_us", "of its whole life", 1),
    Metric("bytes_per_job", "bytes a job"),
    Metric("wait_per_s", "5 ms wait: jobs/s"),
    Metric("wait_cpu_us", "worker CPU µs, all in all"),
    Metric("cpu_per_s", "1 ms CPU: jobs/s"),
    Metric("cpu_cpu_us", "worker CPU µs, all in all"),
    Metric("foreign_cores", "foreign cores", 2),
]

BENCHMARK = Benchmark(
    "peers",
    "No-op jobs with a payload of 105 bytes, redisjobs and other queues on the same server in turn",
    METRICS,
    run,
    jobs=100_000,
    plot=Plot(
        "redisjobs and its peers, one worker process or two",
        {"jobs_per_s": "drained a second", "p50_ms": "pick-up p50, ms"},
        log=True,
    ),
)


if __name__ == "__main__":
    main(BENCHMARK)
