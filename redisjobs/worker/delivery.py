"""One delivery in the hands of this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from redisjobs.attempt import Outcome
from redisjobs.context import CancelReason, Context
from redisjobs.job import Job


@dataclass(frozen=True, slots=True)  # a field of a NamedTuple takes three times as long to read
class Batch:
    """What the deliveries of one claim and kind have in common.

    Attributes:
        worker_id: the id under which they were claimed.
        fn: their handler; `is_async` says of which sort.
        alone: the one in it runs alone, as its last chance.
        read: makes a job of an id and a record; None: of a record that has another form.
    """

    token: int
    worker_id: str
    kind: str
    fn: Any
    is_async: bool
    alone: bool
    read: Callable[[str, bytes], Job | None]


class Delivery:
    """A job that this process holds, from its claim until it is settled or given back. One is made
    for each job: what most never have is an attribute of the class. What all have is made at once:
    an instance's own value beside one of its class is slow to set and to read.

    Attributes:
        id: the job's.
        name: `<token>:<id>`, as it stands in the processing list.
        record: as it was stored. It is read when the job begins, or with `state`, where there is
            one, when it was claimed: that is its progress.
        job: what was read already.
        unreadable: why it cannot be.
        attempts_done: how many attempts had ended when it was claimed: what a handler writes to its
            job is not settled.
        last_error: why the last of these failed.
        losses: how often it lost its worker.
        started_at: when its handler began, by the monotonic clock; None while it waits in this
            process.
        seconds: how long its handler ran.
        context: while it runs, and after a run of which more is to be told than that it is done.
        outcome: how it ended.
        task: in which an async handler runs.
        cancelled: why its run is to stop, or is not to begin.
    """

    state: bytes | None = None
    job: Job | None = None
    unreadable: Exception | None = None
    attempts_done: int = 0
    last_error: str | None = None
    losses: int = 0
    cancelled: CancelReason | None = None

    def __init__(self, batch: Batch, id: str, name: str, record: bytes) -> None:
        self.batch = batch
        self.id = id
        self.name = name
        self.record = record
        self.started_at: float | None = None
        self.seconds = 0.0
        self.context: Context | None = None
        self.outcome: Outcome | None = None
        self.task: Any = None

    @property
    def token(self) -> int:
        """The claim's number: greater than that of every earlier delivery of the job."""
        return self.batch.token

    @property
    def kind(self) -> str:
        """The job's."""
        return self.batch.kind

    def __repr__(self) -> str:
        return f"<Delivery {self.name} ({self.kind})>"
