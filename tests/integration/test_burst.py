"""A burst whose Redis is not there, or goes away."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from redisjobs import Job, QueueUnavailableError, RedisQueue, Worker
from redisjobs.supervisor import burst
from redisjobs.supervisor.burst import ending_without_redis
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    from redisjobs import Context
    from redisjobs.operations.operation import Operation
    from tests.conftest import OwnServer

TIMEOUT_S = 20.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burst, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(burst, "PATIENCE_S", 0.3)
    monkeypatch.setattr("redisjobs.patience.CONNECT_FOR_S", 0.05)


class Holding:
    """A worker in the midst of a job."""

    def __init__(self, url: str) -> None:
        self.queue = RedisQueue.from_url(url)
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.worker = Worker(self.queue, {"hold": self.hold}, shutdown_timeout=0.1)
        self.missed: QueueUnavailableError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def hold(self, ctx: Context, job: Job) -> None:
        self.begun.set()
        self.let_go.wait(TIMEOUT_S)

    def _run(self) -> None:
        try:
            with ending_without_redis(self.worker):
                self.worker.run(burst=True)
        except QueueUnavailableError as err:
            self.missed = err

    def start(self) -> None:
        self.queue.enqueue(Job("hold", id="a"))
        self._thread.start()
        wait_for_event(self.begun, "the job begins")

    def await_end(self) -> None:
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), "awaited in vain: the burst ends"
        self.let_go.set()
        self.queue.close()


def test_one_that_finds_no_redis_does_not_begin() -> None:
    worker = Worker(RedisQueue.from_url("unix:///nowhere/at/all"), {"hold": lambda ctx, job: None})
    with (
        pytest.raises(QueueUnavailableError, match="/nowhere/at/all"),
        ending_without_redis(worker),
    ):
        pytest.fail("it began")


def test_one_that_loses_it_stops(own_server: OwnServer) -> None:
    server = own_server()
    holding = Holding(server.url)
    holding.start()
    server.crash()
    holding.await_end()
    assert "cannot be reached" in str(holding.missed)


def test_one_that_has_it_again_in_time_goes_on(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(burst, "PATIENCE_S", TIMEOUT_S)
    server = own_server(options={"appendonly": "yes", "appendfsync": "always"})
    holding = Holding(server.url)
    holding.start()
    server.restart()
    holding.let_go.set()
    holding.await_end()
    assert holding.missed is None


def test_a_long_job_with_redis_there_is_waited_for(
    own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    ping = burst._ping

    def look() -> Operation[None]:
        looks.append(time.monotonic())
        return ping()

    monkeypatch.setattr(burst, "_ping", look)
    holding = Holding(own_server().url)
    holding.start()
    wait_until(lambda: looks[-1] - looks[0] > 2 * burst.PATIENCE_S, "it has looked for long")
    assert not holding.worker._shutdown.requested
    holding.let_go.set()
    holding.await_end()
    assert holding.missed is None


def test_over_any_other_queue_there_is_nothing_to_watch() -> None:
    class Plain:
        def enqueue(self, *jobs: object) -> None: ...
        def dequeue(self, kinds: object, fn: object) -> bool:
            return False

    worker = Worker(Plain(), {"hold": lambda ctx, job: None})
    with ending_without_redis(worker):
        worker.run(burst=True)
