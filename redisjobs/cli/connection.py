"""The queue that a command looks at."""

from __future__ import annotations

import os

import click

from redisjobs.embedded import server_url
from redisjobs.queue import RedisQueue


def open_queue(url: str | None, name: str) -> RedisQueue:
    """The queue that `--url` and `--queue` name.

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
