"""One delivery in the hands of this process."""

from __future__ import annotations

from typing import Any

from redisjobs.attempt import Outcome
from redisjobs.context import CancelReason, Context
from redisjobs.job import Job


class Delivery:
    """A job that this worker holds, from its claim until it is settled or given back.

    Attributes:
        name: `<token>:<id>`, as it stands in the processing list.
        fn: its handler; `is_async` says of which sort.
        losses: how often it lost its worker.
        alone: it runs alone, as its last chance.
        started_at: when its handler began, by the monotonic clock; None while it waits in this
            process.
        seconds: how long its handler ran.
        cancelled: why its run is to stop, or is not to begin.
    """

    __slots__ = (
        "alone", "attempts_done", "cancelled", "context", "fn", "id", "is_async", "job", "kind",
        "last_error", "losses", "name", "outcome", "seconds", "started_at", "task", "token",
    )  # fmt: skip
    cancelled: CancelReason | None
    context: Context | None
    outcome: Outcome | None
    started_at: float | None
    task: Any

    def __init__(
        self,
        token: int,
        job: Job,
        fn: Any,
        is_async: bool,
        losses: int = 0,
        alone: bool = False,
        name: str = "",
    ) -> None:
        self.token = token
        self.id = id = job.id
        self.kind = job.kind
        self.name = name or f"{token}:{id}"
        self.job = job
        self.fn = fn
        self.is_async = is_async
        self.losses = losses
        # What a handler writes to its job is not settled.
        self.attempts_done = job.attempts_done
        self.last_error = job.last_error
        self.alone = alone
        self.seconds = 0.0
        self.context = self.task = self.started_at = self.outcome = self.cancelled = None

    def __repr__(self) -> str:
        return f"<Delivery {self.name} ({self.kind})>"
