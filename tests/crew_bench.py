"""A crew without a pump, and handlers that tests hold back and let through."""

from __future__ import annotations

import asyncio
import select
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from redisjobs.context import Context
from redisjobs.job import Job
from redisjobs.origin import Origin
from redisjobs.registry import is_async
from redisjobs.worker.crew import Crew, Terms
from redisjobs.worker.delivery import Batch, Delivery
from redisjobs.worker.incarnation import Incarnation
from redisjobs.worker.wakeup import Wakeup
from tests.waiting import Deadline, wait_for_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redisjobs.states import Status

    Make: TypeAlias = Callable[[int], "CrewBench"]

MAX_RESULT = 100


class CrewBench:
    """A crew, and the pump's side of it: it sleeps on the wakeup as the pump does, so that a ring
    that is missing shows as a wait in vain.
    """

    def __init__(self, concurrency: int) -> None:
        self.current = Incarnation(Origin.here())
        self.current.lease_ends = float("inf")
        self.wakeup = Wakeup()
        terms = Terms(self._job_of, self._context_of, self, timedelta(0), MAX_RESULT)
        self.crew = Crew(concurrency, terms, self.wakeup)
        self._numbers = count(1)

    def _job_of(self, delivery: Delivery) -> Job:
        return Job("kind", id=delivery.id)

    def _context_of(self, delivery: Delivery) -> Context:
        return Context("queue", "worker", delivery.id, delivery.kind, 1, 0, delivery.token)

    def delivery(self, fn: Callable[..., Any], id: str | None = None) -> Delivery:
        number = next(self._numbers)
        id = id or f"job-{number}"
        batch = Batch(number, "worker", "kind", fn, is_async(fn), False, lambda *_: None)
        return Delivery(batch, id, f"{number}:{id}", b"")

    def add(self, *fns: Callable[..., Any]) -> list[Delivery]:
        deliveries = [self.delivery(fn) for fn in fns]
        self.crew.add(deliveries)
        return deliveries

    def rings(self, seconds: float) -> bool:
        return bool(select.select([self.wakeup], [], [], seconds)[0])

    def ended(self, number: int, timeout: float = 20.0) -> list[Delivery]:
        """The next deliveries to end."""
        deadline, seen = Deadline(timeout), list[Delivery]()
        while True:
            self.wakeup.armed = True
            while self.crew.ended:
                seen.append(self.crew.ended.popleft())
            if len(seen) >= number:
                assert len(seen) == number, "more ended than were awaited"
                return seen
            awaited = f"a ring: {len(seen)} of {number} deliveries have ended"
            assert self.rings(deadline.left_s), f"awaited in vain: {awaited}"
            self.wakeup.drain()


def crew_benches() -> Iterator[Make]:
    """What makes benches, which are closed afterwards."""
    made: list[CrewBench] = []

    def start(concurrency: int) -> CrewBench:
        made.append(CrewBench(concurrency))
        return made[-1]

    yield start
    for bench in made:
        bench.crew.close(5)


@contextmanager
def many_switches() -> Iterator[None]:
    """Has threads take turns as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class Gate:
    """A handler that begins, then waits until it is let through; sync or async."""

    def __init__(self, name: str = "", log: list[str] | None = None) -> None:
        self.began, self.open = threading.Event(), threading.Event()
        self._name, self._log = name, log

    def _begin(self) -> None:
        if self._log is not None:
            self._log.append(self._name)
        self.began.set()

    def sync(self, ctx: Context, job: Job) -> bytes:
        self._begin()
        wait_for_event(self.open, f"gate {self._name} is opened")
        return b"through"

    async def awaited(self, ctx: Context, job: Job) -> bytes:
        self._begin()
        await asyncio.to_thread(self.open.wait, 10)
        return b"through"

    async def blocking(self, ctx: Context, job: Job) -> bytes:
        """As no async handler should be: it blocks the loop."""
        return self.sync(ctx, job)

    def wait_begun(self) -> None:
        wait_for_event(self.began, f"handler {self._name} has begun")


class Watch:
    """Counts handlers that run at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = 0
        self.runs: dict[str, int] = {}

    @contextmanager
    def running(self, job: Job) -> Iterator[None]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.runs[job.id] = self.runs.get(job.id, 0) + 1
        yield
        with self._lock:
            self.now -= 1


def plain_sync(ctx: Context, job: Job) -> bytes:
    return b"sync"


async def plain_async(ctx: Context, job: Job) -> bytes:
    await asyncio.sleep(0)
    return b"async"


def statuses(deliveries: list[Delivery]) -> list[Status | None]:
    return [one.outcome.status if one.outcome else None for one in deliveries]
