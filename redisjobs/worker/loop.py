"""The event loop of async handlers: the worker's own, on a thread of its own, or its caller's."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Protocol

# Whether a task runs until it first waits for something where it is made.
STARTS_AT_ONCE = sys.version_info >= (3, 12)

_LOGGER = logging.getLogger("redisjobs.worker")


class Loop(Protocol):
    """Where async handlers run."""

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Has the loop call a function, from any thread. Does nothing once it is closed."""

    def start(self, coroutine: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        """Starts a task in this context. On the loop's thread only."""

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine on the loop and waits for it, from another thread."""

    def stop(self, timeout_s: float) -> None:
        """Ends what still runs."""


class HandlerLoop:
    """A loop that goes on whatever a handler does, also after a SystemExit in one of its
    sub-tasks.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="redisjobs-loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._stopping:
            try:
                self._loop.run_forever()
            except BaseException as err:  # noqa: BLE001 - a SystemExit in a sub-task ends only that task
                _LOGGER.warning("an async handler's sub-task raised %r; the loop goes on", err)
        self._end_tasks()
        self._loop.close()

    def _end_tasks(self) -> None:
        """Cancels what is left, and lets it clean up for a moment."""
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=0.2))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        except BaseException as err:  # noqa: BLE001 - the process is about to end; nothing may hold it
            _LOGGER.debug("ending the loop: %r", err)

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Has the loop call a function, from any thread. Does nothing once it is closed."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            if not self._stopping:
                raise

    def start(self, coroutine: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        """Starts a task in this context. On the loop's thread only."""
        return _started(coroutine, context, self._loop, self._tasks)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine on the loop and waits for it, from another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self, timeout_s: float) -> None:
        """Ends the loop and waits for its thread, unless a handler blocks it."""
        self._stopping = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_s)


class CallersLoop:
    """A loop that somebody else runs, in whose application the worker is a guest.

    Args:
        on_closed: called when it is found closed: nothing will run there any more.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, on_closed: Callable[[], None] = lambda: None
    ) -> None:
        self._loop = loop
        self._on_closed = on_closed
        self._tasks: set[asyncio.Task[None]] = set()

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """As `HandlerLoop.call`."""
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            self._on_closed()

    def start(self, coroutine: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        """As `HandlerLoop.start`."""
        return _started(coroutine, context, self._loop, self._tasks)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """As `HandlerLoop.run`."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self, timeout_s: float) -> None:  # noqa: ARG002 - nobody can wait for a guest's host
        """Cancels what the worker has left behind there."""
        self.call(self._cancel_all)

    def _cancel_all(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()


def _started(
    coroutine: Coroutine[Any, Any, None],
    context: Context,
    loop: asyncio.AbstractEventLoop,
    tasks: set[asyncio.Task[None]],
) -> asyncio.Task[None]:
    """A task, which is kept in `tasks` until it is done: a loop alone does not keep it."""
    if sys.version_info >= (3, 12):
        task = asyncio.Task(coroutine, loop=loop, context=context, eager_start=True)
        if task.done():
            return task
    else:
        task = loop.create_task(coroutine, context=context)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task
