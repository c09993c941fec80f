"""A burst does not wait for its Redis for ever, as a worker does: somebody waits for its end."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from redisjobs.errors import QueueUnavailableError, RedisJobsError
from redisjobs.operations.operation import Operation, command, reply_of
from redisjobs.queue_base import QueueBase
from redisjobs.transport import Lines
from redisjobs.worker.worker import Worker

LOOK_EVERY_S = 5.0
PATIENCE_S = 30.0


@contextlib.contextmanager
def ending_without_redis(worker: Worker) -> Iterator[None]:
    """Has a worker that runs meanwhile stop when its Redis is away for 30 s.

    Raises:
        QueueUnavailableError: Redis was not there at the start, for 3 s; or it stayed away later.
    """
    if not isinstance(worker.queue, QueueBase):
        yield
        return
    watch = _Watch(worker, worker.queue.source.lines)
    watch.look()
    watch.start()
    try:
        yield
    finally:
        watch.end()
    if watch.missed is not None:
        raise watch.missed


class _Watch:
    """Looks for Redis now and then, on a thread of its own.

    Attributes:
        missed: why the worker was stopped, if it was.
    """

    def __init__(self, worker: Worker, lines: Lines) -> None:
        self._worker = worker
        self._lines = lines
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="redisjobs-burst", daemon=True)
        self.missed: QueueUnavailableError | None = None

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        # Not joined: it may be in the midst of a look, and what it finds is of no use any more.
        self._ended.set()

    def look(self) -> None:
        self._lines.run(_ping, repeatable=False)

    def _run(self) -> None:
        seen_at = time.monotonic()
        while not self._ended.wait(LOOK_EVERY_S):
            try:
                self.look()
            except QueueUnavailableError as err:
                if time.monotonic() - seen_at >= PATIENCE_S and not self._ended.is_set():
                    self.missed = err
                    self._worker.stop()
                    return
            except RedisJobsError:
                seen_at = time.monotonic()  # it is there, and the worker will tell what is wrong
            else:
                seen_at = time.monotonic()


def _ping() -> Operation[None]:
    reply_of((yield (command("PING"),)))
