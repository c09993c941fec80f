"""A queue on a real server, and workers in processes of their own over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis

from redisjobs import RedisQueue
from tests.worker_process import Wire, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redisjobs.embedded import EmbeddedServer


@pytest.fixture
def queue(redis_server: EmbeddedServer, queue_name: str) -> Iterator[RedisQueue]:
    """A queue of the test's own, on the server that tests share."""
    made = RedisQueue.from_url(redis_server.url, queue_name)
    yield made
    made.close()


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
