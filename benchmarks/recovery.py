"""How soon a killed worker's jobs run again, while many others wait.

    python -m benchmarks.recovery [--waiting 100000] [--runs 5] [--json FILE]

Each run: a fresh server, so many waiting jobs, a fleet of worker processes. One process is stopped,
so that what it holds is known, then killed with SIGKILL; measured is the time until the last of
those jobs was begun again by another process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import redis

from benchmarks.cpu import machine
from benchmarks.processes import ROOT
from benchmarks.waiting import wait_for
from redisjobs import Job, RedisQueue
from redisjobs.embedded import EmbeddedServer

LOOK_EVERY_S = 0.001


class Fleet(NamedTuple):
    """How the workers of a run are started. `bound_s`: what is promised."""

    name: str
    commands: list[list[str]]
    lease_s: float
    bound_s: float


SUPERVISED = [sys.executable, "-m", "redisjobs", "worker", "benchmarks.recovery_worker:worker"]
ALONE = [sys.executable, "-m", "benchmarks.recovery_worker"]
FLEETS = [
    Fleet("supervised, 1 process", [[*SUPERVISED, "--processes", "1"]], 15.0, 1.0),
    Fleet("supervised, 3 processes", [[*SUPERVISED, "--processes", "3"]], 15.0, 1.0),
    Fleet("unsupervised, 2 processes, lease 3 s", [ALONE, ALONE], 3.0, 3.0 + 2 * 1.0),
]


class Killed(NamedTuple):
    """One run: how many jobs the process held, and when the last of them was begun again."""

    held: int
    seconds: float


def begun(journal: Path) -> Iterator[tuple[str, float]]:
    """Every run that began: the job's id, and when."""
    for line in journal.read_text().splitlines():
        with contextlib.suppress(ValueError):  # a process was killed in mid-write
            id, moment = line.split(" ")
            yield id, float(moment)


@contextlib.contextmanager
def running(fleet: Fleet, url: str, journal: Path) -> Iterator[None]:
    """The fleet's processes, ended afterwards."""
    environ = {
        **os.environ,
        "REDISJOBS_URL": url,
        "RECOVERY_JOURNAL": str(journal),
        "RECOVERY_LEASE": str(fleet.lease_s),
        "PYTHONPATH": str(ROOT),
    }
    processes = [
        subprocess.Popen(command, env=environ, cwd=ROOT, stderr=subprocess.DEVNULL)
        for command in fleet.commands
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10.0)
            process.kill()
            process.wait()


def run(fleet: Fleet, waiting: int) -> Killed:
    """Kills one process of the fleet and measures."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer() as server:
        journal = Path(folder, "journal")
        journal.touch()
        queue = RedisQueue.from_url(server.url, "recovery", retention=0)
        queue.enqueue_many(Job("wait", b"x" * 100) for _ in range(waiting))
        wanted = int(fleet.commands[0][-1]) if "--processes" in fleet.commands[0] else 2
        with running(fleet, server.url, journal):
            wait_for("the fleet to work", lambda: len(list(begun(journal))) >= 100)
            wait_for("all its processes", lambda: len(queue.stats().workers) == wanted)
            victim = queue.stats().workers[0]
            assert victim.pid is not None, "its worker-info is junk"
            os.kill(victim.pid, signal.SIGSTOP)
            with redis.Redis.from_url(server.url) as client:
                listed = client.lrange(queue.keys.processing(victim.id).decode(), 0, -1)
            held = {bytes(delivery).split(b":", 1)[1].decode() for delivery in listed}
            killed_at = time.monotonic()
            os.kill(victim.pid, signal.SIGKILL)
            again: dict[str, float] = {}

            def all_again() -> bool:
                for id, moment in begun(journal):
                    if id in held and moment > killed_at:
                        again.setdefault(id, moment - killed_at)
                return len(again) == len(held)

            wait_for("the dead process's jobs to begin again", all_again, LOOK_EVERY_S)
        return Killed(len(held), max(again.values(), default=0.0))


def main() -> None:
    """Runs all fleets and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    about = machine()
    print(f"{options.waiting:,} jobs waiting; {about}; load {os.getloadavg()[0]:.1f}")
    print(f"{'fleet':38} {'held':>5} {'min s':>7} {'median s':>9} {'max s':>7} {'promised':>9}")
    results = []
    for fleet in FLEETS:
        runs = [run(fleet, options.waiting) for _ in range(options.runs)]
        seconds = [one.seconds for one in runs]
        held = statistics.median(one.held for one in runs)
        middle = statistics.median(seconds)
        print(
            f"{fleet.name:38} {held:5.0f} {min(seconds):7.3f} {middle:9.3f} {max(seconds):7.3f}"
            f" {fleet.bound_s:9.1f}"
        )
        results.append({"fleet": fleet.name, "runs": runs, "promised_s": fleet.bound_s})
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "results": results}, indent=2))


if __name__ == "__main__":
    main()
