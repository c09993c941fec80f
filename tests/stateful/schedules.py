"""Random schedules without hypothesis: faster, and as long as one likes.

python -m tests.stateful.schedules --seed 1 --steps 100000
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import fakeredis
import redis

from redisjobs.embedded import EmbeddedServer
from tests.servers import KINDS as SERVERS
from tests.stateful.chooser import RandomChooser
from tests.stateful.drain import drain
from tests.stateful.model import BrokenError
from tests.stateful.story import ACTIONS, Story
from tests.stateful.ticking import TickingLibrary
from tests.stateful.world import SOUND, Habits, sized_for_stories

if TYPE_CHECKING:
    from collections.abc import Iterator

ACTIONS_IN_A_STORY = 400


@dataclass(frozen=True)
class Report:
    """What a run came to. A step is a call that was carried out and checked."""

    steps: int
    stories: int
    seconds: float


def play(
    client: redis.Redis, seed: str, library: TickingLibrary, habits: Habits, name: str
) -> Iterator[int]:
    """One story to its end. Yields how many steps it has taken so far.

    Raises:
        BrokenError: the first violation, with the last steps before it.
    """
    generator = random.Random(seed)
    choose = RandomChooser(generator)
    with closing(Story(client, name, choose, library, habits)) as story:
        names, weights = list(ACTIONS), list(ACTIONS.values())
        for action in generator.choices(names, weights, k=ACTIONS_IN_A_STORY):
            getattr(story, action)(choose)
            yield story.world.steps
        drain(story)
        yield story.world.steps


def run(
    client: redis.Redis,
    seed: int,
    steps: int,
    library: TickingLibrary | None = None,
    habits: Habits = SOUND,
    name: str = "stateful",
) -> Report:
    """Stories of one seed, until so many steps are taken; the last one is told to its end.

    Raises:
        BrokenError: the first violation; it names the seed and the number of its story.
    """
    library = library or TickingLibrary()
    began = time.perf_counter()
    taken = stories = 0
    with sized_for_stories():
        while taken < steps:
            story = play(client, f"{seed}/{stories}", library, habits, f"{name}-{stories}")
            in_story = 0
            try:
                for step in story:
                    in_story = step
            except BrokenError as err:
                where = f"seed {seed}, story {stories}, step {taken + in_story:,} or soon after"
                raise BrokenError(f"{where}: {err}") from None
            taken += in_story
            stories += 1
    return Report(taken, stories, time.perf_counter() - began)


def main() -> int:
    """The command line: exit code 1 at a violation."""
    parser = argparse.ArgumentParser(
        description="Random schedules of operations against the model."
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--server", choices=["fakeredis", *SERVERS], default="redis-on-path")
    options = parser.parse_args()
    if options.server == "fakeredis":
        return _report(
            fakeredis.FakeRedis(server=fakeredis.FakeServer()), options.seed, options.steps
        )
    with (
        EmbeddedServer(executable=SERVERS[options.server]()) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        return _report(client, options.seed, options.steps)


def _report(client: redis.Redis, seed: int, steps: int) -> int:
    try:
        report = run(client, seed, steps)
    except BrokenError as err:
        sys.stdout.write(f"BROKEN: {err}\n")
        return 1
    sys.stdout.write(
        f"seed {seed}: {report.steps:,} steps in {report.stories:,} stories, no violation;"
        f" {report.steps / report.seconds:,.0f} steps/s\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
