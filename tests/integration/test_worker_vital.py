"""A worker without its heartbeat or janitor would look alive and not be."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from redisjobs import Job, RedisQueue, Worker
from redisjobs.worker import heartbeat, janitor
from redisjobs.worker.pump import Pump
from tests.waiting import wait_for_event

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis


@pytest.fixture
def queue(client: redis.Redis, queue_name: str) -> RedisQueue:
    return RedisQueue(client, queue_name)


def broken(*_: object) -> None:
    raise ZeroDivisionError("a bug of ours")


@pytest.mark.parametrize(
    "break_it",
    [
        lambda patch: patch.setattr(heartbeat, "beat", broken),
        lambda patch: patch.setattr(janitor, "sweep", broken),
        lambda patch: patch.setattr(Pump, "_sleep", broken),
    ],
    ids=["heartbeat", "janitor", "pump"],
)
def test_a_worker_that_lost_a_thread_stops_and_raises(
    queue: RedisQueue,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    break_it: Callable[[pytest.MonkeyPatch], None],
) -> None:
    break_it(monkeypatch)
    queue.enqueue(Job("a"))
    worker = Worker(queue, {"a": lambda ctx, job: None}, lease=0.3, shutdown_timeout=1.0)
    raised: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            worker.run()
        except BaseException as err:  # noqa: BLE001 - looked at below
            raised.append(err)
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    wait_for_event(ended, "the worker to stop")
    assert [type(err) for err in raised] == [ZeroDivisionError]
    critical = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert len(critical) == 1
