"""A worker that stops is gone as soon as its last handler heeds it and the job is given back."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from redisjobs import Job, RedisQueue
from redisjobs.worker import shutdown
from tests.running import assert_sound, running
from tests.waiting import wait_for_event

if TYPE_CHECKING:
    import pytest
    import redis

    from redisjobs.context import Context


# With one slot, and that taken, it does not hear the bell of what it gives back itself.
SETTINGS: dict[str, Any] = {
    "lease": 120,
    "poll_interval": 120,
    "shutdown_timeout": 0,
    "concurrency": 1,
}


def test_a_handler_that_is_slow_to_heed_holds_a_stopping_worker_no_longer_than_it_takes(
    queue: RedisQueue, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutdown, "GRACE_S", 30.0)  # or it would be a second longer, at most
    began, job = threading.Event(), Job("kind")

    def fn(ctx: Context, job: Job) -> None:
        began.set()
        ctx.wait_cancelled()
        time.sleep(0.1)  # it cleans up
        ctx.raise_if_cancelled()

    queue.enqueue(job)
    with running(queue, {"kind": fn}, **SETTINGS) as worker:
        wait_for_event(began, "the handler has begun")
        worker.stop(5.0)
    assert queue.stats().kinds["kind"].ready == 1
    assert_sound(client, queue)
