"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from redisjobs.errors import InvalidJobError
from redisjobs.limits import normalise_kind

Command = TypeVar("Command", bound=Callable[..., Any])

STATUSES = (
    "pending", "running", "ready", "scheduled", "done", "failed", "panic", "cancelled",
)  # fmt: skip


def queue_options(command: Command) -> Command:
    """Adds `--url` and `--queue`."""
    url = click.option(
        "--url", metavar="URL", help="Where Redis is.  [default: REDISJOBS_URL, else REDIS_URL]"
    )
    queue = click.option(
        "--queue", metavar="NAME", default="default", envvar="REDISJOBS_QUEUE",
        show_default=True, show_envvar=True, help="The queue's name.",
    )  # fmt: skip
    return url(queue(command))


def json_option(help: str = "Write JSON.") -> Callable[[Command], Command]:  # noqa: A002 - click's
    """Adds `--json`."""
    return click.option("--json", "as_json", is_flag=True, help=help)


def kind_option(help: str) -> Callable[[Command], Command]:  # noqa: A002 - click's
    """Adds `--kind`."""
    return click.option("--kind", metavar="KIND", callback=checked_kind, help=help)


def checked_kind(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """A kind as it is stored.

    Raises:
        click.BadParameter: no job can have it.
    """
    if value is None:
        return None
    try:
        return normalise_kind(value)
    except InvalidJobError as err:
        raise click.BadParameter(str(err)) from None
