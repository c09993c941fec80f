"""The janitor: takes dead workers' jobs back, and sweeps. It may take its time; heartbeat and pump
do not wait for it.
"""

from __future__ import annotations

import json
import logging
import queue
import time
from collections.abc import Callable, Sequence
from functools import partial

from redisjobs.errors import RedisJobsError
from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.line import Line, drive
from redisjobs.operations.giving_back import reap
from redisjobs.operations.membership import Lapse, infos
from redisjobs.operations.one_job import get
from redisjobs.operations.operation import Operation, command, reply_of
from redisjobs.operations.sweep import MOST_KINDS, sweep
from redisjobs.registry import Handlers
from redisjobs.worker.settings import WorkerSettings
from redisjobs.worker.vital import VitalThread

SWEEP_AT_MOST = 1000
# A supervisor tells a child's death only once, so it is not forgotten when Redis is away.
_AGAIN_S = 0.2


class ChildDeath:
    """A supervisor saw this spawn of its own end."""

    __slots__ = ("spawn", "supervisor")

    def __init__(self, supervisor: str, spawn: int) -> None:
        self.supervisor = supervisor
        self.spawn = spawn


class Janitor:
    """A thread that reaps what it is told, and sweeps every third of the lease."""

    def __init__(
        self,
        keys: Keys,
        line: Line,
        handlers: Handlers,
        settings: WorkerSettings,
        logger: logging.Logger,
        on_crash: Callable[[BaseException], None],
    ) -> None:
        self._keys = keys
        self._line = line
        self._handlers = handlers
        self._settings = settings
        self._logger = logger
        self._tasks: queue.Queue[Lapse | ChildDeath | None] = queue.Queue()
        self._turn = 0
        self._thread = VitalThread(self._live, "redisjobs-janitor", on_crash)

    def start(self) -> None:
        """Begins its work."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after what it is doing."""
        self._tasks.put(None)
        if self._thread.ident is not None:
            self._thread.join(self._settings.lease_s)
        self._line.close()

    @property
    def busy(self) -> bool:
        """Whether something it was told is not done yet."""
        return self._tasks.unfinished_tasks > 0

    def tell(self, task: Lapse | ChildDeath) -> None:
        """Has a dead worker's jobs taken back."""
        self._tasks.put(task)

    def wait_until_idle(self, enough: Callable[[], bool]) -> None:
        """Blocks until all that it was told is done, or `enough()`, which is asked now and then."""
        with self._tasks.all_tasks_done:
            while self._tasks.unfinished_tasks and not enough():
                self._tasks.all_tasks_done.wait(0.1)

    def reap_now(self, death: ChildDeath) -> None:
        """Takes back the jobs of a supervisor's dead child.

        Raises:
            QueueUnavailableError: Redis cannot be reached.
        """
        for worker, info in drive(infos(self._keys), self._line).items():
            if _is_child(info, death):
                self._reap(worker, None)

    def _live(self) -> None:
        interval_s = self._settings.beat_interval_s
        sweep_at = time.monotonic() + interval_s
        while True:
            try:
                task = self._tasks.get(timeout=max(0.0, sweep_at - time.monotonic()))
            except queue.Empty:
                sweep_at = time.monotonic() + interval_s
                self._try(self._sweep)
                continue
            if task is None:
                return
            if isinstance(task, Lapse):
                # If it fails, the next heartbeats see the lapse again.
                self._try(partial(self._reap, task.worker, task.lapsed_at))
            elif not self._try(partial(self.reap_now, task)):
                time.sleep(_AGAIN_S)
                self._tasks.put(task)
            self._tasks.task_done()

    def _try(self, work: Callable[[], object]) -> bool:
        self._line.freshen()
        try:
            work()
        except RedisJobsError as err:
            self._logger.warning("taking jobs of dead workers back, or sweeping, failed: %s", err)
            self._line.close()
            return False
        return True

    def _reap(self, worker: str, judged: str | None) -> None:
        result = drive(
            reap(self._keys, worker, judged, self._settings.max_losses, self._handlers.kinds),
            self._line,
        )
        if result.moved:
            self._logger.warning("worker %s is dead: took %d jobs back", worker, result.moved)
        for id in result.condemned:
            self._log_condemned(id, drive(get(self._keys, id), self._line))

    def _log_condemned(self, id: str, job: Job | None) -> None:
        kind, attempt = (job.kind, job.attempts_done + 1) if job else ("", 0)
        self._logger.error(
            "job %s (%s) lost its worker more than %d times and ends as PANIC",
            id, kind, self._settings.max_losses,
            extra={
                "job_id": id, "job_kind": kind, "attempt": attempt, "queue_name": self._keys.name,
            },
        )  # fmt: skip

    def _sweep(self) -> None:
        kinds = drive(_kinds(self._keys), self._line)
        first = self._turn % max(1, len(kinds))
        self._turn = first + MOST_KINDS
        turned = [*kinds[first:], *kinds[:first]]
        if kinds:
            drive(sweep(self._keys, turned, SWEEP_AT_MOST), self._line)


def _kinds(keys: Keys) -> Operation[Sequence[str]]:
    replies = yield (command("SMEMBERS", keys.kinds),)
    return sorted(kind.decode() for kind in reply_of(replies))


def _is_child(info: bytes, death: ChildDeath) -> bool:
    try:
        entry = json.loads(info)
        parent: object = (entry["supervisor"], entry["spawn"])
    except (ValueError, TypeError, KeyError):
        return False
    return parent == (death.supervisor, death.spawn)
