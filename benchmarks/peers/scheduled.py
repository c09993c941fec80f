"""How late the peers start jobs that are due later, for `benchmarks.scheduled`.

Each peer with its own documented way to delay a job, at the settings of the catalog. Lateness is
from the moment when a job is due to the first line of the handler, by the clock of this machine.
Moments are whole milliseconds. A peer that starts jobs early is shown as it is. Where a peer looks
for due jobs at intervals, "one instant" shows where in one of them, at random, the instant fell.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.cpu import ForeignLoad
from benchmarks.journal import Journal
from benchmarks.latency import percentiles
from benchmarks.peers.catalog import Peer
from benchmarks.peers.contender import PeerContender
from benchmarks.peers.install import NotHere, install
from benchmarks.processes import ROOT, running
from benchmarks.servers import serving
from benchmarks.waiting import wait_for

_PATIENCE_S = 60.0
# From when the producer has warmed up to the first moment, at least; all are enqueued by then.
_LEAD_S = 1.0
# So much is added at random: most that look at intervals do so each second from when they started.
_INTERVAL_S = 1.0
_LEADS_S: Mapping[str, float] = {"celery": 3.0, "rq": 3.0}
# What its worker is told, beyond the catalog, to start delayed jobs at all.
_OPTIONS: Mapping[str, tuple[str, ...]] = {"rq": ("--with-scheduler",)}
_NOT_HERE: Mapping[str, str] = {"taskiq": "delayed jobs need a scheduler process of its own"}
# The first shows that the worker runs, the second warms the producer up.
_AT_ONCE = 2


def scheduled(
    server: str, peer: Peer, jobs: int = 400, spread_s: float = 4.0
) -> dict[str, dict[str, float]]:
    """Both rows of one peer: so many jobs spread evenly over so many seconds, and half as many due
    in one instant. Installs the peer unless that was done.

    Returns:
        By row: `p50_ms`, `p99_ms`, `max_ms` and `least_ms`, which is negative if a job started
        early; `early`, the part of the jobs that did; `foreign_cores`.

    Raises:
        NotHere: it cannot be installed on this machine, or not be measured so.
        RuntimeError: its worker ended, or jobs could not be enqueued in the time for that.
        TimeoutError: it did not run all jobs within 60 s.
        AssertionError: there were more runs than jobs, or something is left in the queue.
    """
    if peer.name in _NOT_HERE:
        raise NotHere(_NOT_HERE[peer.name])
    install(peer)
    able = peer._replace(worker=(*peer.worker, *_OPTIONS.get(peer.name, ())))
    return {
        f"{peer.title}, spread": _lateness(server, able, jobs, spread_s),
        f"{peer.title}, one instant": _lateness(server, able, jobs // 2, 0.0),
    }


def _lateness(server: str, peer: Peer, jobs: int, spread_s: float) -> dict[str, float]:
    with serving(server) as served, tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal, contender = Journal(notes), PeerContender(served, peer, "late")
        environ = {**journal.environ, **contender.environ}
        with running(contender.command(), 1, environ, Path(folder, "log")) as worker:

            def has_run(number: int) -> bool:
                worker.check()
                return journal.runs() >= number

            _enqueue(contender, peer.producing("one", 1))
            wait_for(f"{peer.name} to run a job", lambda: has_run(1), patience_s=_PATIENCE_S)
            load, lead_s = ForeignLoad(), _LEADS_S.get(peer.name, _LEAD_S)
            lead_s += random.uniform(0, _INTERVAL_S)
            _enqueue(contender, [*peer.producing("later", jobs), f"{lead_s:.3f}", str(spread_s)])
            wait_for(
                f"{peer.name} to run {jobs:,} jobs that were due later",
                lambda: has_run(jobs + _AT_ONCE),
                patience_s=_PATIENCE_S,
            )
            foreign = load.cores()
        late = journal.values()
        assert len(late) == jobs, f"{peer.name}: {jobs:,} jobs ran {len(late):,} times"
        contender.verify(jobs)
        return {**_figures(late), "foreign_cores": foreign}


def _figures(late: list[float]) -> dict[str, float]:
    early = sum(seconds < 0 for seconds in late) / len(late)
    return {**percentiles(late), "least_ms": min(late) * 1e3, "early": early}


def _enqueue(contender: PeerContender, command: list[str]) -> None:
    """Raises RuntimeError or TimeoutError unless the command enqueued all."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **contender.environ}
    try:
        ran = subprocess.run(
            command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False,
            timeout=_PATIENCE_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as err:
        raise TimeoutError(f"{command!r} enqueued in vain for {_PATIENCE_S:g} s") from err
    if not ran.stdout.strip():  # some crash at exit, when all was stored
        raise RuntimeError(f"{command!r} ended with code {ran.returncode}: {ran.stderr[-1000:]}")
