"""What a worker's heartbeat wakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redisjobs import Job
from tests.running import Ledger, running
from tests.waiting import wait_until

if TYPE_CHECKING:
    from redisjobs import RedisQueue


def test_a_lease_that_holds_again_wakes_the_worker(queue: RedisQueue) -> None:
    """After a Redis that was away, or a process that was stopped: what is due need not wait for the
    next comparison of lists.
    """
    ledger, job = Ledger(), Job("kind")
    with running(queue, {"kind": ledger.note}, lease=120, poll_interval=120) as worker:
        wait_until(lambda: queue.stats().workers, "the worker is registered")
        engine = worker.worker._engine
        assert engine is not None
        wait_until(lambda: engine.heartbeat.beats, "the first beat is over")
        life = engine.heartbeat._life
        wait_until(lambda: engine._pump._bell.pending, "it listens for the bell")
        life.current.lease_ends = 0.0
        engine.wakeup.armed = False
        queue.enqueue(job)
        wait_until(lambda: engine.wakeup.armed, "the bell has rung in vain, and it sleeps again")
        assert not ledger.runs
        engine.heartbeat.beat_soon()
        ledger.wait_for([job.id], 10)
