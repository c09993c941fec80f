"""A Redis that comes back without its last writes, as `everysec` allows after a power cut.

What it has lost is lost; but the queue is sound, the workers go on, and all that is left ends.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import redis

from redisjobs import Job, RedisQueue
from tests.running import Ledger, assert_sound, held, running, wait_for_end
from tests.waiting import wait_until

if TYPE_CHECKING:
    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer


def _cut_log_short(server: EmbeddedServer, share: float) -> None:
    """Leaves so much of what the server wrote since it began: in mid-command, most likely."""
    (log,) = (server.directory / "appendonlydir").glob("*.incr.aof")
    whole = log.read_bytes()
    log.write_bytes(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6, 0.9])
def test_what_is_left_ends_and_the_workers_go_on(own_server: OwnServer, share: float) -> None:
    server = own_server(options={"appendonly": "yes", "appendfsync": "everysec"})
    queue, ledger = RedisQueue.from_url(server.url, "short"), Ledger()

    def fn(ctx: Context, job: Job) -> bytes:
        time.sleep(0.002)
        return ledger.note(ctx, job)

    with redis.Redis.from_url(server.url) as client:
        jobs = [Job("kind") for _ in range(600)]
        with running(queue, {"kind": fn}, lease=1.0), running(queue, {"kind": fn}, lease=1.0):
            for start in range(0, 600, 20):
                queue.enqueue(*jobs[start : start + 20])
            wait_until(lambda: len(ledger.runs) > 100, "some have run")
            server.crash()
            _cut_log_short(server, share)
            server.restart()
            left = [job.id for job in jobs if queue.get(job.id)]
            assert share > 0.5 or len(left) < 600, "some of it is gone"
            wait_for_end(queue, *left, timeout=20)
            fresh = Job("kind")
            queue.enqueue(fresh)
            wait_for_end(queue, fresh.id)
            wait_until(lambda: not any(held(client, queue).values()), "nothing is held any more")
            assert queue.check() == []
        assert_sound(client, queue)
    queue.close()
