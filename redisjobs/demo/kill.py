"""Kills a worker that holds jobs, and tells afterwards when they were running again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from redisjobs.demo.journal import Start
from redisjobs.demo.keyspace import held
from redisjobs.demo.signals import undisturbed
from redisjobs.queue import RedisQueue

LOOK_AGAIN_S = 0.01
LOOKS = 100


@dataclass(frozen=True, slots=True)
class Kill:
    """A worker that was killed.

    Attributes:
        pid: its process.
        at: when, in seconds of the monotonic clock.
        held: the jobs that it held then, by id, each with the token of its delivery.
    """

    pid: int
    at: float
    held: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of the jobs of a killed worker.

    Attributes:
        held: how many it held.
        again: how many of these ran again, delivered anew.
        seconds: from the kill until the last of them was running again; None if none was.
    """

    held: int
    again: int
    seconds: float | None


def kill_a_worker(queue: RedisQueue) -> Kill | None:
    """Kills the worker that holds the most jobs, with SIGKILL. None: no worker holds any just now.

    It is stopped first, and read its list while it can neither take nor end a job: after the kill
    its jobs are taken back within milliseconds.
    """
    workers = queue.stats().workers
    busiest = max(workers, key=lambda worker: worker.held, default=None)
    if busiest is None or not busiest.held or busiest.pid is None:
        return None
    # A worker that stayed stopped could not even be ended.
    with undisturbed(), contextlib.suppress(ProcessLookupError):
        return _stop_and_kill(queue, busiest.id, busiest.pid)
    return None


def _stop_and_kill(queue: RedisQueue, worker_id: str, pid: int) -> Kill | None:
    os.kill(pid, signal.SIGSTOP)
    kill = None
    try:
        if deliveries := _held_by_stopped(queue, worker_id):
            kill = Kill(pid, time.monotonic(), deliveries)
            os.kill(pid, signal.SIGKILL)
    finally:
        if kill is None:
            os.kill(pid, signal.SIGCONT)
    return kill


def _held_by_stopped(queue: RedisQueue, worker_id: str) -> dict[str, int]:
    """What a stopped worker holds, once what it sent before has arrived; nothing if its list never
    comes to rest.
    """
    before = None
    for _ in range(LOOKS):
        found = queue.lines.run(lambda: held(queue.keys, worker_id))
        if found == before:
            return found
        before = found
        time.sleep(LOOK_AGAIN_S)
    return {}


def recovery(kill: Kill, starts: Iterable[Start]) -> Recovery:
    """When the jobs that the killed worker held ran again, by what the workers wrote down."""
    again: dict[str, float] = {}
    for start in starts:
        if start.id in kill.held and start.token > kill.held[start.id]:
            again[start.id] = min(start.at, again.get(start.id, start.at))
    seconds = max(again.values()) - kill.at if again else None
    return Recovery(len(kill.held), len(again), seconds)
