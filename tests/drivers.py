"""Both queues behind one face, so that one suite runs over both: the asyncio one is awaited on an
event loop in a thread of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import uvloop

from redisjobs import AsyncRedisQueue, RedisQueue


class LoopThread:
    """An event loop that runs until the block is left."""

    def __init__(self, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._loop = new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> LoopThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        left = self.run(self._tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        assert not left, f"tasks that nobody ended: {left}"

    async def _tasks(self) -> list[str]:
        await asyncio.sleep(0)  # what was cancelled just now may end
        return [str(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What it returns or raises."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(60)
        except BaseException:
            future.cancel()
            raise


class _Awaited:
    """An object whose coroutine functions are called and awaited."""

    def __init__(self, inner: Any, loop: LoopThread) -> None:
        self._inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if inspect.iscoroutinefunction(value):
            return lambda *arguments, **settings: self._loop.run(value(*arguments, **settings))
        return _Awaited(value, self._loop) if name == "lines" else value

    def __repr__(self) -> str:
        return repr(self._inner)


class Driver:
    """Makes queues of one sort. To a test they are `RedisQueue`s, and all are closed at the end."""

    def __init__(self, name: str, loop: LoopThread | None) -> None:
        self.name = name
        self._loop = loop
        self._made: list[Any] = []

    def from_url(self, *arguments: Any, **settings: Any) -> Any:
        """As `RedisQueue.from_url`."""
        return self._faced(self._class.from_url(*arguments, **settings))

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        """As `RedisQueue(...)`."""
        return self._faced(self._class(*arguments, **settings))

    @property
    def _class(self) -> type[RedisQueue | AsyncRedisQueue]:
        return RedisQueue if self._loop is None else AsyncRedisQueue

    def _faced(self, queue: Any) -> Any:
        made = queue if self._loop is None else _Awaited(queue, self._loop)
        self._made.append(made)
        return made

    def close(self) -> None:
        """Closes all queues that were made."""
        for queue in self._made:
            queue.close()


RUNNERS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
DRIVERS = ("blocking", *RUNNERS)


@contextmanager
def driver(name: str) -> Iterator[Driver]:
    """One of the DRIVERS."""
    if name == "blocking":
        yield from _closing(Driver(name, None))
        return
    with LoopThread(RUNNERS[name]) as loop:
        yield from _closing(Driver(name, loop))


def _closing(made: Driver) -> Iterator[Driver]:
    try:
        yield made
    finally:
        made.close()
