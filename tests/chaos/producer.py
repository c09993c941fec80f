"""A producer of the storm: `python -m tests.chaos.producer`. It enqueues until it is stopped.

Two threads, or two tasks of an event loop, share one queue. What they are about to ask for is
written down before each call, and its answer after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from redisjobs import (
    AsyncRedisQueue,
    Job,
    JobExistsError,
    QueueUnavailableError,
    RedisJobsError,
    RedisQueue,
)
from redisjobs.demo.leash import take_leash
from tests.chaos.jobs import delay_ms_of, some_job
from tests.chaos.setting import Setting

if TYPE_CHECKING:
    from tests.chaos.journal import Journal

_LOGGER = logging.getLogger("storm")
AT_ONCE = 2
MOST_IN_A_CALL = 40
LONGEST_LAG_S = 2.0
# Of so many calls one names an id that is there already, one cancels a job of its own, and one is
# itself cancelled, where it can be.
REFUSED_ONE_IN = 25
CANCELS_ONE_IN = 6
GIVEN_UP_ONE_IN = 10


class Call(NamedTuple):
    """What to ask for next."""

    name: str
    jobs: list[Job]


class Plan:
    """What one producer asks for, and when; it writes down what it asks and hears."""

    def __init__(self, name: str, setting: Setting, journal: Journal) -> None:
        self._name = name
        self._journal = journal
        self._rate = setting.rate / AT_ONCE
        self._numbers = iter(range(10**9))
        # An id that is forgotten is not refused.
        self._stored: deque[str] = deque(maxlen=50 if setting.keeps_done else 0)
        self._due_at = time.monotonic()
        self.chance = random.Random(f"{setting.seed}/{name}")

    def next_call(self) -> Call:
        """The next one, written down."""
        chance = self.chance
        name = f"{self._name}c{next(self._numbers)}"
        count = min(MOST_IN_A_CALL, 1 + int(chance.expovariate(0.12)))
        jobs = [some_job(chance, f"{name}-{number}") for number in range(count)]
        if self._stored and chance.randrange(REFUSED_ONE_IN) == 0:
            known = Job("quick", b"0", id=chance.choice(self._stored))
            jobs.insert(chance.randrange(len(jobs) + 1), known)
        self._journal.asks(name, [(job.id, job.kind, delay_ms_of(job)) for job in jobs])
        return Call(name, jobs)

    def answered(self, call: Call, answer: str) -> None:
        """Writes the answer down."""
        self._journal.answered(call.name, answer)
        if answer == "ok":
            self._stored.extend(job.id for job in call.jobs)

    def to_cancel(self, call: Call, answer: str) -> str | None:
        """One of the jobs that were just stored, now and then. That it is tried is written down."""
        if answer != "ok" or self.chance.randrange(CANCELS_ONE_IN):
            return None
        id = self.chance.choice(call.jobs).id
        self._journal.cancelled(id, None)
        return id

    def cancelled(self, id: str, answer: bool) -> None:
        """Writes the answer down."""
        self._journal.cancelled(id, answer)

    def pause_s(self, call: Call) -> float:
        """How long to wait. What an outage has cost is caught up with only a little."""
        earliest = time.monotonic() - LONGEST_LAG_S
        self._due_at = max(self._due_at, earliest) + len(call.jobs) / self._rate
        return max(0.0, self._due_at - time.monotonic())


def _as_answer(err: RedisJobsError) -> str:
    if isinstance(err, JobExistsError):
        return f"exists {','.join(err.ids)}"
    _LOGGER.warning("a call has failed: %s", err)
    return "failed"


def enqueue_on_a_thread(plan: Plan, queue: RedisQueue, stopped: threading.Event) -> None:
    """Until it is stopped."""
    while not stopped.is_set():
        call, answer = plan.next_call(), "ok"
        try:
            queue.enqueue(*call.jobs)
        except RedisJobsError as err:
            answer = _as_answer(err)
        plan.answered(call, answer)
        if id := plan.to_cancel(call, answer):
            with contextlib.suppress(QueueUnavailableError):
                plan.cancelled(id, queue.cancel(id))
        stopped.wait(plan.pause_s(call))


async def enqueue_in_a_task(plan: Plan, queue: AsyncRedisQueue, stopped: asyncio.Event) -> None:
    """Until it is stopped. Some calls are cancelled on their way."""
    while not stopped.is_set():
        call, answer = plan.next_call(), "ok"
        is_given_up = plan.chance.randrange(GIVEN_UP_ONE_IN) == 0
        try:
            within_s = plan.chance.uniform(0, 0.003) if is_given_up else None
            await asyncio.wait_for(queue.enqueue(*call.jobs), within_s)
        except TimeoutError:
            answer = "cancelled"
        except RedisJobsError as err:
            answer = _as_answer(err)
        plan.answered(call, answer)
        if id := plan.to_cancel(call, answer):
            with contextlib.suppress(QueueUnavailableError):
                plan.cancelled(id, await queue.cancel(id))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), plan.pause_s(call))


def _run_threads(plans: list[Plan], queue: RedisQueue) -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    threads = [
        threading.Thread(target=enqueue_on_a_thread, args=(plan, queue, stopped)) for plan in plans
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def _run_tasks(plans: list[Plan], queue: AsyncRedisQueue) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with asyncio.TaskGroup() as tasks:
        for plan in plans:
            tasks.create_task(enqueue_in_a_task(plan, queue, stopped))
    await queue.close()


def main() -> None:
    setting = Setting.from_environment()
    journal = setting.journal()
    names = [f"{setting.role}p{os.getpid()}t{number}" for number in range(AT_ONCE)]
    plans = [Plan(name, setting, journal) for name in names]
    if setting.asynchronous:
        asyncio.run(_run_tasks(plans, setting.async_queue()))
    else:
        _run_threads(plans, setting.queue())


if __name__ == "__main__":
    take_leash()
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    main()
