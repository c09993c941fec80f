"""What is measured: redisjobs, and in `benchmarks.peers` the others. All have one shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from benchmarks.floor import PAYLOAD
from benchmarks.servers import Served
from benchmarks.worker_process import TYPED, WorkerPlan, task
from redisjobs import Job, RedisQueue


class Contender(Protocol):
    """A queue on one server, and how its worker processes are started."""

    def fill(self, jobs: int) -> None:
        """Enqueues so many jobs as fast as it can."""

    def command(self) -> Sequence[str]:
        """What starts one worker process."""

    @property
    def environ(self) -> Mapping[str, str]:
        """What a worker process needs in its environment."""

    def left(self) -> int:
        """How many of the jobs have not been acknowledged. Costs the server next to nothing."""

    def verify(self, jobs: int) -> None:
        """Raises AssertionError unless so many jobs ended well and nothing is left behind."""


class Ours:
    """redisjobs on this server, with workers by a `WorkerPlan` that is changed so."""

    def __init__(self, served: Served, **changes: Any) -> None:
        self.plan = replace(WorkerPlan(served.url), **changes)
        self.queue = RedisQueue.from_url(served.url, self.plan.queue, retention=self.plan.retention)
        self._client = served.client
        self._stored = 0

    def jobs(self, number: int) -> Iterator[Job]:
        """So many jobs, of the plan's kinds in turn."""
        kinds = self.plan.kinds
        if self.plan.handler == TYPED:
            text = PAYLOAD.decode()
            return (task.job(text) for _ in range(number))
        return (Job(kinds[place % len(kinds)], PAYLOAD) for place in range(number))

    def fill(self, jobs: int) -> None:
        """Enqueues so many jobs."""
        self._stored += self.queue.enqueue_many(self.jobs(jobs))

    def command(self) -> Sequence[str]:
        """What starts one worker process."""
        return self.plan.command()

    @property
    def environ(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    def _ended(self) -> dict[bytes, int]:
        totals = self._client.hgetall(self.queue.keys.totals)
        return {name: int(number) for name, number in totals.items()}

    def left(self) -> int:
        """How many of the jobs stored have not been settled."""
        return self._stored - sum(self._ended().values())

    def verify(self, jobs: int) -> None:
        """Raises AssertionError unless so many jobs ended as DONE, once each, none is left, and the
        queue is sound.
        """
        ended = self._ended()
        assert all(name.startswith(b"done:") for name in ended), ended
        assert sum(ended.values()) == jobs, f"{ended} instead of {jobs:,} done"
        stats = self.queue.stats()
        left = [kind for kind, of in stats.kinds.items() if of.scheduled + of.ready + of.running]
        assert not left, f"{left} still have jobs"
        if not self.plan.retention:
            assert self._client.exists(self.queue.keys.jobs) == 0, "records were left behind"
        broken = self.queue.check()
        assert not broken, broken
