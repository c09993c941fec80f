"""The storm must be able to fail: eight bugs, planted one at a time, are found by short storms or
by the random schedules of `tests/stateful`. Each test prints in how many seconds (pytest -s).
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.chaos.planted import BUGS, SCRIPTS
from tests.chaos.storm import Options, Storm
from tests.stateful.model import BrokenError
from tests.stateful.schedules import run
from tests.stateful.ticking import TickingLibrary
from tests.stateful.world import SOUND, Habits

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from tests.chaos.ledger import Ledger

SEED = 1
WITHIN_STEPS = 20_000

# What the workers of a schedule do wrong, and how the bug shows itself.
BY_SCHEDULES = {
    "no fence": (SOUND, "I2: the outcomes that were refused"),
    "a settle that writes before it checks": (SOUND, "I5: a call was refused, but wrote"),
    "an enqueue that is not atomic": (SOUND, "I5: a call was refused, but wrote"),
    "ids instead of tokens": (SOUND, "I2: the outcomes that were refused"),
    "a claim that forgets its orphans": (Habits(reconciles=False), "nobody ends"),
    "no retry of a lost settle": (Habits(repeats_settles=False), "has run to its end, but"),
}
BY_STORMS = {
    "reap without moving the jobs": Options(5, faults=("kill alone", "kill supervised")),
    "a lease by the client's clock": Options(5, faults=("kill alone",)),
}


@pytest.fixture(autouse=True)
def told(request: pytest.FixtureRequest) -> Iterator[None]:
    began = time.monotonic()
    yield
    sys.stdout.write(f"\n{request.node.name}: {time.monotonic() - began:.1f} s\n")


def test_each_bug_has_its_finder() -> None:
    assert {*BY_SCHEDULES, *BY_STORMS} == set(BUGS)


@pytest.mark.parametrize("bug", BY_SCHEDULES)
def test_schedules_find(bug: str, client: redis.Redis, queue_name: str) -> None:
    library = TickingLibrary(SCRIPTS.get(bug, {}))
    habits, shows_as = BY_SCHEDULES[bug]
    with pytest.raises(BrokenError, match=shows_as):
        run(client, SEED, WITHIN_STEPS, library, habits, name=queue_name)


def _ledger(options: Options, bug: str = "") -> Ledger:
    drain_s = 3.0 if bug else 30.0
    chosen = replace(options, bug=bug, small=True, hurry=4.0, drain_s=drain_s)
    return Storm(chosen, lambda line: None).run()


@pytest.mark.parametrize("bug", BY_STORMS)
def test_a_storm_finds(bug: str) -> None:
    ledger = _ledger(BY_STORMS[bug], bug)
    assert ledger.acknowledged
    assert not ledger.is_clean


def test_a_storm_without_a_bug_is_clean() -> None:
    ledger = _ledger(Options(4))
    assert ledger.is_clean, ledger
    assert ledger.acknowledged > 100
    assert len(ledger.faults) >= 3
