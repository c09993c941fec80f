"""What random schedules have found, as the shortest story that shows it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.errors import LockLostError
from redisjobs.operations import giving_back
from redisjobs.operations.giving_back import reap
from tests.scripts.bench import KIND, LEASE_US, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis


@pytest.fixture
def bench(client: redis.Redis, queue_name: str) -> Iterator[Bench]:
    made = Bench(client, queue_name)
    yield made
    made.close()


def test_a_registration_that_arrives_late_does_not_revive_a_worker_that_is_being_reaped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed 203, story 137: it beat and claimed on with half of its jobs, and its reaper gave up."""
    monkeypatch.setattr(giving_back, "CHUNK", 1)
    bench.register("w")
    ids = bench.enqueue(number=2)
    bench.take("w")
    bench.clock.advance(timedelta(microseconds=LEASE_US))
    lease = bench.client.zscore(bench.keys.workers, "w")
    assert lease is not None
    reaping = reap(bench.keys, "w", f"{lease:.0f}", 3, [KIND])
    line = bench.lines.new_line(10)
    first = line.exchange(next(reaping))
    line.close()
    assert first[0][:3] == [b"ok", 1, 1]

    bench.register("w")

    with pytest.raises(LockLostError):
        bench.beat("w")
    with pytest.raises(LockLostError):
        bench.claim("w")
    bench.reap("w", f"{lease:.0f}")
    assert bench.waiting() == ids
    assert bench.snapshot().keys().isdisjoint({"workers", "worker-info", "processing:w"})
