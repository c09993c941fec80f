"""Waking the thread that sleeps on sockets."""

from __future__ import annotations

import gc
import os
import select
import signal
import threading

import pytest

from redisjobs.worker.wakeup import Wakeup
from tests.waiting import wait_for_event


def _rings(wakeup: Wakeup, seconds: float = 0.0) -> bool:
    return bool(select.select([wakeup], [], [], seconds)[0])


def test_a_wake_before_the_sleep_ends_it_at_once() -> None:
    wakeup = Wakeup()
    wakeup.wake()
    assert _rings(wakeup)


def test_is_silent_until_it_is_woken() -> None:
    assert not _rings(Wakeup())


def test_wakes_a_sleeper_in_another_thread() -> None:
    wakeup, asleep, awake = Wakeup(), threading.Event(), threading.Event()

    def sleep() -> None:
        asleep.set()
        if _rings(wakeup, 10):
            awake.set()

    thread = threading.Thread(target=sleep)
    thread.start()
    wait_for_event(asleep, "the sleeper is about to sleep")
    wakeup.wake()
    wait_for_event(awake, "the sleeper is awake")
    thread.join()


def test_drained_it_is_silent_again_however_often_it_was_woken() -> None:
    wakeup = Wakeup()
    for wakes in (1, 511, 512, 513, 1024, 5000):
        for _ in range(wakes):
            wakeup.wake()
        wakeup.drain()
        assert not _rings(wakeup), f"after {wakes} wakes"


def test_never_blocks_the_waker() -> None:
    wakeup = Wakeup()
    for _ in range(200_000):  # a pipe holds 64 KiB
        wakeup.wake()
    assert _rings(wakeup)


def test_is_armed_by_the_sleeper_and_disarmed_by_either() -> None:
    wakeup, seen = Wakeup(), []
    for disarm in (wakeup.wake, wakeup.drain):
        wakeup.armed = True
        disarm()
        seen.append(wakeup.armed)
    assert seen == [False, False]


def test_can_be_rung_in_a_signal_handler() -> None:
    wakeup = Wakeup()
    before = signal.signal(signal.SIGUSR1, lambda *_: wakeup.wake())
    try:
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert _rings(wakeup)


def test_its_pipe_is_closed_when_nobody_can_ring_any_more() -> None:
    """Not before: a handler that was left behind would write into what has its number by then."""
    wakeup = Wakeup()
    ring, read_end = wakeup.wake, wakeup.fileno()
    del wakeup
    gc.collect()
    ring()
    assert select.select([read_end], [], [], 0)[0]

    del ring
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(read_end)
