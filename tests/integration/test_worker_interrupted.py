"""A worker whose `run()` is left by what a signal handler of the user's raises."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job
from redisjobs.worker import Worker
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redisjobs import RedisQueue
    from redisjobs.context import Context


class _OverError(Exception):
    """What the signal handler raises."""


@pytest.fixture(autouse=True)
def _raising_alarm() -> Iterator[None]:
    def leave(*_: object) -> None:
        raise _OverError

    before = signal.signal(signal.SIGALRM, leave)
    yield
    signal.signal(signal.SIGALRM, before)


def _left(before: set[threading.Thread]) -> list[str]:
    """The threads of a worker that go on."""
    return [
        thread.name
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith("redisjobs")
    ]


def test_its_pump_does_not_go_on_without_a_heartbeat(queue: RedisQueue) -> None:
    def fn(ctx: Context, job: Job) -> None:
        os.kill(os.getpid(), signal.SIGALRM)

    before = set(threading.enumerate())
    queue.enqueue(Job("kind"))
    with pytest.raises(_OverError):
        Worker(queue, {"kind": fn}).run()
    wait_until(lambda: not _left(before), "all threads have ended")
    assert queue.stats().workers == ()


def test_over_a_plain_queue_its_threads_end() -> None:
    class Plain:
        def enqueue(self, *jobs: Job) -> None: ...

        def dequeue(self, kinds: Any, fn: Any) -> bool:
            if not rung.is_set():
                rung.set()
                os.kill(os.getpid(), signal.SIGALRM)
            return False

    rung, before = threading.Event(), set(threading.enumerate())
    with pytest.raises(_OverError):
        Worker(Plain(), {"kind": lambda ctx, job: None}, poll_interval=0.1).run()
    wait_until(lambda: not _left(before), "all threads have ended")
