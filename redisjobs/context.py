"""What a handler is told about its run."""

from __future__ import annotations

import logging
import threading
from asyncio import CancelledError
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from datetime import datetime
from enum import StrEnum
from typing import Any

from redisjobs.errors import RedisJobsError

_LOGGER = logging.getLogger("redisjobs")

# One for all contexts: taken for an instant, and only where one is cancelled or waited for.
_lock = threading.Lock()


class CancelReason(StrEnum):
    """Why a context was cancelled."""

    SHUTDOWN = "shutdown"
    LEASE_LOST = "lease lost"


class Context:
    """One run of a handler: where it runs, which attempt it is, and whether it should stop.

    Attributes:
        queue_name: the queue of the job.
        worker_id: the worker that holds the job.
        job_id: the job's id.
        job_kind: the job's kind.
        attempt: 1 for the first one.
        losses: how often the job's worker died while running it.
        token: a fencing token: greater than that of every earlier delivery of the job.
    """

    # What most runs never have: one context is made for each.
    _adapter: JobLogger | None = None
    _callback: Callable[[], object] | None = None
    _cancel_reason: CancelReason | None = None
    _event: threading.Event | None = None

    def __init__(
        self,
        queue_name: str,
        worker_id: str,
        job_id: str,
        job_kind: str,
        attempt: int,
        losses: int,
        token: int,
        base_logger: logging.Logger = _LOGGER,
    ) -> None:
        self.queue_name = queue_name
        self.worker_id = worker_id
        self.job_id = job_id
        self.job_kind = job_kind
        self.attempt = attempt
        self.losses = losses
        self.token = token
        self._base_logger = base_logger

    @classmethod
    def background(
        cls,
        *,
        attempt: int = 1,
        losses: int = 0,
        token: int = 0,
        job_id: str = "",
        job_kind: str = "",
        queue_name: str = "",
    ) -> Context:
        """A context for tests and calls by hand, of a job that no worker holds: of a first attempt,
        or of the one that the arguments describe.
        """
        return cls(queue_name, "", job_id, job_kind, attempt, losses, token)

    @property
    def deadline(self) -> datetime | None:
        """When the run must be over. None: whenever it likes."""
        return None

    @property
    def cancelled(self) -> bool:
        """Whether the handler should stop."""
        return self._cancel_reason is not None

    @property
    def cancel_reason(self) -> CancelReason | None:
        """Why the handler should stop."""
        return self._cancel_reason

    @property
    def logger(self) -> JobLogger:
        """A logger whose records have `job_id job_kind attempt queue_name worker_id`."""
        if self._adapter is None:
            self._adapter = JobLogger(
                self._base_logger,
                {
                    "job_id": self.job_id,
                    "job_kind": self.job_kind,
                    "attempt": self.attempt,
                    "queue_name": self.queue_name,
                    "worker_id": self.worker_id,
                },
            )
        return self._adapter

    def raise_if_cancelled(self) -> None:
        """For sync handlers, between two steps of their work.

        Raises:
            asyncio.CancelledError: the handler should stop. Let it pass.
        """
        if self._cancel_reason is not None:
            raise CancelledError(str(self._cancel_reason))

    def wait_cancelled(self, timeout: float | None = None) -> bool:
        """Blocks until the context is cancelled, or `timeout` seconds are over; whether it is."""
        with _lock:
            if self._cancel_reason is not None:
                return True
            if self._event is None:
                self._event = threading.Event()
            event = self._event
        return event.wait(timeout)

    def cancel(self, reason: CancelReason) -> None:
        """Asks the handler to stop; from any thread, by the worker. The first reason stays."""
        with _lock:
            if self._cancel_reason is not None:
                return
            self._cancel_reason = reason
            event, callback = self._event, self._callback
        if event is not None:
            event.set()
        if callback is not None:
            callback()

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Has `callback` called once, when the context is cancelled: at once if it is already.

        It runs in the thread that cancels, and replaces an earlier one that was not called yet.
        """
        with _lock:
            self._callback = callback
            if self._cancel_reason is None:
                return
        callback()

    def __repr__(self) -> str:
        return (
            f"<Context of job {self.job_id!r} ({self.job_kind}), attempt {self.attempt}"
            f"{f', cancelled: {self._cancel_reason}' if self._cancel_reason else ''}>"
        )


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that adds the job's fields to what the caller passes as `extra`."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Merges the two, which the base class does not do before Python 3.13."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs


# Set by `redisjobs.attempt` where a handler runs.
running_context: ContextVar[Context] = ContextVar("redisjobs.running_context")


def current_context() -> Context:
    """The context of the handler that runs here, in it and in whatever it calls.

    Tasks that an `async def` handler starts and `asyncio.to_thread` have it too; a thread that a
    handler starts by itself has not.

    Raises:
        RedisJobsError: no handler runs here.
    """
    try:
        return running_context.get()
    except LookupError:
        raise RedisJobsError(
            "no handler runs here: current_context() is for handlers and what they call; elsewhere"
            " pass a Context, or make one with Context.background()"
        ) from None
