"""A network that is slow both ways: all takes longer, and nothing else changes."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redisjobs import Job, RedisQueue, Status
from tests.chaos.relay import Relay, socket_of
from tests.running import Ledger, assert_sound, running, wait_for_end

if TYPE_CHECKING:
    import pytest
    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer

WAY_S = 0.08  # and as much back
LEASE_S = 1.2
COSTLY = ("is dead", "lost its lease", "is not recorded", "was not heard")


def test_it_costs_no_lease_no_job_and_no_outcome(
    queue: RedisQueue,
    client: redis.Redis,
    redis_server: EmbeddedServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = Ledger()

    def outlast(ctx: Context, job: Job) -> bytes:
        """For longer than the lease."""
        assert not ctx.wait_cancelled(1.5 * LEASE_S), f"cancelled: {ctx.cancel_reason}"
        return ledger.note(ctx, job)

    handlers = {"quick": ledger.note, "quick-async": ledger.note_async, "long": outlast}
    settings: dict[str, Any] = {"lease": LEASE_S, "concurrency": 8}
    long = [Job("long") for _ in range(4)]
    quick = [Job(kind) for kind in ("quick", "quick-async") for _ in range(20)]
    with ExitStack() as stack:
        relay = stack.enter_context(Relay(Path(socket_of(redis_server.url)), "latency"))
        relay.delay_s = WAY_S
        producer, *workers = [RedisQueue.from_url(relay.url, queue.name) for _ in range(3)]
        for far in workers:
            stack.enter_context(running(far, handlers, **settings))
        producer.enqueue(*long)
        for start in range(0, len(quick), 10):
            producer.enqueue(*quick[start : start + 10])
        assert producer.wait(long[0].id, 15.0).status is Status.DONE
        ended = wait_for_end(queue, *(job.id for job in (*long, *quick)))
        for far in (producer, *workers):
            far.close()
    assert {(job.status, job.attempts_done) for job in ended} == {(Status.DONE, 1)}
    assert ledger.runs == {job.id: 1 for job in (*long, *quick)}
    assert client.hlen(queue.keys.losses) == 0
    told = [one.getMessage() for one in caplog.records]
    assert [one for one in told if any(words in one for words in COSTLY)] == []
    assert_sound(client, queue)
