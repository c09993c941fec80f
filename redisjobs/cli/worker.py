"""`redisjobs worker`: runs workers under a supervisor."""

from __future__ import annotations

import click

from redisjobs.supervisor.logs import LEVELS, configure_logging
from redisjobs.supervisor.process import WorkerOptions
from redisjobs.supervisor.supervisor import Supervisor

_EPILOG = """\b
Examples:
  redisjobs worker shop.jobs:worker
  redisjobs worker shop.jobs:worker --processes 4 --concurrency 20
  redisjobs worker shop.jobs:make_worker --burst
\b
SIGTERM and Ctrl-C let running jobs end, for as long as the worker's
shutdown_timeout says. A second one kills the processes; their jobs run again
when their leases have lapsed.
\b
Exit codes:
  0        stopped gracefully, or the burst is over
  2        wrong usage
  78       at the start: the worker cannot be loaded, or cannot work with its
           Redis. Later it is started again until it can.
  128 + n  ended by a second signal n
"""


def _target(_: click.Context, __: click.Parameter, value: str) -> str:
    module, colon, name = value.partition(":")
    if not (module and colon and name):
        raise click.BadParameter(f"{value!r} should look like MODULE:WORKER, e.g. shop.jobs:worker")
    return value


@click.command(epilog=_EPILOG)
@click.argument("target", metavar="MODULE:WORKER", callback=_target)
@click.option(
    "--processes", type=click.IntRange(min=1), default=1, show_default=True,
    help="How many processes run it.",
)  # fmt: skip
@click.option(
    "--concurrency", type=click.IntRange(min=1),
    help="How many handlers each of them runs at once.  [default: as the worker says]",
)  # fmt: skip
@click.option("--burst", is_flag=True, help="End when nothing is due any more.")
@click.option(
    "--log-level", type=click.Choice(LEVELS, case_sensitive=False), default="info",
    show_default=True, help="For the log on standard error, unless the module sets up logging.",
)  # fmt: skip
@click.pass_context
def worker(
    ctx: click.Context,
    target: str,
    processes: int,
    concurrency: int | None,
    burst: bool,
    log_level: str,
) -> None:
    """Run the jobs of a queue.

    MODULE:WORKER names a redisjobs.Worker, or a function without arguments that returns one. The
    current directory is searched first.

    A process that dies is started again, and its jobs are taken back at once.
    """
    configure_logging(log_level)
    settings = {} if concurrency is None else {"concurrency": concurrency}
    options = WorkerOptions(target, settings, burst, log_level)
    ctx.exit(Supervisor(options, processes=processes).run())
