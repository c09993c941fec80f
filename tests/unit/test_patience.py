"""Pauses between tries are random: all who lost one server do not come back in one instant."""

from __future__ import annotations

import asyncio
import logging
import random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio

from redisjobs import AsyncRedisQueue, RedisQueue
from redisjobs.keys import Keys
from redisjobs.origin import Origin
from redisjobs.patience import LineError
from redisjobs.registry import Handlers
from redisjobs.waiting import Pause, waiting
from redisjobs.worker.heartbeat import Heartbeat
from redisjobs.worker.incarnation import Life, Moment
from redisjobs.worker.pump import Pump
from redisjobs.worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES = 8
AWAY = LineError("Redis is away", sent=False)


class EnoughError(Exception):
    """Ends a row of tries."""


class Pauses(list[float]):
    """What was slept, without sleeping. The last one raises."""

    def note(self, seconds: float) -> None:
        self.append(seconds)
        if len(self) == TRIES:
            raise EnoughError


def _fails(*_: object) -> None:
    raise AWAY


def of_a_producer(pauses: Pauses, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tenacity.nap.time", SimpleNamespace(sleep=pauses.note))
    queue = RedisQueue(redis.Redis())
    patch.setattr(queue.lines, "run_once", _fails)
    queue.get("x")


def of_an_async_producer(pauses: Pauses, patch: pytest.MonkeyPatch) -> None:
    async def sleep(seconds: float) -> None:
        pauses.note(seconds)

    async def fails(_: object) -> None:
        raise AWAY

    async def application() -> None:
        queue = AsyncRedisQueue(redis.asyncio.Redis())
        patch.setattr(queue.lines, "run_once", fails)
        patch.setattr(asyncio, "sleep", sleep)
        await queue.get("x")

    asyncio.run(application())


def of_a_wait(pauses: Pauses, _: pytest.MonkeyPatch) -> None:
    steps = waiting(Keys("orders"), "x", None, lambda: 0.0)
    step = next(steps)
    while True:
        if isinstance(step, Pause):
            pauses.note(step.seconds)
            step = steps.send(None)
        else:
            step = steps.throw(AWAY)


def of_a_pump(pauses: Pauses, _: pytest.MonkeyPatch) -> None:
    pump: Any = object.__new__(Pump)
    shutdown = SimpleNamespace(pause=pauses.note, is_over=lambda: False)
    pump._around = SimpleNamespace(shutdown=shutdown, logger=logging.getLogger("tests.patience"))
    pump._persist(_fails)


def of_a_heartbeat(pauses: Pauses, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Moment, "now", lambda: Moment(0.0, 0.0))
    patch.setattr("redisjobs.worker.heartbeat.time", SimpleNamespace(monotonic=lambda: 0.0))
    settings = WorkerSettings.of(4, "auto", 60.0, 30.0, 3, 5.0, 1.0)
    line: Any = SimpleNamespace(freshen=lambda: None, exchange=_fails)
    heartbeat: Any = Heartbeat(
        Keys("orders"), line, Life(Origin.here(), Handlers(), settings),
        logging.getLogger("tests.patience"), on_dead=lambda lapses: None, on_lost=lambda: None,
        on_beat=lambda: None, on_lease_back=lambda: None, on_crash=lambda err: None,
    )  # fmt: skip
    heartbeat._wake = SimpleNamespace(wait=pauses.note, clear=lambda: None)
    heartbeat._live()


CALLS_S = (0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0)
WORKERS_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0)
# Who pauses; where its dice are; for how long at most; and what part of that at least.
CASES = {
    "producer": (of_a_producer, "tenacity.wait.random", CALLS_S, 0.0),
    "async producer": (of_an_async_producer, "tenacity.wait.random", CALLS_S, 0.0),
    "wait": (of_a_wait, "redisjobs.waiting.random", CALLS_S, 0.5),
    "pump": (of_a_pump, "tenacity.wait.random", WORKERS_S, 0.0),
    "heartbeat": (of_a_heartbeat, "redisjobs.worker.heartbeat.random", WORKERS_S, 0.5),
}


def _paused(
    who: Callable[[Pauses, pytest.MonkeyPatch], None], dice: str, uniform: Callable[..., float]
) -> list[float]:
    """How long it paused after each of its tries that failed, with these dice."""
    pauses = Pauses()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dice, SimpleNamespace(uniform=uniform))
        with pytest.raises(EnoughError):
            who(pauses, patch)
    return pauses


@pytest.mark.parametrize(("who", "dice", "longest_s", "least"), CASES.values(), ids=list(CASES))
def test_pauses_grow_and_end_anywhere_between_their_bounds(
    who: Any, dice: str, longest_s: tuple[float, ...], least: float
) -> None:
    assert _paused(who, dice, lambda low, high: high) == pytest.approx(longest_s)
    shortest_s = [least * one for one in longest_s]
    assert _paused(who, dice, lambda low, high: low) == pytest.approx(shortest_s)


@pytest.mark.parametrize(("who", "dice", "longest_s", "least"), CASES.values(), ids=list(CASES))
def test_two_who_lost_one_server_do_not_try_at_the_same_times(
    who: Any, dice: str, longest_s: tuple[float, ...], least: float
) -> None:
    one, other = (_paused(who, dice, random.Random(seed).uniform) for seed in (1, 2))
    assert all(mine != its for mine, its in zip(one, other, strict=True))
    for pauses in (one, other):
        bounds = zip(pauses, longest_s, strict=True)
        assert all(least * longest <= pause <= longest for pause, longest in bounds)
