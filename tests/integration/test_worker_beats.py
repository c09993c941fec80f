"""What a worker's heartbeat and janitor go on through, and what they wake."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING, Any

from redisjobs import Job
from redisjobs.operations import membership
from redisjobs.operations import sweep as sweeping
from redisjobs.patience import LineError
from redisjobs.worker import heartbeat, janitor
from tests.running import Ledger, running
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    import pytest

    from redisjobs import RedisQueue


def _failing(original: Any, times: int) -> tuple[Any, Any]:
    """A function that fails in an unexpected way at first, and how often it was called."""
    calls, numbers = list[int](), count(1)

    def call(*arguments: Any) -> Any:
        calls.append(next(numbers))
        if calls[-1] <= times:
            raise OverflowError("what nobody expects")
        return original(*arguments)

    return call, calls


def test_a_heartbeat_goes_on_after_what_nobody_expects(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat, calls = _failing(membership.beat, 2)
    monkeypatch.setattr(heartbeat, "beat", beat)
    with running(queue, lease=1.5):
        wait_until(lambda: len(calls) >= 4, "it beats on")
        (worker,) = queue.stats().workers
        assert worker.lease_left > 0


def test_a_kind_that_a_failed_beat_was_to_tell_is_told_by_the_next(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def lost(*_: object) -> object:
        tried.set()
        raise LineError("away", sent=False)

    with running(queue, {"first": Ledger().note}, lease=3) as worker:
        wait_until(lambda: queue.stats().workers, "the worker is registered")
        with monkeypatch.context() as patched:
            patched.setattr(heartbeat, "beat", lost)
            worker.worker.register("second", Ledger().note)
            wait_for_event(tried, "a beat has failed")
        wait_until(
            lambda: queue.stats().workers[0].kinds == ("first", "second"), "the kind is told"
        )


def test_the_janitor_goes_on_after_what_nobody_expects(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, calls = _failing(sweeping.sweep, 1)
    monkeypatch.setattr(janitor, "sweep", sweep)
    queue.enqueue(Job("kind"))
    with running(queue, lease=0.6):
        wait_until(lambda: len(calls) >= 2, "it sweeps on")


def test_a_lease_that_holds_again_wakes_the_worker(queue: RedisQueue) -> None:
    """After a Redis that was away, or a process that was stopped: what is due need not wait for the
    next comparison of lists.
    """
    ledger, job = Ledger(), Job("kind")
    with running(queue, {"kind": ledger.note}, lease=120, poll_interval=120) as worker:
        wait_until(lambda: queue.stats().workers, "the worker is registered")
        engine = worker.worker._engine
        assert engine is not None
        life = engine.heartbeat._life
        life.current.lease_ends = 0.0
        queue.enqueue(job)
        wait_until(lambda: not engine._pump._bell.pending, "the bell has rung in vain")
        assert not ledger.runs
        engine.heartbeat.beat_soon()
        ledger.wait_for([job.id], 10)
