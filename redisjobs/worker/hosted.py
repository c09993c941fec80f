"""A worker as a guest in an application's event loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context


async def hosted(
    run: Callable[[], None], stop: Callable[[], None], hurry: Callable[[], None]
) -> None:
    """Has `run` run on a thread of its own, and waits for it.

    Cancelled, it calls `stop` and goes on waiting, so that what runs can end; cancelled again,
    `hurry`. Then it raises.
    """
    over = asyncio.wrap_future(_on_a_thread(run))
    cancelled: asyncio.CancelledError | None = None
    while not over.done():
        try:
            await asyncio.wait([over])
        except asyncio.CancelledError as err:
            (stop if cancelled is None else hurry)()
            cancelled = err
    if cancelled is None:
        over.result()
        return
    with suppress(Exception):
        over.result()
    raise cancelled


def _on_a_thread(run: Callable[[], None]) -> concurrent.futures.Future[None]:
    """A daemon: an application whose loop has crashed must be able to end."""
    future: concurrent.futures.Future[None] = concurrent.futures.Future()

    def live() -> None:
        try:
            run()
        except BaseException as err:  # noqa: BLE001 - raised where it is awaited
            future.set_exception(err)
        else:
            future.set_result(None)

    context = copy_context()
    threading.Thread(target=lambda: context.run(live), name="redisjobs-worker", daemon=True).start()
    return future
