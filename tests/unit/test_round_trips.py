"""What the pump tells of the pace when jobs come."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from redisjobs.worker import round_trips
from redisjobs.worker.agenda import Agenda
from redisjobs.worker.capacity import Pace
from redisjobs.worker.delivery import Batch, Delivery
from redisjobs.worker.held import Held
from redisjobs.worker.round_trips import RoundTrips
from redisjobs.worker.settings import WorkerSettings

BATCH = Batch(1, "worker", "email", None, False, False, lambda *_: None)


class _Told(Pace):
    """Notes what it is told of times without work."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.idle_times: list[tuple[float, float]] = []

    def idle(self, now: float, since: float = 0.0) -> None:
        self.idle_times.append((since, now))


class _Crew:
    """Runs nothing by itself."""

    def __init__(self) -> None:
        self.line: list[Delivery] = []
        self.ended: deque[Delivery] = deque()
        self.low_water = 0

    def add(self, deliveries: list[Delivery]) -> None:
        self.line += deliveries

    def end(self, started_at: float | None, seconds: float = 0.0) -> None:
        delivery = self.line.pop(0)
        delivery.started_at, delivery.seconds = started_at, seconds
        self.ended.append(delivery)


class _Bench:
    """Round trips without a server; what a claim brings is handed in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.crew, self.held, self.pace = 0.0, _Crew(), Held(), _Told()
        monkeypatch.setattr(round_trips, "time", SimpleNamespace(monotonic=lambda: self.now))
        settings = WorkerSettings.of(10, "auto", 15.0, 30.0, 3, 5.0, 1.0)
        around: Any = SimpleNamespace(
            crew=self.crew,
            clerk=SimpleNamespace(deliveries=lambda claimed, _: claimed.ids),
            life=SimpleNamespace(settings=settings, current=SimpleNamespace(worker_id="worker")),
        )
        nothing: Any = None
        agenda = Agenda(settings, 0.0)
        self.trips = RoundTrips(around, nothing, self.held, nothing, agenda)
        self.trips.pace = self.pace

    def come(self, *ids: str) -> None:
        """A claim brings these."""
        claimed: Any = SimpleNamespace(
            ids=[Delivery(BATCH, id, f"1:{id}", b"") for id in ids], alone=False
        )
        self.trips._take(claimed)

    def collect(self) -> None:
        """What has ended is settled."""
        while self.crew.ended:
            self.held.plainly_done(self.crew.ended.popleft(), b"")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> _Bench:
    return _Bench(monkeypatch)


def test_while_something_is_left_to_run_it_is_not_idle(bench: _Bench) -> None:
    bench.come("a", "b")
    bench.pace.idle_times.clear()
    bench.crew.end(1.0, 0.5)
    bench.now = 3.0
    bench.come("c")
    assert bench.pace.idle_times == []


def test_from_the_last_end_on_it_is(bench: _Bench) -> None:
    bench.come("a", "b")
    bench.pace.idle_times.clear()
    bench.crew.end(1.0, 0.5)
    bench.crew.end(1.5, 0.25)
    bench.now = 3.0
    bench.come("c")
    assert bench.pace.idle_times == [(1.75, 3.0)]


def test_what_was_collected_the_pace_was_told_of(bench: _Bench) -> None:
    bench.come("a")
    bench.pace.idle_times.clear()
    bench.crew.end(1.0, 0.5)
    bench.collect()
    bench.now = 3.0
    bench.come("b")
    assert bench.pace.idle_times == [(0.0, 3.0)]


def test_with_one_that_never_began_at_the_end_nothing_is_known(bench: _Bench) -> None:
    bench.come("a", "b")
    bench.pace.idle_times.clear()
    bench.crew.end(1.0, 0.5)
    bench.crew.end(None)
    bench.now = 3.0
    bench.come("c")
    assert bench.pace.idle_times == []
