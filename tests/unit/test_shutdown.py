"""The stages of a shutdown, with a clock that the test moves."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from redisjobs.worker import shutdown as module
from redisjobs.worker.shutdown import GRACE_S, Shutdown
from tests.waiting import wait_for_event


class _Time:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> _Time:
    clock = _Time()
    stand_in = SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep)
    monkeypatch.setattr(module, "time", stand_in)
    return clock


def _stages(shutdown: Shutdown) -> tuple[bool, bool, bool]:
    return shutdown.requested, shutdown.handlers_time_is_over(), shutdown.is_over()


def test_until_it_is_asked_for_there_is_no_stage(time: _Time) -> None:
    shutdown = Shutdown(0)
    assert _stages(shutdown) == (False, False, False)
    assert shutdown.next_stage_in() == float("inf")


def test_the_stages_follow_each_other(time: _Time) -> None:
    shutdown = Shutdown(30)
    shutdown.request()
    seen = []
    for now in (1000, 1029.5, 1030, 1030 + GRACE_S / 2, 1030 + GRACE_S):
        time.now = now
        seen.append((*_stages(shutdown), round(shutdown.next_stage_in(), 3)))
    assert seen == [
        (True, False, False, 30),
        (True, False, False, 0.5),
        (True, True, False, GRACE_S),
        (True, True, False, GRACE_S / 2),
        (True, True, True, 0),
    ]


def test_without_time_handlers_are_cancelled_at_once_but_still_heard(time: _Time) -> None:
    shutdown = Shutdown(0)
    shutdown.request()
    assert _stages(shutdown) == (True, True, False)
    assert shutdown.next_stage_in() == GRACE_S


def test_a_second_request_does_not_prolong_it(time: _Time) -> None:
    shutdown = Shutdown(30)
    shutdown.request()
    time.now += 29
    shutdown.request()
    assert shutdown.next_stage_in() == pytest.approx(1)


def test_listeners_hear_each_request() -> None:
    shutdown, heard = Shutdown(30), list[str]()
    shutdown.on_request(lambda: heard.append("a"))
    assert heard == []
    shutdown.request()
    assert heard == ["a"]


def test_a_listener_that_comes_too_late_hears_it_at_once() -> None:
    shutdown, heard = Shutdown(30), list[str]()
    shutdown.request()
    shutdown.on_request(lambda: heard.append("late"))
    assert heard == ["late"]


def test_a_listener_that_left_hears_nothing() -> None:
    shutdown, heard = Shutdown(30), list[str]()

    def listener() -> None:
        heard.append("left")

    shutdown.on_request(listener)
    shutdown.off_request(listener)
    shutdown.request()
    assert heard == []


def test_wait_ends_with_the_request() -> None:
    shutdown, over = Shutdown(30), threading.Event()

    def wait() -> None:
        if shutdown.wait(10):
            over.set()

    thread = threading.Thread(target=wait)
    thread.start()
    shutdown.request()
    wait_for_event(over, "wait() returned True")
    thread.join()


def test_wait_tells_that_nobody_asked() -> None:
    assert Shutdown(30).wait(0) is False


def test_a_pause_ends_with_the_request() -> None:
    """Else a worker whose Redis is away would not hear that it is to stop."""
    shutdown, pausing, over = Shutdown(30), threading.Event(), threading.Event()

    def pause() -> None:
        pausing.set()
        shutdown.pause(60)
        over.set()

    thread = threading.Thread(target=pause, daemon=True)
    thread.start()
    wait_for_event(pausing, "the pause has begun")
    shutdown.request()
    wait_for_event(over, "the pause is over")
    thread.join()


def test_a_pause_during_a_shutdown_is_one(time: _Time) -> None:
    """Else what is tried again would be tried in a busy loop."""
    shutdown = Shutdown(30)
    shutdown.request()
    shutdown.pause(0.25)
    time.now += 29.9
    shutdown.pause(0.25)
    assert time.slept == [0.25, pytest.approx(0.1)], "not on beyond the next stage"
