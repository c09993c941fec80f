"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from redisjobs.errors import InvalidJobError
from redisjobs.limits import normalise_kind

Command = TypeVar("Command", bound=Callable[..., Any])


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


def kinds_option(help: str) -> Callable[[Command], Command]:  # noqa: A002 - click's
    """Adds `--kind`, which may be given more than once."""
    return click.option(
        "--kind", "kinds", metavar="KIND", callback=_checked_kinds, multiple=True, help=help
    )


def checked_kind(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """A kind as it is stored.

    Raises:
        click.BadParameter: no job can have it.
    """
    return None if value is None else _normalised(value)


def _checked_kinds(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_normalised, values)))


def _normalised(kind: str) -> str:
    try:
        return normalise_kind(kind)
    except InvalidJobError as err:
        raise click.BadParameter(str(err)) from None
