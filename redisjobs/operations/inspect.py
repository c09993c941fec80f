"""stats: how many jobs wait, run and have ended, and which workers there are.

`check` is found here, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from redisjobs.keys import Keys
from redisjobs.operations.check import CheckReport, check
from redisjobs.operations.operation import Call, Operation, reply_of
from redisjobs.operations.refusals import names
from redisjobs.operations.scanning import Walk, all_names
from redisjobs.operations.workers import SeenWorker, look_at_workers, read_info

__all__ = ["CheckReport", "KindStats", "Stats", "WorkerStats", "check", "stats"]

MOST_KINDS = 100
MOST_DELIVERIES = 500
MOST_CALLS = 100


@dataclass(frozen=True, slots=True)
class KindStats:
    """The jobs of one kind. Those that ended count while their records are kept.

    Attributes:
        scheduled: wait for a time to come.
        ready: are due and wait for a worker.
        running: are held by a worker.
        failed: ended as FAILED or PANIC.
        oldest_ready_age: seconds since the first of the ready ones came due; None if none is ready.
    """

    scheduled: int = 0
    ready: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    oldest_ready_age: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """One registered worker. What it does not say of itself, as it should, is None.

    Attributes:
        kinds: for which it has handlers.
        held: how many jobs it holds.
        lease_left: seconds; negative if the lease has lapsed.
        started: when, in ISO 8601.
        version: of redisjobs.
    """

    id: str
    host: str | None
    pid: int | None
    kinds: tuple[str, ...]
    held: int
    lease_left: float
    concurrency: int | None
    started: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class Stats:
    """A queue as it stands: its kinds by name, and its workers in the order of their ids."""

    queue: str
    kinds: dict[str, KindStats]
    workers: tuple[WorkerStats, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values that JSON can carry."""
        return asdict(self)


def stats(keys: Keys) -> Operation[Stats]:
    """Counts the jobs of every kind that was ever seen, and tells the workers.

    In a queue that moves the figures are of moments close to each other.
    """
    kinds = names((yield from all_names(Walk("SSCAN", keys.kinds), 1)))
    workers = yield from all_names(Walk("ZSCAN", keys.workers), 2)
    seen = [
        one for one in (yield from look_at_workers(keys, workers)) if one.lease_left_us is not None
    ]
    running = yield from _running(keys, [one.name for one in seen if one.held])
    counted = yield from _counted(keys, kinds, running)
    return Stats(
        keys.name, counted, tuple(sorted(map(_worker_stats, seen), key=lambda one: one.id))
    )


def _worker_stats(seen: SeenWorker) -> WorkerStats:
    info = read_info(seen.info)
    return WorkerStats(
        names([seen.name])[0],
        info.host,
        info.pid,
        info.kinds,
        seen.held,
        (seen.lease_left_us or 0) / 1e6,
        info.concurrency,
        info.started,
        info.version,
    )


def _running(keys: Keys, workers: Sequence[bytes]) -> Operation[Counter[str]]:
    """How many deliveries of each kind these workers hold, a part of each list at a time."""
    running: Counter[str] = Counter()
    stem = keys.processing("")
    rest = [(worker, 0) for worker in workers]
    while rest:
        part = rest[:MOST_CALLS]
        replies = yield tuple(
            Call("running", [keys.jobs, stem + worker], [first, MOST_DELIVERIES])
            for worker, first in part
        )
        del rest[: len(part)]
        for place, (worker, first) in enumerate(part):
            read, left, *counts = reply_of(replies, place)
            running.update(dict(zip(names(counts[::2]), counts[1::2], strict=True)))
            if read and left:
                rest.append((worker, first + read))
    return running


def _counted(
    keys: Keys, kinds: Sequence[str], running: Counter[str]
) -> Operation[dict[str, KindStats]]:
    every = sorted({*kinds, *running})
    if not every:
        return {}
    parts = [every[first : first + MOST_KINDS] for first in range(0, len(every), MOST_KINDS)]
    replies = yield tuple(
        Call(
            "counts",
            [
                keys.meta,
                *(key for kind in part for key in (keys.due(kind), *keys.all_finished(kind))),
            ],
            (),
        )
        for part in parts
    )
    return {
        kind: _kind_stats(counts, running[kind])
        for place, part in enumerate(parts)
        for kind, counts in zip(part, reply_of(replies, place), strict=True)
    }


def _kind_stats(counts: Sequence[int], running: int) -> KindStats:
    scheduled, ready, done, failed, panic, cancelled, age_us = counts
    return KindStats(
        scheduled,
        ready,
        running,
        done,
        failed + panic,
        cancelled,
        None if age_us < 0 else age_us / 1e6,
    )
