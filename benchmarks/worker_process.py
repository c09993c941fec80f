"""One worker process of redisjobs, as benchmarks start it.

    python -m benchmarks.worker_process '{"url": …, "handler": "noop", …}'

The fields are those of `WorkerPlan`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmarks.journal import note, ran
from redisjobs import Context, Job, RedisQueue, Registry, Worker

TYPED = "task"
CPU_S = 0.001
WAIT_S = 0.005
MIX_COMPUTES = 0.2


@dataclass(frozen=True)
class WorkerPlan:
    """What a worker process is to be.

    Attributes:
        handler: a name in HANDLERS, or TYPED for the task.
        kinds: all run by this handler.
        workers: how many workers in the one process, each in a thread of its own.
    """

    url: str
    handler: str = "noop"
    queue: str = "benchmark"
    kinds: tuple[str, ...] = ("noop",)
    concurrency: int = 10
    prefetch: int | Literal["auto"] = "auto"
    retention: float = 0.0
    workers: int = 1

    def command(self) -> list[str]:
        """What starts it."""
        return [sys.executable, "-m", "benchmarks.worker_process", json.dumps(asdict(self))]


def noop(_: Context, job: Job) -> None:  # noqa: ARG001
    """Nothing but being counted."""
    ran()


async def noop_async(_: Context, job: Job) -> None:  # noqa: ARG001
    """The same in a coroutine."""
    ran()


def burn() -> None:
    """1 ms of this thread's processor time, however it is scheduled."""
    end = time.thread_time() + CPU_S
    while time.thread_time() < end:
        pass


def cpu(_: Context, job: Job) -> None:  # noqa: ARG001
    """Computes."""
    burn()
    ran()


async def cpu_async(_: Context, job: Job) -> None:  # noqa: ARG001
    """Computes in a coroutine."""
    burn()
    ran()


def wait(_: Context, job: Job) -> None:  # noqa: ARG001
    """Waits, as for a database."""
    time.sleep(WAIT_S)
    ran()


async def wait_async(_: Context, job: Job) -> None:  # noqa: ARG001
    """Waits in a coroutine."""
    await asyncio.sleep(WAIT_S)
    ran()


_turns = itertools.count()


def _computes() -> bool:
    return next(_turns) % round(1 / MIX_COMPUTES) == 0


def mix(ctx: Context, job: Job) -> None:
    """Each fifth one computes, the others wait."""
    (cpu if _computes() else wait)(ctx, job)


async def mix_async(ctx: Context, job: Job) -> None:
    """The same in a coroutine."""
    await (cpu_async if _computes() else wait_async)(ctx, job)


def pick_up(_: Context, job: Job) -> None:
    """Notes how long ago the job was sent, in seconds by the clock that all processes share."""
    if job.payload[:1].isdigit():
        note(time.monotonic() - float(job.payload[:20]))
    else:
        ran()


async def pick_up_async(_: Context, job: Job) -> None:
    """The same in a coroutine."""
    note(time.monotonic() - float(job.payload[:20]))


def late(_: Context, job: Job) -> None:
    """Notes how late the job is, in seconds; the server is on this machine and has its clock."""
    note(time.time() - float(job.payload[:20]))


async def late_async(_: Context, job: Job) -> None:
    """The same in a coroutine."""
    note(time.time() - float(job.payload[:20]))


def long(_: Context, job: Job) -> None:
    """Notes how long ago the job was sent, then takes the seconds that the payload names, if it was
    sent with any.
    """
    if job.payload[:1].isdigit():
        note(time.monotonic() - float(job.payload[:20]))
        time.sleep(float(job.payload[20:30]))
    else:
        ran()


registry = Registry()


@registry.task("noop")
def task(payload: str) -> None:  # noqa: ARG001
    """Nothing but being counted, with an argument that is checked and decoded, as peers do."""
    ran()


HANDLERS: Mapping[str, Any] = {
    fn.__name__: fn
    for fn in (
        noop, noop_async, cpu, cpu_async, wait, wait_async, mix, mix_async,
        pick_up, pick_up_async, late, late_async, long,
    )
}  # fmt: skip


def _worker(plan: WorkerPlan) -> Worker:
    queue = RedisQueue.from_url(plan.url, plan.queue, retention=plan.retention)
    handlers: Any = registry
    if plan.handler != TYPED:
        handlers = dict.fromkeys(plan.kinds, HANDLERS[plan.handler])
    return Worker(queue, handlers, concurrency=plan.concurrency, prefetch=plan.prefetch)


def main() -> None:
    """Runs until SIGTERM."""
    logging.basicConfig(level=logging.WARNING)
    fields = json.loads(sys.argv[1])
    plan = WorkerPlan(**{**fields, "kinds": tuple(fields["kinds"])})
    others = [_worker(plan) for _ in range(plan.workers - 1)]
    # All threads are there before the first begins: an idle one keeps them from the interpreter.
    ready = threading.Barrier(plan.workers)

    def run(worker: Worker) -> None:
        ready.wait()
        worker.run()

    threads = [threading.Thread(target=run, args=(worker,)) for worker in others]
    for thread in threads:
        thread.start()
    run(_worker(plan))
    for worker in others:
        worker.stop()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
