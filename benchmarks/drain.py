"""How fast worker processes empty a full queue, and what that costs them and the server."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.contender import Contender
from benchmarks.cpu import ForeignLoad
from benchmarks.journal import Journal
from benchmarks.processes import Processes, running
from benchmarks.servers import Served
from benchmarks.waiting import wait_for

_LOOK_EVERY_S = 0.02
# By then all processes have begun and know their pace.
_WARM = 0.2
# With fewer jobs than this nothing is to be measured, but that all works.
_MANY = 20_000


class Drained(NamedTuple):
    """One drain, from when a fifth of the jobs had ended. CPU is of whole processes.

    Attributes:
        redis_us: what the server had used in all when the last job had ended.
    """

    jobs_per_s: float
    worker_cpu_us: float
    redis_cpu_us: float
    worker_cores: float
    redis_cores: float
    foreign_cores: float
    redis_us: float

    def metrics(self) -> dict[str, float]:
        """As a report takes it: the two CPU times are per job."""
        fields = self._asdict()
        del fields["redis_us"]
        return fields


class _Sample(NamedTuple):
    at: float
    left: int
    worker_s: float
    redis_us: float


def _sample(served: Served, contender: Contender, processes: Processes) -> _Sample:
    left = contender.left()
    return _Sample(time.monotonic(), left, processes.cpu_seconds(), served.cpu_us())


def drain(
    served: Served,
    contender: Contender,
    jobs: int,
    *,
    processes: int = 1,
    until_left: int = 0,
    verified: bool = True,
) -> Drained:
    """Starts worker processes on a queue that holds `jobs` jobs, waits until it is empty, ends the
    processes, and verifies that each job ran once and nothing is left.

    Args:
        until_left: stop when so many are left; nothing is verified then.

    Raises:
        AssertionError: a job was lost or ran twice.
    """
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder, "journal")
        notes.mkdir()
        journal = Journal(notes)
        environ = {**journal.environ, **contender.environ}
        with running(contender.command(), processes, environ, Path(folder, "log")) as fleet:
            drained = _watch(served, contender, fleet, journal, jobs, processes, until_left)
            if verified and not until_left:
                wait_for(f"{jobs:,} runs to be noted", lambda: journal.runs() >= jobs)
        if verified and not until_left:
            assert journal.runs() == jobs, f"{jobs:,} jobs ran {journal.runs():,} times"
            contender.verify(jobs)
    return drained


def _watch(
    served: Served, contender: Contender, fleet: Processes, journal: Journal, jobs: int,
    processes: int, until_left: int,
) -> Drained:  # fmt: skip
    load = ForeignLoad()
    first = _sample(served, contender, fleet)
    warm = until_left + int((jobs - until_left) * (1 - _WARM))
    is_warm = False

    def is_over() -> bool:
        nonlocal first, is_warm
        left = contender.left()
        if not is_warm and until_left < left <= warm and journal.processes() >= processes:
            first, is_warm = _sample(served, contender, fleet), True
        elif not is_warm and left == jobs:
            first = first._replace(at=time.monotonic())
        fleet.check()
        return left <= until_left

    wait_for(f"{jobs:,} jobs to be drained", is_over, _LOOK_EVERY_S)
    last = _sample(served, contender, fleet)
    if not is_warm and jobs - until_left >= _MANY:
        raise RuntimeError(f"{jobs:,} jobs were drained before the processes were seen to work")
    done, seconds = max(1, first.left - last.left), last.at - first.at
    worker_s, redis_us = last.worker_s - first.worker_s, last.redis_us - first.redis_us
    return Drained(
        done / seconds, worker_s * 1e6 / done, redis_us / done,
        worker_s / seconds, redis_us / 1e6 / seconds, load.cores(), last.redis_us,
    )  # fmt: skip
