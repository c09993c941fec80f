"""A queue on a real server, and workers in processes of their own over it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import redis

from redisjobs import AsyncRedisQueue
from tests import drivers
from tests.drivers import RUNNERS
from tests.worker_process import Wire, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

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


@pytest.fixture(params=list(RUNNERS))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    """What runs a coroutine: on asyncio's own loop, and on uvloop's."""

    def run_it(coroutine: Coroutine[Any, Any, None]) -> None:
        async def in_time() -> None:
            async with asyncio.timeout(30):
                await coroutine

        with asyncio.Runner(loop_factory=RUNNERS[request.param]) as runner:
            runner.run(in_time())

    return run_it


@pytest.fixture
def open_queue(redis_server: EmbeddedServer, queue_name: str) -> Callable[[], AsyncRedisQueue]:
    """Makes a queue, to be closed by the test."""
    return lambda: AsyncRedisQueue.from_url(redis_server.url, queue_name)
