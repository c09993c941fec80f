"""The queue that a command looks at, and how long it waits for its Redis."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import click
from tenacity import Retrying

from redisjobs.embedded import server_url
from redisjobs.errors import QueueUnavailableError
from redisjobs.operations.operation import Operation
from redisjobs.patience import LineError, Patience
from redisjobs.queue import RedisQueue
from redisjobs.transport import Lines

T = TypeVar("T")

# Somebody sits at the terminal, or a probe has a time limit of its own: a Redis that hangs is
# told sooner than a service would give up.
ANSWER_WITHIN_S = 5.0


def open_queue(url: str | None, name: str, timeout_s: float | None = None) -> RedisQueue:
    """The queue that `--url` and `--queue` name.

    Args:
        url: where Redis is; None looks in the environment.
        name: the queue's name.
        timeout_s: how long each wait for an answer may take, and how long a call is repeated. None:
            for as long as is usual.

    Raises:
        click.UsageError: nothing says where Redis is.
        ConfigurationError: the URL or the name cannot be used.
    """
    found = url or server_url(os.environ)
    if found is None:
        raise click.UsageError(
            "nothing says where Redis is: give --url, or set REDISJOBS_URL or REDIS_URL,"
            " e.g. redis://localhost:6379/0"
        )
    queue = RedisQueue.from_url(found, name)
    queue.lines = _PromptLines(queue.address, timeout_s=timeout_s or ANSWER_WITHIN_S)
    return queue


def answer_within(seconds: float, queue: RedisQueue, ask: Callable[[], T]) -> T:
    """What `ask` returns, if it does so in time, whatever holds it up: many slow answers, or the
    look-up of a host's name.

    Raises:
        QueueUnavailableError: it does not. It goes on, on a thread that keeps no process from its
            end.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as err:  # noqa: BLE001 - it is raised where the answer is awaited
            answer.set_exception(err)

    threading.Thread(target=run, name="redisjobs-ask", daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError:
        raise QueueUnavailableError(
            f"Redis at {queue.address.name}: no answer within {seconds:g} s"
        ) from None


class _PromptLines(Lines):
    def __init__(self, server: Any, *, timeout_s: float) -> None:
        super().__init__(server, timeout_s=timeout_s)
        self._repeat_for_s = timeout_s

    def run(self, make: Callable[[], Operation[T]], *, repeatable: bool = True) -> T:
        patience = _Impatience(self._repeat_for_s, repeatable=repeatable)
        try:
            return Retrying(**patience.terms())(lambda: self.run_once(make()))
        except LineError as err:
            raise patience.explained(err) from None


class _Impatience(Patience):
    def __init__(self, most_s: float, *, repeatable: bool) -> None:
        super().__init__(repeatable=repeatable)
        self._most_s = most_s

    @property
    def limit_s(self) -> float:
        usual_s = super().limit_s
        return usual_s if self._awaits_failover else min(self._most_s, usual_s)
