"""Serving a plain `JobQueue` of somebody else's: as many threads as there are slots poll its
`dequeue`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from datetime import UTC, datetime
from typing import cast

from redisjobs.attempt import AsyncHandler, SyncHandler
from redisjobs.context import CancelReason, Context
from redisjobs.job import Job
from redisjobs.queue import JobQueue
from redisjobs.registry import Handlers
from redisjobs.states import Status
from redisjobs.worker.loop import HandlerLoop, Loop
from redisjobs.worker.settings import WorkerSettings
from redisjobs.worker.shutdown import Shutdown


class PlainRunner:
    """Polls a queue of which nothing is known but `enqueue` and `dequeue`."""

    def __init__(
        self,
        queue: JobQueue,
        handlers: Handlers,
        settings: WorkerSettings,
        shutdown: Shutdown,
        logger: logging.Logger,
        new_loop: Callable[[], Loop] = HandlerLoop,
    ) -> None:
        self._queue = queue
        self._handlers = handlers
        self._settings = settings
        self._shutdown = shutdown
        self._logger = logger
        self._new_loop = new_loop
        self._loop: Loop | None = None
        self._loop_lock = threading.Lock()
        self._running: set[Context] = set()

    def run(self, *, burst: bool) -> None:
        """Works until the worker is stopped or, in a burst, until no thread finds a job."""
        threads = [
            threading.Thread(
                target=self._poll, args=(burst,), name="redisjobs-handler", daemon=True
            )
            for _ in range(self._settings.concurrency)
        ]
        try:
            for thread in threads:
                thread.start()
            self._wait_for(threads)
        except BaseException:
            self._shutdown.request()  # what a signal handler raises ends the threads, too
            raise
        if self._loop is not None:
            self._loop.stop(0.5)

    def _wait_for(self, threads: Sequence[threading.Thread]) -> None:
        for thread in threads:
            while thread.is_alive() and not self._shutdown.is_over():
                # A timed join lets signals in.
                thread.join(min(0.5, max(0.01, self._shutdown.next_stage_in())))
                if self._shutdown.handlers_time_is_over():
                    self._cancel_what_runs()

    def _poll(self, burst: bool) -> None:
        while not self._shutdown.requested:
            kinds = self._handlers.kinds
            try:
                found = bool(kinds) and self._queue.dequeue(kinds, self._attempt)
            except Exception:
                self._logger.exception("dequeue failed, trying again")
                self._shutdown.wait(self._settings.poll_interval_s)
                continue
            if not found:
                if burst:
                    return
                self._shutdown.wait(self._settings.poll_interval_s)

    def _attempt(self, ctx: Context, job: Job) -> Job:
        self._running.add(ctx)
        try:
            # What one handler sets in its context is nothing that another may see.
            return copy_context().run(self._attempt_as_handler, ctx, job)
        finally:
            self._running.discard(ctx)

    def _cancel_what_runs(self) -> None:
        for ctx in list(self._running):
            ctx.cancel(CancelReason.SHUTDOWN)

    def _attempt_as_handler(self, ctx: Context, job: Job) -> Job:
        handler = self._handlers.get(job.kind)
        if handler is None:
            raise LookupError(
                f"the queue handed out a job of kind {job.kind!r}, which was not asked for"
            )
        now, floor = datetime.now(UTC), self._settings.min_retry_backoff
        if handler.is_async:
            fn = cast("AsyncHandler", handler.fn)
            self._loop_for_handlers().run(job.attempt_async(ctx, now, fn, min_backoff=floor))
        else:
            job.attempt(ctx, now, cast("SyncHandler", handler.fn), min_backoff=floor)
        self._logger.log(
            logging.DEBUG if job.status is Status.DONE else logging.WARNING,
            "job %s (%s) is %s%s",
            job.id, job.kind, job.status, f": {job.last_error}" if job.last_error else "",
            extra={"job_id": job.id, "job_kind": job.kind, "attempt": job.attempts_done},
        )  # fmt: skip
        return job

    def _loop_for_handlers(self) -> Loop:
        with self._loop_lock:
            if self._loop is None:
                self._loop = self._new_loop()
            return self._loop


def is_job_queue(queue: object, methods: Sequence[str] = ("enqueue", "dequeue")) -> bool:
    """Whether an object has the two methods."""
    return all(callable(getattr(queue, method, None)) for method in methods)
