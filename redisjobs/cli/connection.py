"""The options that say which queue a command looks at."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from redisjobs.embedded import server_url
from redisjobs.queue import RedisQueue

_Command = TypeVar("_Command", bound=Callable[..., Any])


def queue_options(command: _Command) -> _Command:
    """Adds `--url` and `--queue`."""
    url = click.option("--url", help="Where Redis is.  [default: REDISJOBS_URL, else REDIS_URL]")
    queue = click.option("--queue", default="default", show_default=True, help="The queue's name.")
    return url(queue(command))


def open_queue(url: str | None, name: str) -> RedisQueue:
    """The queue that these options name.

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
    return RedisQueue.from_url(found, name)
