"""Follows a run until all its jobs are over, and kills a worker half way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from redisjobs.demo.errors import DemoError
from redisjobs.demo.kill import Kill, kill_a_worker
from redisjobs.demo.progress import Counts, Display
from redisjobs.queue import RedisQueue

if TYPE_CHECKING:
    from redisjobs.demo.processes import Process

LOOK_EVERY_S = 0.05
LOOK_FOR_A_VICTIM_EVERY_S = 0.01
START_TIMEOUT_S = 30.0
STUCK_AFTER_S = 30.0


class Course(NamedTuple):
    """How a run went. `counts`: at its end. `seconds`: how long it took."""

    counts: Counts
    seconds: float
    kill: Kill | None


class Follower:
    """Looks at the queue until the run is over.

    Args:
        total: how many jobs there will be.
        workers: the process that has the workers.
        kill: whether to kill a worker half way.
    """

    def __init__(
        self,
        queue: RedisQueue,
        total: int,
        workers: Process,
        display: Display,
        *,
        kill: bool,
    ) -> None:
        self._queue = queue
        self._total = total
        self._workers = workers
        self._display = display
        self._kill_wanted = kill

    def until_started(self, workers: int) -> None:
        """Waits until that many workers are registered.

        Raises:
            DemoError: they end, or there are too few of them after 30 s.
        """
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while (started := len(self._queue.stats().workers)) < workers:
            self._workers.check_running()
            if time.monotonic() > give_up_at:
                raise DemoError(
                    f"only {started} of {workers} workers have started within"
                    f" {START_TIMEOUT_S:g} s. {self._workers.last_words()}"
                )
            time.sleep(LOOK_EVERY_S)

    def until_done(self, services: Sequence[Process]) -> Course:
        """Waits until all jobs are over.

        Args:
            services: that enqueue them.

        Raises:
            DemoError: a service failed, the workers ended, or nothing ended for 30 s.
        """
        began_at = moved_at = time.monotonic()
        ended = enqueued = 0
        kill = None
        while True:
            counts = Counts.of(self._queue.stats(), self._total, at_least=enqueued)
            enqueued = counts.enqueued
            now = time.monotonic()
            self._display.show(counts)
            if counts.ended == self._total:
                return Course(counts, now - began_at, kill)
            if counts.ended > ended:
                ended, moved_at = counts.ended, now
            self._check(services, now - moved_at, counts)
            due = self._kill_wanted and kill is None and counts.ended * 2 >= self._total
            if due:
                kill = self._kill()
            time.sleep(LOOK_FOR_A_VICTIM_EVERY_S if due else LOOK_EVERY_S)

    def _check(self, services: Sequence[Process], silent_s: float, counts: Counts) -> None:
        for service in services:
            service.check()
        self._workers.check_running()
        if silent_s > STUCK_AFTER_S:
            raise DemoError(
                f"no job has ended for {STUCK_AFTER_S:g} s: {counts.ended:,} of {self._total:,} are"
                f" over. The workers: {self._workers.last_words()}"
            )

    def _kill(self) -> Kill | None:
        kill = kill_a_worker(self._queue)
        if kill is not None:
            self._display.say(
                f"killed the worker with pid {kill.pid} by SIGKILL: it held {len(kill.held):,} jobs"
            )
        return kill
