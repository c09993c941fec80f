"""Where the processor time of a no-op job goes: by thread of the worker, by command of the server.

    python -m benchmarks.profiling [--runs 3] [--jobs 200000] [--only sync] [--json FILE]

Taken while the middle of a drain is under way. What scripts call is part of the EVALSHA that called
it: what remains of that is Lua, and the arguments and replies.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.contender import Ours
from benchmarks.journal import Journal
from benchmarks.plots import Plot
from benchmarks.processes import running
from benchmarks.report import Benchmark, Metric, Options, Run, main
from benchmarks.servers import CommandCost, Served, serving
from benchmarks.waiting import wait_for

HANDLERS = {"sync": "noop", "async": "noop_async"}
_FROM, _TO = 0.85, 0.15  # of the jobs are left
_LEAST_US = 0.005
_LOOK_EVERY_S = 0.02
_SCRIPTS = ("evalsha", "eval")


class _Thread(NamedTuple):
    name: str
    us: float
    switches: int


class _Look(NamedTuple):
    left: int
    looks: int  # how often this process asked how many are left: an HGETALL each
    redis_us: float
    threads: dict[str, _Thread]
    commands: dict[str, CommandCost]


def _threads(journal: Journal) -> dict[str, _Thread]:
    """Of the one worker process: by native id."""
    found: dict[str, _Thread] = {}
    for pid, names in journal.threads().items():
        for task in Path(f"/proc/{pid}/task").iterdir():
            us = int((task / "schedstat").read_text().split()[0]) / 1e3
            status = (task / "status").read_text().splitlines()
            switches = sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
            found[task.name] = _Thread(names.get(task.name, "others"), us, switches)
    return found


class _Watch:
    """Waits for a drain to come so far, and looks then."""

    def __init__(self, served: Served, ours: Ours, journal: Journal) -> None:
        self._served, self._ours, self._journal = served, ours, journal
        self._looks = 0

    def _left(self) -> int:
        self._looks += 1
        return self._ours.left()

    def until(self, left: float) -> _Look:
        wait_for(
            "the drain",
            lambda: self._left() <= left and bool(self._journal.threads()),
            _LOOK_EVERY_S,
        )
        found = self._left()
        return _Look(
            found, self._looks, self._served.cpu_us(), _threads(self._journal),
            self._served.commands(),
        )  # fmt: skip


def _without_own(cost: CommandCost, looks: int) -> CommandCost:
    """What is left of HGETALL without the looks of this process."""
    theirs = max(0, cost.calls - looks)
    return CommandCost(theirs, cost.us * theirs / max(1, cost.calls))


def _shares(kind: str, first: _Look, last: _Look) -> dict[str, dict[str, float]]:
    done = max(1, first.left - last.left)
    rows: dict[str, dict[str, float]] = {}
    for id, after in last.threads.items():
        before = first.threads.get(id, _Thread("", 0.0, 0))
        row = rows.setdefault(f"{kind}: worker, {after.name}", {"us": 0.0, "switches": 0.0})
        row["us"] += (after.us - before.us) / done
        row["switches"] += (after.switches - before.switches) * 1000 / done
    rows[f"{kind}: Redis, whole process"] = {"us": (last.redis_us - first.redis_us) / done}
    called_us = 0.0
    for name, cost in last.commands.items():
        began = first.commands.get(name, CommandCost(0, 0.0))
        during = CommandCost(cost.calls - began.calls, cost.us - began.us)
        if name == "hgetall":
            during = _without_own(during, last.looks - first.looks)
        us, calls = during.us / done, during.calls * 1000 / done
        called_us += 0.0 if name in _SCRIPTS else us
        rows[f"{kind}: Redis, {name}"] = {"us": us, "calls": calls}
    scripts_us = sum(rows.get(f"{kind}: Redis, {name}", {}).get("us", 0.0) for name in _SCRIPTS)
    rows[f"{kind}: Redis, Lua itself"] = {"us": max(0.0, scripts_us - called_us)}
    shown = {name: row for name, row in rows.items() if row["us"] >= _LEAST_US}
    return dict(sorted(shown.items(), key=lambda item: (item[0].split(",")[0], -item[1]["us"])))


def profile(server: str, kind: str, jobs: int) -> dict[str, dict[str, float]]:
    """One drain by one worker process."""
    with serving(server) as served, tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal, ours = Journal(notes), Ours(served, handler=HANDLERS[kind])
        ours.fill(jobs)
        with running(ours.command(), 1, journal.environ, Path(folder, "log")):
            watch = _Watch(served, ours, journal)
            first, last = watch.until(jobs * _FROM), watch.until(jobs * _TO)
        return _shares(kind, first, last)


def run(options: Options) -> Run:
    """Both sorts of handlers once."""
    rows: dict[str, dict[str, float]] = {}
    for kind in HANDLERS:
        if options.wants(kind):
            rows |= profile(options.server, kind, options.jobs)
    return rows


METRICS = [
    Metric("us", "µs a job", 2),
    Metric("switches", "context switches, 1,000 jobs", 1),
    Metric("calls", "calls, 1,000 jobs", 1),
]

BENCHMARK = Benchmark(
    "profiling",
    "Processor time of a no-op job, by thread and by command",
    METRICS,
    run,
    jobs=200_000,
    plot=Plot("Processor time of a no-op job", {"us": "µs a job"}),
    most_runs=3,
)


if __name__ == "__main__":
    main(BENCHMARK)
