"""Workers on threads of a test, what their handlers ran, and what must be true of a queue."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from redisjobs.states import Status
from redisjobs.worker import Worker
from tests.waiting import Deadline, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from redisjobs.context import Context
    from redisjobs.job import Job
    from redisjobs.queue import RedisQueue

STOP_TIMEOUT_S = 20.0
FINISHED = frozenset(Status) - {Status.PENDING}


class RunningWorker:
    """A worker whose `run()` is on a thread. What it raises is raised by `join`."""

    def __init__(self, worker: Worker, **run: Any) -> None:
        self.worker = worker
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(run,), daemon=True)
        self._thread.start()

    def _run(self, run: Mapping[str, Any]) -> None:
        try:
            self.worker.run(**run)
        except BaseException as err:  # noqa: BLE001 - raised again where the test waits
            self._error = err

    @property
    def is_running(self) -> bool:
        """Whether `run()` has not returned."""
        return self._thread.is_alive()

    def join(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Return when `run()` has."""
        wait_until(lambda: not self._thread.is_alive(), "run() has returned", timeout)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Stop it and return when it has."""
        self.worker.stop()
        self.join(timeout)


@contextmanager
def running(
    queue: Any, handlers: Mapping[str, Callable[..., Any]] | None = None, **settings: Any
) -> Iterator[RunningWorker]:
    """A worker that runs meanwhile, and stops afterwards."""
    worker = RunningWorker(Worker(queue, handlers, **settings))
    try:
        yield worker
    finally:
        worker.stop()


class Ledger:
    """Counts which jobs ran, from any thread. Its methods are handlers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.runs: Counter[str] = Counter()

    def note(self, ctx: Context, job: Job) -> bytes:
        with self._lock:
            self.runs[job.id] += 1
        return job.id.encode()

    async def note_async(self, ctx: Context, job: Job) -> bytes:
        return self.note(ctx, job)

    def wait_for(self, ids: Iterable[str], timeout: float = 20.0) -> None:
        """Return when each of these ran."""
        wanted = set(ids)
        deadline = Deadline(timeout)
        deadline.until(lambda: wanted <= self.runs.keys(), f"all {len(wanted)} jobs have run")


def wait_for_end(queue: RedisQueue, *ids: str, timeout: float = 15.0) -> list[Job]:
    """The jobs of these ids when all have ended."""
    deadline = Deadline(timeout)
    return [deadline.until(partial(_ended, queue, id), f"job {id} has ended") for id in ids]


def _ended(queue: RedisQueue, id: str) -> Job:
    job = queue.get(id)
    # None is as good as a job to `until`, which asks again.
    return cast("Job", job if job is not None and job.status in FINISHED else None)


def wait_for_status(queue: RedisQueue, id: str, status: Status, timeout: float = 15.0) -> Job:
    """The job when it has this status and an attempt behind it."""

    def there() -> Job:
        job = queue.get(id)
        return cast("Job", job if job and job.status is status and job.attempts_done else None)

    return wait_until(there, f"job {id} is {status} after an attempt", timeout)


def snapshot(client: Any, queue: RedisQueue) -> dict[bytes, bytes]:
    """All that is stored of a queue, but for the answers to producers, which expire."""
    keys = client.scan_iter(match=queue.keys.prefix.replace(b"{", b"\\{") + b"*", count=1000)
    request = queue.keys.request("")
    return {key: client.dump(key) for key in keys if not key.startswith(request)}


def held(client: Any, queue: RedisQueue) -> dict[bytes, list[bytes]]:
    """What stands in the processing lists."""
    stem = queue.keys.processing("")
    found = [key for key in snapshot(client, queue) if key.startswith(stem)]
    return {key.removeprefix(stem): client.lrange(key, 0, -1) for key in found}


def assert_sound(client: Any, queue: RedisQueue) -> None:
    """No worker is left, nothing is held, and no invariant is broken."""
    assert queue.check() == []
    assert queue.stats().workers == ()
    assert held(client, queue) == {}
