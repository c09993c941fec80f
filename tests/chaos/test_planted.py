"""The storm must be able to fail: eight bugs, planted one at a time, are found by short storms or
by the random schedules of `tests/stateful`. Each test prints in how many seconds (pytest -s).

What is found has to be of the sort that the bug makes, not just a fleet that was slow to end.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from redisjobs import Status
from redisjobs.keys import Keys
from tests.chaos.jobs import KINDS
from tests.chaos.planted import BUGS, SCRIPTS
from tests.chaos.setting import QUEUE
from tests.chaos.stored import read_stored
from tests.chaos.storm import Options, Storm
from tests.stateful.model import BrokenError
from tests.stateful.schedules import run
from tests.stateful.ticking import TickingLibrary
from tests.stateful.wire import id_of
from tests.stateful.world import SOUND, Habits

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from tests.chaos.faults import Scene
    from tests.chaos.ledger import Ledger
    from tests.chaos.sampler import Watch

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
KILLS = ("kill alone", "kill supervised")
BY_STORMS = {
    "reap without moving the jobs": Options(5, faults=KILLS, drain_s=3.0),
    "a lease by the client's clock": Options(5, faults=KILLS[:1], drain_s=3.0),
}
# No lease of a small storm is a tenth as long.
FAR_AHEAD_S = 60


class Stranded(NamedTuple):
    """Jobs that did not end and that nobody would ever run, by the bug that leaves them so.

    Attributes:
        nowhere: in no due set, and in no worker's list.
        held: by a dead worker whose lease lapses only when everybody has gone home.
    """

    nowhere: set[str]
    held: set[str]


def _stranded(control: Any) -> Stranded:
    """What a fleet that has ended has left behind."""
    keys = Keys(QUEUE)
    stored = read_stored(control).jobs
    pending = {id for id, job in stored.items() if job.status is Status.PENDING}
    placed = {id.decode() for kind in KINDS for id in control.zrange(keys.due(kind), 0, -1)}
    far_ahead_us = (control.time()[0] + FAR_AHEAD_S) * 1_000_000
    held = set[str]()
    for worker, lease_us in control.zrange(keys.workers, 0, -1, withscores=True):
        deliveries = control.lrange(keys.processing(worker.decode()), 0, -1)
        ids = {id_of(delivery.decode()) for delivery in deliveries}
        placed |= ids
        if lease_us > far_ahead_us:
            held |= ids
    return Stranded(pending - placed, pending & held)


class LookedAt(Storm):
    """A storm after which one looks where the jobs are that have not ended."""

    stranded = Stranded(set(), set())

    def _weather(self, scene: Scene, watch: Watch, folder: str) -> Ledger:
        ledger = super()._weather(scene, watch, folder)
        self.stranded = _stranded(scene.control)
        return ledger


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


def _storm(options: Options, bug: str = "") -> tuple[Ledger, Stranded]:
    storm = LookedAt(replace(options, bug=bug, small=True, hurry=4.0), lambda line: None)
    ledger = storm.run()
    assert ledger.acknowledged
    return ledger, storm.stranded


def _lost(ledger: Ledger) -> set[str]:
    return {sentence.partition(" ")[0] for sentence in ledger.lost}


def test_a_storm_finds_a_reap_that_moves_no_jobs() -> None:
    bug = "reap without moving the jobs"
    ledger, stranded = _storm(BY_STORMS[bug], bug)
    assert stranded.nowhere
    assert stranded.nowhere <= _lost(ledger)
    for id in stranded.nowhere:
        begins = f"I1: job {id!r} of kind "
        assert any(
            one.startswith(begins) and "is in no due set and in no processing list" in one
            for one in ledger.broken
        ), ledger.broken


def test_a_storm_finds_a_lease_by_the_clients_clock() -> None:
    bug = "a lease by the client's clock"
    ledger, stranded = _storm(BY_STORMS[bug], bug)
    assert stranded.held
    assert stranded.held <= _lost(ledger)
    assert any("did not end all jobs in time" in one for one in ledger.wrong), ledger.wrong
    assert not stranded.nowhere


def test_a_fleet_that_has_no_time_to_end_its_jobs_shows_none_of_these_bugs() -> None:
    ledger, stranded = _storm(Options(2, faults=KILLS, drain_s=0.0))
    assert ledger.lost, "all jobs ended in no time: nothing is shown"
    assert not any(sentence.startswith("I1") for sentence in ledger.broken), ledger.broken
    assert stranded == Stranded(set(), set())


@pytest.mark.parametrize("keeps_done", [True, False])
def test_a_storm_without_a_bug_is_clean(keeps_done: bool) -> None:
    ledger, stranded = _storm(Options(4, drain_s=30.0, keeps_done=keeps_done))
    assert ledger.is_clean, ledger
    assert ledger.acknowledged > 100
    assert len(ledger.faults) >= 3
    assert stranded == Stranded(set(), set())
