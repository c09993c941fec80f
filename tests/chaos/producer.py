"""A producer of the storm: `python -m tests.chaos.producer`. It enqueues until it is stopped.

Two threads share one queue. What they are about to ask for is written down before each call, and
its answer after it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from redisjobs import Job, JobExistsError, QueueUnavailableError, RedisJobsError
from redisjobs.demo.leash import take_leash
from tests.chaos.jobs import delay_ms_of, some_job
from tests.chaos.setting import Setting

if TYPE_CHECKING:
    from redisjobs import RedisQueue
    from tests.chaos.journal import Journal

_LOGGER = logging.getLogger("storm")
THREADS = 2
MOST_IN_A_CALL = 40
LONGEST_LAG_S = 2.0
# Of so many calls one names an id that is there already, and one cancels a job of its own.
REFUSED_ONE_IN = 25
CANCELS_ONE_IN = 6


class Producer:
    """One thread's work."""

    def __init__(self, name: str, setting: Setting, queue: RedisQueue, journal: Journal) -> None:
        self._name = name
        self._queue = queue
        self._journal = journal
        self._chance = random.Random(f"{setting.seed}/{name}")
        self._rate = setting.rate / THREADS
        self._numbers = iter(range(10**9))
        self._stored: deque[str] = deque(maxlen=50)

    def run(self, stopped: threading.Event) -> None:
        """Enqueues at its pace. It catches up with what an outage has cost it only a little."""
        due_at = time.monotonic()
        while not stopped.is_set():
            due_at = max(due_at, time.monotonic() - LONGEST_LAG_S)
            due_at += self._call() / self._rate
            stopped.wait(max(0.0, due_at - time.monotonic()))

    def _call(self) -> int:
        chance = self._chance
        call = f"{self._name}c{next(self._numbers)}"
        count = min(MOST_IN_A_CALL, 1 + int(chance.expovariate(0.12)))
        jobs = [some_job(chance, f"{call}-{number}") for number in range(count)]
        if self._stored and chance.randrange(REFUSED_ONE_IN) == 0:
            known = Job("quick", b"0", id=chance.choice(self._stored))
            jobs.insert(chance.randrange(len(jobs) + 1), known)
        self._journal.asks(call, [(job.id, job.kind, delay_ms_of(job)) for job in jobs])
        answer = self._enqueue(jobs)
        self._journal.answered(call, answer)
        if answer == "ok":
            self._stored.extend(job.id for job in jobs)
            if chance.randrange(CANCELS_ONE_IN) == 0:
                self._cancel(chance.choice([job.id for job in jobs]))
        return count

    def _enqueue(self, jobs: list[Job]) -> str:
        try:
            self._queue.enqueue(*jobs)
        except JobExistsError as err:
            return f"exists {','.join(err.ids)}"
        except RedisJobsError:
            _LOGGER.warning("a call has failed", exc_info=True)
            return "failed"
        return "ok"

    def _cancel(self, id: str) -> None:
        self._journal.cancelled(id, None)
        with contextlib.suppress(QueueUnavailableError):
            self._journal.cancelled(id, self._queue.cancel(id))


def main() -> None:
    setting = Setting.from_environment()
    queue, journal, stopped = setting.queue(), setting.journal(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    producers = [
        Producer(f"{setting.role}p{os.getpid()}t{number}", setting, queue, journal)
        for number in range(THREADS)
    ]
    threads = [threading.Thread(target=one.run, args=(stopped,)) for one in producers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    take_leash()
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    main()
