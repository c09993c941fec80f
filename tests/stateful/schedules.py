"""Random schedules without hypothesis: faster, and as long as one likes.

python -m tests.stateful.schedules --seed 1 --steps 100000
python -m tests.stateful.schedules --seed 1 --short 0 5000
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import fakeredis
import redis

from redisjobs.embedded import EmbeddedServer
from tests.servers import KINDS as SERVERS
from tests.stateful.chooser import RandomChooser
from tests.stateful.drain import drain
from tests.stateful.model import BrokenError
from tests.stateful.story import ACTIONS, SHORT_ACTIONS, Story
from tests.stateful.ticking import TickingLibrary
from tests.stateful.world import SOUND, Habits, sized_for_stories

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.stateful.world import World

ACTIONS_IN_A_STORY = 400
# Short stories: what a few actions can break shows in many of them rather than in a long one.
SHORTEST, LONGEST = 12, 20


@dataclass(frozen=True)
class Report:
    """What a run came to. A step is a call that was carried out and checked.

    `met`: in how many stories two of a sort were under way at once.
    """

    steps: int
    stories: int
    seconds: float
    met: Counter[str] = field(default_factory=Counter)


def play(
    client: redis.Redis,
    seed: str,
    library: TickingLibrary,
    habits: Habits,
    name: str,
    actions: int = ACTIONS_IN_A_STORY,
    weights: Mapping[str, int] = ACTIONS,
) -> Iterator[World]:
    """One story to its end, of so many actions. Yields its world after each.

    `weights`: how often each action comes.

    Raises:
        BrokenError: the first violation, with the last steps before it.
    """
    generator = random.Random(seed)
    choose = RandomChooser(generator)
    with closing(Story(client, name, choose, library, habits)) as story:
        for action in generator.choices(list(weights), list(weights.values()), k=actions):
            getattr(story, action)(choose)
            yield story.world
        drain(story)
        yield story.world


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
                for world in story:
                    in_story = world.steps
            except BrokenError as err:
                where = f"seed {seed}, story {stories}, step {taken + in_story:,} or soon after"
                raise BrokenError(f"{where}: {err}") from None
            taken += in_story
            stories += 1
    return Report(taken, stories, time.perf_counter() - began)


def run_short(
    client: redis.Redis,
    seed: int,
    first: int,
    stories: int,
    library: TickingLibrary | None = None,
    habits: Habits = SOUND,
    name: str = "short",
) -> Report:
    """So many short stories of one seed, from the one of this number on.

    Raises:
        BrokenError: the first violation; it says how to have that story alone told again.
    """
    library = library or TickingLibrary()
    began = time.perf_counter()
    taken, met = 0, Counter[str]()
    with sized_for_stories():
        for number in range(first, first + stories):
            try:
                world_steps, met_here = _tell_short(client, seed, number, library, habits, name)
            except BrokenError as err:
                again = f"python -m tests.stateful.schedules --seed {seed} --short {number} 1"
                raise BrokenError(f"seed {seed}, short story {number} ({again}): {err}") from None
            taken += world_steps
            met.update(met_here)
    return Report(taken, stories, time.perf_counter() - began, met)


def _tell_short(
    client: redis.Redis, seed: int, number: int, library: TickingLibrary, habits: Habits, name: str
) -> tuple[int, set[str]]:
    """Its steps, and what met in it."""
    actions = SHORTEST + number % (LONGEST - SHORTEST + 1)
    steps, met = 0, set[str]()
    own = f"{seed}/short/{number}"
    for world in play(client, own, library, habits, name, actions, SHORT_ACTIONS):
        steps = world.steps
        met |= world.met
    return steps, met


def main() -> int:
    """The command line: exit code 1 at a violation."""
    parser = argparse.ArgumentParser(
        description="Random schedules of operations against the model."
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument(
        "--short",
        type=int,
        nargs=2,
        metavar=("FIRST", "STORIES"),
        help="instead, so many short stories from this number on",
    )
    parser.add_argument("--server", choices=["fakeredis", *SERVERS], default="redis-on-path")
    options = parser.parse_args()
    if options.server == "fakeredis":
        return _report(fakeredis.FakeRedis(server=fakeredis.FakeServer()), options)
    with (
        EmbeddedServer(executable=SERVERS[options.server]()) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        return _report(client, options)


def _report(client: redis.Redis, options: argparse.Namespace) -> int:
    try:
        if options.short:
            report = run_short(client, options.seed, *options.short)
        else:
            report = run(client, options.seed, options.steps)
    except BrokenError as err:
        sys.stdout.write(f"BROKEN: {err}\n")
        return 1
    sys.stdout.write(
        f"seed {options.seed}: {report.steps:,} steps in {report.stories:,} stories, no violation;"
        f" {report.steps / report.seconds:,.0f} steps/s, {report.seconds:.1f} s\n"
    )
    for what, number in report.met.items():
        sys.stdout.write(f"{what} at once in {number:,} stories\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
