"""A worker that was silent for longer than its lease: what its handlers come to is refused, and its
log says so for each, whatever the worker learns first.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from redisjobs import Job, RedisQueue
from redisjobs.operations.giving_back import reap
from redisjobs.worker.agenda import Agenda
from tests.running import assert_sound, held, running, wait_for_end
from tests.waiting import wait_for_event

if TYPE_CHECKING:
    import pytest
    import redis

    from redisjobs.context import Context


def test_what_it_finds_gone_when_it_compares_is_logged_as_refused(
    queue: RedisQueue,
    client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After a SIGSTOP a comparison with Redis is always due, and comes before anything is said."""
    began, gate, job = threading.Event(), threading.Event(), Job("kind")

    def fn(ctx: Context, job: Job) -> bytes:
        began.set()
        wait_for_event(gate, "the test lets the handler end")
        return b"token=%d" % ctx.token

    queue.enqueue(job)
    with running(queue, {"kind": fn}, lease=120, poll_interval=120, concurrency=1):
        wait_for_event(began, "the handler has begun")
        (worker,) = held(client, queue)
        queue.lines.run(lambda: reap(queue.keys, worker.decode(), None, 3, ["kind"]))
        monkeypatch.setattr(Agenda, "reconcile_is_due", lambda *_: True)
        gate.set()
        wait_for_end(queue, job.id)
    refused = [one for one in caplog.records if "outcome is not recorded" in one.getMessage()]
    assert [vars(one)["job_id"] for one in refused] == [job.id]
    assert_sound(client, queue)
