"""A worker's registration: what it says of itself, and until when its lease holds."""

from __future__ import annotations

import json
import time

import pytest

from redisjobs.origin import Origin
from redisjobs.registry import Handlers
from redisjobs.worker import incarnation as module
from redisjobs.worker.incarnation import Life, Moment
from redisjobs.worker.settings import WorkerSettings

SETTINGS = WorkerSettings.of(4, "auto", 15.0, 30.0, 3, 5.0, 1.0)


@pytest.fixture
def handlers() -> Handlers:
    return Handlers({"email": lambda ctx, job: None})


@pytest.fixture
def life(handlers: Handlers) -> Life:
    return Life(Origin.here(), handlers, SETTINGS)


def _at(monkeypatch: pytest.MonkeyPatch, monotonic_s: float, cpu_s: float) -> None:
    now = Moment(monotonic_s, cpu_s)
    monkeypatch.setattr(module.Moment, "now", classmethod(lambda cls: now))


def test_a_moment_has_both_clocks() -> None:
    before = time.monotonic(), time.process_time()
    now = Moment.now()
    assert before[0] <= now.monotonic_s <= time.monotonic()
    assert before[1] <= now.cpu_s <= time.process_time()


def test_each_incarnation_has_an_id_of_its_own(life: Life) -> None:
    ids = {life.current.worker_id, *(life.next_incarnation().worker_id for _ in range(100))}
    assert len(ids) == 101


def test_the_lease_counts_from_when_it_was_asked_for(life: Life) -> None:
    """The reply may come much later, and the server counted from in between."""
    life.prolonged(life.current, Moment(1000.0, 1.0))
    assert life.current.lease_ends == 1015.0


def test_before_it_is_registered_no_lease_holds(life: Life) -> None:
    assert life.current.lease_ends <= time.monotonic()


@pytest.mark.parametrize(
    ("seconds", "cpu_s", "burned"),
    [(20.0, 0.0, False), (20.0, 10.0, False), (20.0, 10.1, True), (20.0, 40.0, True)],
)
def test_the_time_was_burned_if_the_process_used_over_half_of_it(
    life: Life, monkeypatch: pytest.MonkeyPatch, seconds: float, cpu_s: float, burned: bool
) -> None:
    life.prolonged(life.current, Moment(1000.0, 7.0))
    _at(monkeypatch, 1000.0 + seconds, 7.0 + cpu_s)
    assert life.burned_the_time() is burned


class TestInfo:
    def test_says_what_the_worker_is(self, life: Life) -> None:
        info = json.loads(life.info())
        assert (info["kinds"], info["concurrency"], info["lease_ms"]) == (["email"], 4, 15000)
        assert (info["supervisor"], info["spawn"]) == (None, None)

    def test_is_told_again_only_when_it_changed(self, life: Life, handlers: Handlers) -> None:
        told = []

        def beat(answered: bool) -> None:
            info = life.changed_info()
            told.append(json.loads(info)["kinds"] if info else None)
            if answered:
                life.prolonged(life.current, Moment.now())

        life.info()
        life.prolonged(life.current, Moment.now())
        beat(True)
        handlers.register("report", lambda ctx, job: None)
        beat(False)
        beat(True)
        beat(True)
        assert told == [None, ["email", "report"], ["email", "report"], None]
