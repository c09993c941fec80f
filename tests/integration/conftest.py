"""A queue on a real server, and workers in processes of their own over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests import drivers
from tests.worker_process import Wire, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redisjobs import RedisQueue
    from redisjobs.embedded import EmbeddedServer
    from tests.drivers import Driver


@pytest.fixture
def driver() -> Iterator[Driver]:
    """What queues are made by. A module that runs over both queues has a fixture of this name with
    `params=DRIVERS`.
    """
    with drivers.driver("blocking") as made:
        yield made


@pytest.fixture
def queue(redis_server: EmbeddedServer, queue_name: str, driver: Driver) -> RedisQueue:
    """A queue of the test's own, on the server that tests share."""
    made: RedisQueue = driver.from_url(redis_server.url, queue_name)
    return made


@pytest.fixture
def start_worker(
    redis_server: EmbeddedServer, queue_name: str
) -> Iterator[Callable[..., WorkerProcess]]:
    """Starts a worker with these settings in a process, which is killed after the test."""
    made: list[WorkerProcess] = []

    def start(**settings: Any) -> WorkerProcess:
        made.append(WorkerProcess(redis_server.url, queue_name, **settings))
        return made[-1]

    yield start
    for process in made:
        process.close()


@pytest.fixture
def wire(redis_server: EmbeddedServer, queue_name: str) -> Iterator[Wire]:
    """What the handlers in such a process say, and hear."""
    with redis.Redis.from_url(redis_server.url, socket_timeout=None) as client:
        yield Wire(client, queue_name)
