"""Kills a worker that holds jobs, and tells afterwards when they were running again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import redis

from redisjobs.demo.journal import Start
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


def kill_a_worker(queue: RedisQueue, client: redis.Redis) -> Kill | None:
    """Kills the worker that holds the most jobs, with SIGKILL. None: no worker holds any just now.

    It is stopped first, and read its list while it can neither take nor end a job: after the kill
    its jobs are taken back within milliseconds.
    """
    workers = queue.stats().workers
    busiest = max(workers, key=lambda worker: worker.held, default=None)
    if busiest is None or not busiest.held or busiest.pid is None:
        return None
    with contextlib.suppress(ProcessLookupError):
        os.kill(busiest.pid, signal.SIGSTOP)
        killed = False
        try:
            held = _held_by_stopped(client, queue.keys.processing(busiest.id))
            if held:
                at = time.monotonic()
                os.kill(busiest.pid, signal.SIGKILL)
                killed = True
                return Kill(busiest.pid, at, held)
        finally:
            if not killed:
                os.kill(busiest.pid, signal.SIGCONT)
    return None


def _held_by_stopped(client: redis.Redis, processing: bytes) -> dict[str, int]:
    """What a stopped worker's list holds, once what it sent before has arrived; empty if it never
    comes to rest.
    """
    before = None
    for _ in range(LOOKS):
        deliveries: list[bytes] = client.lrange(processing, 0, -1)  # type: ignore[assignment]
        if deliveries == before:
            return dict(map(parse_delivery, deliveries))
        before = deliveries
        time.sleep(LOOK_AGAIN_S)
    return {}


def parse_delivery(delivery: bytes) -> tuple[str, int]:
    """A job's id and its token, from `<token>:<id>`."""
    token, _, id = delivery.partition(b":")
    return id.decode(), int(token)


def recovery(kill: Kill, starts: Iterable[Start]) -> Recovery:
    """When the jobs that the killed worker held ran again, by what the workers wrote down."""
    again: dict[str, float] = {}
    for start in starts:
        if start.id in kill.held and start.token > kill.held[start.id]:
            again[start.id] = min(start.at, again.get(start.id, start.at))
    seconds = max(again.values()) - kill.at if again else None
    return Recovery(len(kill.held), len(again), seconds)
