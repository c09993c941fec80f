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
        self.starvings: list[tuple[float, float]] = []

    def starved(self, since: float, now: float) -> None:
        self.starvings.append((since, now))


class _Crew:
    """Runs nothing by itself."""

    def __init__(self) -> None:
        self.line: list[Delivery] = []
        self.ended: deque[Delivery] = deque()
        self.low_water = 0

    def add(self, deliveries: list[Delivery]) -> None:
        self.line += deliveries

    def end(self, started_at: float, seconds: float) -> None:
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


def test_while_something_is_left_to_run_nobody_starves(bench: _Bench) -> None:
    bench.come("a", "b")
    bench.pace.starvings.clear()
    bench.crew.end(1.0, 0.5)
    bench.now = 3.0
    bench.come("c")
    assert bench.pace.starvings == []


def test_from_the_last_end_on_it_does(bench: _Bench) -> None:
    bench.come("a", "b")
    bench.pace.starvings.clear()
    bench.crew.end(1.0, 0.5)
    bench.crew.end(1.5, 0.25)
    bench.now = 3.0
    bench.come("c")
    assert bench.pace.starvings == [(1.75, 3.0)]


def test_what_was_collected_the_pace_was_told_of(bench: _Bench) -> None:
    bench.come("a")
    bench.pace.starvings.clear()
    bench.crew.end(1.0, 0.5)
    bench.collect()
    bench.now = 3.0
    bench.come("b")
    assert bench.pace.starvings == [(0.0, 3.0)]
