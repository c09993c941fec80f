"""Random schedules with a seed: longer ones than hypothesis plays, on each kind of server; and
thousands of short ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import fakeredis
import pytest
import redis

from tests.stateful.effort import scaled, seed
from tests.stateful.schedules import play, run, run_short
from tests.stateful.ticking import TickingLibrary
from tests.stateful.wire import AskEnqueue
from tests.stateful.world import SOUND, TWO_REAPERS, TWO_SWEEPERS, sized_for_stories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import OwnServer

# Chunks, so that they are spread over the processes of a run.
CHUNKS = 8
STORIES_IN_A_CHUNK = 250


@pytest.fixture
def own_client(own_server: OwnServer) -> Iterator[redis.Redis]:
    """A connection to a server that holds nothing but the story that is told."""
    with redis.Redis.from_url(own_server().url) as connected:
        yield connected


def test_schedules_on_a_real_server_keep_the_invariants(
    every_client: redis.Redis, queue_name: str
) -> None:
    steps = scaled(3000)
    assert run(every_client, seed(), steps, name=queue_name).steps >= steps


def test_schedules_on_fakeredis_keep_the_invariants(queue_name: str) -> None:
    steps = scaled(1000)  # it is slow
    fake = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    assert run(fake, seed() + 1, steps, name=queue_name).steps >= steps


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_short_schedules_keep_the_invariants(chunk: int, own_client: redis.Redis) -> None:
    stories = scaled(STORIES_IN_A_CHUNK)
    report = run_short(own_client, seed(), chunk * stories, stories)
    assert report.steps > 10 * stories


def test_two_reapers_and_two_sweepers_meet_in_short_schedules(own_client: redis.Redis) -> None:
    met = run_short(own_client, 1, 0, 20).met
    assert met.keys() == {TWO_REAPERS, TWO_SWEEPERS}


def test_a_seed_tells_the_same_story_again(client: redis.Redis, queue_name: str) -> None:
    def told(number: int, name: str) -> list[str]:
        *_, world = play(client, f"1/short/{number}", TickingLibrary(), SOUND, name, 40)
        # A record names the real time at which it was made.
        return [str(step[0]) for step in world.trace if not isinstance(step[0], AskEnqueue)]

    with sized_for_stories():
        for number in range(5):
            first = told(number, f"{queue_name}-one")
            assert len(first) > 20
            assert told(number, f"{queue_name}-two") == first
