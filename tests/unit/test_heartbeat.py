"""The heartbeat, on a line that answers what the test says."""

from __future__ import annotations

import json
import logging
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from redisjobs.keys import Keys
from redisjobs.operations.membership import Lapse
from redisjobs.origin import Origin
from redisjobs.patience import LineError
from redisjobs.registry import Handlers
from redisjobs.worker.heartbeat import Heartbeat
from redisjobs.worker.incarnation import Life, Moment
from redisjobs.worker.settings import WorkerSettings
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from redisjobs.operations.operation import Calls

    Make: TypeAlias = Callable[..., "Bench"]

LEASE_S = 15.0
BEAT_S = LEASE_S / 3
DEAD = Lapse("dead", "1000", json.dumps({"lease_ms": LEASE_S * 1000}).encode())
OK: list[Any] = [b"ok", 0]
OK_WITH_DEAD: list[Any] = [b"ok", 0, b"dead", b"1000", DEAD.info]
OWN_LAPSED_WITH_DEAD: list[Any] = [b"ok", 1, b"dead", b"1000", DEAD.info]
UNREGISTERED: list[Any] = [b"unregistered"]
AWAY = LineError("Redis is away", sent=False)


class ScriptedLine:
    """Answers with what it is given, in turn; the last one for ever."""

    def __init__(self, *replies: Any) -> None:
        self._replies = list(replies)
        self.asked: list[Calls] = []
        self.closed = 0

    def exchange(self, calls: Calls) -> list[Any]:
        self.asked.append(calls)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        return [reply]

    def freshen(self) -> None: ...

    def close(self) -> None:
        self.closed += 1


class Told:
    """What the heartbeat tells."""

    def __init__(self) -> None:
        self.dead: list[Lapse] = []
        self.lost = self.beats = self.leases_back = 0

    def on_lost(self) -> None:
        self.lost += 1

    def on_beat(self) -> None:
        self.beats += 1

    def on_lease_back(self) -> None:
        self.leases_back += 1


class Bench:
    """A heartbeat whose beats the test makes one by one, a third of the lease apart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *replies: Any) -> None:
        self.line, self.told = ScriptedLine(*replies), Told()
        self.handlers = Handlers({"email": lambda ctx, job: None})
        settings = WorkerSettings.of(4, "auto", LEASE_S, 30.0, 3, 5.0, 1.0)
        self.life = Life(Origin.here(), self.handlers, settings)
        self.life.info()
        self.now = 1000.0
        self.life.prolonged(self.life.current, Moment(self.now, 0.0))
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("redisjobs.worker.heartbeat.time", clock)
        line: Any = self.line
        self.heartbeat = Heartbeat(
            Keys("orders"), line, self.life, logging.getLogger("tests.heartbeat"),
            on_dead=self.told.dead.extend, on_lost=self.told.on_lost, on_beat=self.told.on_beat,
            on_lease_back=self.told.on_lease_back, on_crash=lambda err: None,
        )  # fmt: skip

    def beat(self) -> bool:
        self.now += BEAT_S
        return self.heartbeat._beat(Moment(self.now, 0.0))


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda *replies: Bench(monkeypatch, *replies)


def test_a_beat_prolongs_the_lease_from_when_it_was_asked_for(make: Make) -> None:
    bench = make(OK)
    assert bench.beat()
    assert bench.life.current.lease_ends == bench.now + LEASE_S
    assert (bench.told.beats, bench.heartbeat.beats) == (1, 1)
    ((call,),) = bench.line.asked
    assert call.script == "beat"
    assert call.arguments == [bench.life.current.worker_id, 15_000_000, b""]


def test_a_failed_beat_prolongs_nothing(make: Make) -> None:
    bench = make(AWAY)
    before = bench.life.current.lease_ends
    assert not bench.beat()
    assert bench.life.current.lease_ends == before
    assert (bench.told.beats, bench.heartbeat.beats) == (0, 0)


def test_a_lease_that_holds_again_after_a_lapse_is_told(make: Make) -> None:
    """While it had lapsed nothing was claimed, and the pump may sleep."""
    bench, told = make(OK, AWAY, AWAY, AWAY, OK, OK), []
    for _ in range(6):
        bench.beat()
        told.append(bench.told.leases_back)
    assert told == [0, 0, 0, 0, 1, 1]


def test_a_worker_that_redis_does_not_know_is_lost_and_beats_no_more(make: Make) -> None:
    bench = make(UNREGISTERED)
    incarnation = bench.life.current
    assert bench.beat()
    assert incarnation.lost
    assert bench.told.lost == 1
    assert bench.beat()
    assert len(bench.line.asked) == 1, "the pump is about to take a new id"
    bench.life.current = bench.life.next_incarnation()
    bench.beat()
    assert len(bench.line.asked) == 2


def test_a_death_is_told_after_two_beats(make: Make) -> None:
    bench, told = make(OK_WITH_DEAD), []
    for _ in range(2):
        bench.beat()
        told.append((list(bench.told.dead), bench.heartbeat.suspects))
    assert told == [([], True), ([DEAD], False)]


@pytest.mark.parametrize("between", [AWAY, OWN_LAPSED_WITH_DEAD], ids=["failed", "own lapse"])
def test_what_was_seen_before_a_beat_that_proves_nothing_is_forgotten(
    make: Make, between: Any
) -> None:
    """When Redis comes back after longer than a lease, every worker looks dead."""
    bench = make(OK_WITH_DEAD, between, OK_WITH_DEAD)
    told = []
    for _ in range(4):
        bench.beat()
        told.append(len(bench.told.dead))
    assert told == [0, 0, 0, 1]


def test_an_own_lapse_counts_as_no_sight(make: Make) -> None:
    bench = make(OWN_LAPSED_WITH_DEAD, OK_WITH_DEAD)
    told = []
    for _ in range(3):
        bench.beat()
        told.append(len(bench.told.dead))
    assert told == [0, 0, 1]


def test_a_new_kind_is_told_until_it_is_heard(make: Make) -> None:
    bench = make(OK, AWAY, OK)
    bench.beat()
    bench.handlers.register("report", lambda ctx, job: None)
    for _ in range(3):
        bench.beat()
    infos = [bool(calls[0].arguments[2]) for calls in bench.line.asked]
    assert infos == [False, True, True, False]


def test_a_row_of_failures_is_logged_at_its_beginning_and_its_end(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tests.heartbeat")
    bench = make(OK, AWAY, AWAY, AWAY, OK, OK)
    for _ in range(6):
        bench.beat()
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "the heartbeat failed, trying again: Redis is away"),
        ("INFO", "the heartbeat is back"),
    ]


def test_a_beat_that_failed_is_tried_again_at_once() -> None:
    """Not only at the next third of the lease."""
    line: Any = ScriptedLine(AWAY, OK)
    settings = WorkerSettings.of(4, "auto", 600.0, 30.0, 3, 5.0, 1.0)
    life = Life(Origin.here(), Handlers(), settings)
    beat = threading.Event()
    heartbeat = Heartbeat(
        Keys("orders"), line, life, logging.getLogger("tests.heartbeat"),
        on_dead=lambda lapses: None, on_lost=lambda: None, on_beat=beat.set,
        on_lease_back=lambda: None, on_crash=lambda err: None,
    )  # fmt: skip
    heartbeat.start()
    wait_for_event(beat, "the heartbeat is back", 5)
    assert len(line.asked) == 2
    heartbeat.beat_soon()
    wait_until(lambda: len(line.asked) == 3, "it beats when it is told to", 5)
    heartbeat.stop()
    assert line.closed
