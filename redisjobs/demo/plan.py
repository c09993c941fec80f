"""The plan of a demo: its files, the jobs of each, and what they should find."""

from __future__ import annotations

import json
import os
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from redisjobs.demo.errors import DemoError
from redisjobs.demo.figures import FIGURES, Figures
from redisjobs.job import Job
from redisjobs.states import Status

# Other people's packages, and tests: these hold files that are broken on purpose.
SKIPPED_FOLDERS = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test"})

KINDS = tuple(FIGURES)
SCHEDULED_KIND = "measure.size"
FLAKY_KIND = "find.longest"
SLOW_KINDS = ("read.imports", SCHEDULED_KIND)

SHORTEST_DELAY_S = 0.2
LONGEST_DELAY_S = 2.0
DELAYS = 10

# The slow kinds wait as if for another service: this long together, however many files there are.
ALL_PAUSES_S = 36.0
LONGEST_PAUSE_S = 0.2

Results = Mapping[str, Mapping[str, Figures]]


def standard_library() -> Path:
    """The folder of the running Python's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def source_files(root: Path, at_most: int | None = None) -> tuple[str, ...]:
    """The Python sources under `root` that can be read, as relative paths in order: all, or the
    first `at_most`.

    Raises:
        DemoError: there are none.
    """
    found = sorted(_walk(root))[:at_most]
    if not found:
        raise DemoError(
            f"no Python sources are in {root}: this Python comes without the sources of its"
            " standard library, on which the demo works; run it with another one"
        )
    return tuple(found)


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        for name in files:
            path = Path(folder, name)
            # A distribution's links may lead nowhere.
            if name.endswith(".py") and path.is_file() and os.access(path, os.R_OK):
                yield path.relative_to(root).as_posix()


class Order(NamedTuple):
    """What a job's payload says: which file, and for how long a slow kind waits."""

    path: str
    pause_s: float

    def to_bytes(self) -> bytes:
        """As a payload."""
        return json.dumps(self).encode()

    @classmethod
    def from_bytes(cls, payload: bytes) -> Order:
        """From a payload."""
        return cls(*json.loads(payload))


@dataclass(frozen=True, slots=True)
class Plan:
    """All files and their jobs. Equal in each process of a run.

    Attributes:
        root: where the files are.
        files: relative paths. A file's number is its place here.
    """

    root: Path
    files: Sequence[str]

    @property
    def job_count(self) -> int:
        """How many jobs there are."""
        return len(self.files) * len(KINDS)

    @property
    def pause_s(self) -> float:
        """For how long a job of a slow kind waits."""
        return min(LONGEST_PAUSE_S, ALL_PAUSES_S / (len(self.files) * len(SLOW_KINDS)))

    def share(self, service: int, services: int) -> range:
        """The numbers of the files that one of the services enqueues, counted from 0."""
        return range(service, len(self.files), services)

    def jobs(self, number: int) -> list[Job]:
        """The jobs of one file, one of each kind."""
        order = Order(str(self.root / self.files[number]), self.pause_s).to_bytes()
        return [
            Job(kind, order, id=job_id(number, kind), delay=delay(number, kind)) for kind in KINDS
        ]

    def expected(self) -> Results:
        """The figures of all files by kind, computed here and now, without a queue."""
        return {file: _all_figures((self.root / file).read_bytes()) for file in self.files}

    def collected(self, get: Callable[[str], Job | None]) -> Collected:
        """The same figures merged from the jobs' results, which `get` finds by the jobs' ids."""
        results: dict[str, dict[str, Figures]] = {}
        unfinished: list[str] = []
        retried = 0
        for number, file in enumerate(self.files):
            results[file] = {}
            for kind in KINDS:
                job = get(job_id(number, kind))
                if job is None or job.status is not Status.DONE or job.result is None:
                    unfinished.append(_what_became_of(job_id(number, kind), job))
                    continue
                results[file][kind] = json.loads(job.result)
                retried += job.attempts_done > 1
        return Collected(results, unfinished, retried)


class Collected(NamedTuple):
    """What the jobs found.

    Attributes:
        results: by file and kind.
        unfinished: about each job that is not DONE, what became of it.
        retried: how many jobs took more than one attempt.
    """

    results: Results
    unfinished: Sequence[str]
    retried: int


def job_id(number: int, kind: str) -> str:
    """The id of the job of this kind about the file of this number."""
    return f"{number:05d}:{kind}"


def delay(number: int, kind: str) -> timedelta | None:
    """How far ahead a job is scheduled; None: not at all."""
    if kind != SCHEDULED_KIND:
        return None
    step = (LONGEST_DELAY_S - SHORTEST_DELAY_S) / (DELAYS - 1)
    return timedelta(seconds=SHORTEST_DELAY_S + step * (number % DELAYS))


def differences(expected: Results, collected: Results) -> list[str]:
    """About each file and kind whose figures differ, a sentence; empty if all are identical."""
    return [
        f"{file}, {kind}: the queue's {collected.get(file, {}).get(kind)},"
        f" directly {expected.get(file, {}).get(kind)}"
        for file in sorted({*expected, *collected})
        for kind in sorted({*expected.get(file, {}), *collected.get(file, {})})
        if collected.get(file, {}).get(kind) != expected.get(file, {}).get(kind)
    ]


def _all_figures(source: bytes) -> dict[str, Figures]:
    return {kind: figures(source) for kind, figures in FIGURES.items()}


def _what_became_of(id: str, job: Job | None) -> str:
    if job is None:
        return f"job {id!r} is not there"
    if job.status is Status.DONE:
        return f"job {id!r} is DONE without a result"
    return f"job {id!r} is {job.status}: {job.last_error or 'without an error'}"
