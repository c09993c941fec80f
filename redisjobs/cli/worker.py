"""`redisjobs worker`: runs workers under a supervisor."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from redisjobs.cli.options import Command
from redisjobs.cli.times import duration_of_at_least
from redisjobs.supervisor.logs import LEVELS, configure_logging
from redisjobs.supervisor.process import WorkerOptions
from redisjobs.supervisor.supervisor import Supervisor

_EPILOG = """\b
Examples:
  redisjobs worker shop.jobs:worker
  redisjobs worker shop.jobs:worker --processes 4 --concurrency 20
  redisjobs worker shop.jobs:make_worker --burst
  REDISJOBS_WORKER=shop.jobs:worker REDISJOBS_PROCESSES=4 redisjobs worker
\b
Which queue it works on, and where Redis is, the module says. Each option can
come from the environment; above it says where its value comes from now.
Times are seconds, or like 500ms, 10m, 1h30m.
\b
SIGTERM and Ctrl-C let running jobs end, for as long as the shutdown timeout
says. A second one kills the processes; their jobs run again when their leases
have lapsed. A worker waits for a Redis that is away, however long that takes.
A burst that finds none gives up after about 3 s, and one that loses it stops
after 30 s.
\b
Exit codes:
  0        stopped gracefully, or the burst is over
  2        wrong usage
  69       a burst found no Redis, or lost it
  78       at the start: the worker cannot be loaded, or cannot work with its
           Redis. Later it is started again until it can.
  128 + n  ended by a second signal n
"""

_AS_THE_WORKER_SAYS = "as the worker says"


def _target(_: click.Context, __: click.Parameter, value: str) -> str:
    module, colon, name = value.partition(":")
    if not (module and colon and name) or module.startswith("-"):
        raise click.BadParameter(f"{value!r} should look like MODULE:WORKER, e.g. shop.jobs:worker")
    return value


class _Option(click.Option):
    """An option that can come from REDISJOBS_<NAME>, and says in the help where it comes from."""

    def __init__(self, declarations: Any, **settings: Any) -> None:
        name = declarations[0].removeprefix("--").replace("-", "_").upper()
        super().__init__(declarations, envvar=f"REDISJOBS_{name}", **settings)

    def process_value(self, ctx: click.Context, value: Any) -> Any:
        """The value, checked."""
        try:
            return super().process_value(ctx, value)
        except click.BadParameter as err:
            if os.environ.get(str(self.envvar)) != value:
                raise
            raise click.BadParameter(f"{err.message} (from {self.envvar})", ctx, self) from None

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Its line in the help."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        variable = str(self.envvar)
        if os.environ.get(variable):
            source = f"{variable}={os.environ[variable]}"
        elif self.default is None or not isinstance(self.default, str | int) or self.is_flag:
            unset = "off" if self.is_flag else _AS_THE_WORKER_SAYS
            source = f"default: {unset}; {variable} is not set"
        else:
            source = f"default: {self.default}; {variable} is not set"
        return record[0], f"{record[1]}  [{source}]"


def _prefetch(_: click.Context, __: click.Parameter, value: str | None) -> int | str | None:
    if value is None or value == "auto":
        return value
    if value.isdecimal():
        return int(value)
    raise click.BadParameter(f"{value!r} is neither auto nor a whole number")


def _setting(name: str, metavar: str, help: str, **more: Any) -> Callable[[Command], Command]:  # noqa: A002 - click's
    return click.option(name, cls=_Option, metavar=metavar, help=help, **more)


def _time(name: str, least_s: float, help: str) -> Callable[[Command], Command]:  # noqa: A002 - click's
    return _setting(name, "TIME", help, callback=duration_of_at_least(least_s))


def _misplaced(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            f"{option.opts[0]} is for the other commands: which queue a worker works on, and where"
            " Redis is, its module says, e.g. Worker(RedisQueue.from_url(url, name), registry)",
            ctx,
        )


def _not_here(name: str) -> Callable[[Command], Command]:
    return click.option(name, expose_value=False, hidden=True, callback=_misplaced)


@click.command(epilog=_EPILOG)
@click.argument("target", metavar="MODULE:WORKER", envvar="REDISJOBS_WORKER", callback=_target)
@click.option(
    "--processes", cls=_Option, type=click.IntRange(min=1), default=1, metavar="N",
    help="How many processes run it.",
)  # fmt: skip
@_setting("--concurrency", "N", "How many handlers each runs at once.", type=click.IntRange(min=1))
@_setting("--prefetch", "auto|N", "How many jobs each holds beyond those.", callback=_prefetch)
@_time("--lease", 0.1, "How long it may be silent before others take its jobs.")
@_time("--shutdown-timeout", 0, "How long handlers may go on after a stop.")
@_setting("--max-losses", "N", "How often a job may lose its worker.", type=click.IntRange(min=0))
@_time("--min-retry-backoff", 0, "The shortest delay of a retry.")
@_time("--poll-interval", 0, "How often it looks when nothing wakes it.")
@click.option("--burst", cls=_Option, is_flag=True, help="End when nothing is due any more.")
@click.option(
    "--log-level", cls=_Option, type=click.Choice(LEVELS, case_sensitive=False), default="info",
    help="For the log on standard error, unless the module sets up logging.",
)  # fmt: skip
@_not_here("--queue")
@_not_here("--url")
@click.pass_context
def worker(
    ctx: click.Context,
    /,
    target: str,
    processes: int,
    burst: bool,
    log_level: str,
    **settings: Any,
) -> None:
    """Run the jobs of a queue.

    MODULE:WORKER names a redisjobs.Worker, or a function without arguments that returns one. The
    current directory is searched first.

    A process that dies is started again, and its jobs are taken back at once.
    """
    configure_logging(log_level)
    given = {name: value for name, value in settings.items() if value is not None}
    options = WorkerOptions(target, given, burst, log_level)
    ctx.exit(Supervisor(options, processes=processes).run())
