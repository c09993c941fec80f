"""Random schedules with a seed: longer ones than hypothesis plays, on each kind of server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fakeredis

from tests.stateful.effort import scaled, seed
from tests.stateful.schedules import run

if TYPE_CHECKING:
    import redis


def test_schedules_on_a_real_server_keep_the_invariants(
    every_client: redis.Redis, queue_name: str
) -> None:
    steps = scaled(3000)
    assert run(every_client, seed(), steps, name=queue_name).steps >= steps


def test_schedules_on_fakeredis_keep_the_invariants(queue_name: str) -> None:
    steps = scaled(2000)
    fake = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    assert run(fake, seed() + 1, steps, name=queue_name).steps >= steps
