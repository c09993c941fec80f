"""`redisjobs workers`: which workers there are, and whether they live."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict

import click

from redisjobs.cli.connection import ANSWER_WITHIN_S, answer_within, open_queue
from redisjobs.cli.options import json_option, kinds_option, queue_options
from redisjobs.cli.tables import Table, counted, shown
from redisjobs.cli.times import duration_of_at_least
from redisjobs.cli.unseen import hint_if_unseen
from redisjobs.operations.inspect import WorkerStats

_ANY = "*"

_EPILOG = """\b
Examples:
  redisjobs workers
  redisjobs workers --kind mail --json
  redisjobs workers --check
  redisjobs workers --check --host '*' --kind mail --min 3
\b
--check is for health checks. It counts the live workers of this host (in a
container: of this container); --host names another one, or '*' for all.
A worker lives while its lease has not lapsed. With several --kind it has to
run them all. Have a probe wait longer than --timeout.
\b
Exit codes:
  0    with --check: at least --min such workers live
  1    with --check: fewer do
  69   Redis cannot be reached, or does not answer in time, which says nothing
       about the workers
"""


@click.command(epilog=_EPILOG)
@queue_options
@click.option("--check", is_flag=True, help="Say only whether enough of them live.")
@click.option("--host", metavar="HOST", help="Only those of this host; '*' for all.")
@kinds_option("Only those that run this kind; may be given more than once.")
@click.option(
    "--min", "least", type=click.IntRange(min=1), metavar="N",
    help="With --check, how many have to live.  [default: 1]",
)  # fmt: skip
@click.option(
    "--timeout", callback=duration_of_at_least(0.1), metavar="TIME",
    help=f"With --check, how long Redis may take to answer.  [default: {ANSWER_WITHIN_S:g}s]",
)  # fmt: skip
@json_option()
@click.pass_context
def workers(
    ctx: click.Context, url: str | None, queue: str, check: bool, host: str | None,
    kinds: tuple[str, ...], least: int | None, timeout: float | None, as_json: bool,
) -> None:  # fmt: skip
    """Show the workers of a queue, or check that they live."""
    if not check and (least is not None or timeout is not None):
        raise click.UsageError("--min and --timeout go with --check")
    if host is None:
        host = socket.gethostname() if check else _ANY
    opened = open_queue(url, queue, timeout)
    ask = opened.stats
    stats = answer_within(timeout or ANSWER_WITHIN_S, opened, ask) if check else ask()
    found = [
        one for one in stats.workers if host in (_ANY, one.host) and set(kinds) <= set(one.kinds)
    ]
    if check:
        ctx.exit(_check(found, queue, host, kinds, least or 1, as_json))
    if as_json:
        click.echo(json.dumps([as_dict(one) for one in found]))
    elif found:
        table_of(found).show()
    else:
        click.echo(f"no workers{_such(queue, host, kinds)}", err=True)
        hint_if_unseen(opened)


def _check(
    found: Sequence[WorkerStats], queue: str, host: str, kinds: Sequence[str], least: int,
    as_json: bool,
) -> int:  # fmt: skip
    alive = sum(map(is_alive, found))
    enough = alive >= least
    if as_json:
        click.echo(json.dumps({"healthy": enough, "alive": alive, "lapsed": len(found) - alive}))
    else:
        wanted = "" if enough else f", but at least {least:,} should be"
        such = _such(queue, host, kinds)
        click.echo(f"alive: {counted(alive, 'worker')}{such}{wanted}", err=not enough)
    return 0 if enough else 1


def _such(queue: str, host: str, kinds: Sequence[str]) -> str:
    on = "" if host == _ANY else f" on host {shown(host)!r}"
    of = f" for kind {' and '.join(repr(shown(kind)) for kind in kinds)}" if kinds else ""
    return f" of queue {shown(queue)!r}{on}{of}"


def is_alive(worker: WorkerStats) -> bool:
    """Whether its lease holds."""
    return worker.lease_left > 0


def state_of(worker: WorkerStats) -> str:
    """In a word: alive or lapsed."""
    return "alive" if is_alive(worker) else "lapsed"


def as_dict(worker: WorkerStats) -> dict[str, object]:
    """The worker as JSON can carry it."""
    return {**asdict(worker), "state": state_of(worker)}


def table_of(found: Sequence[WorkerStats]) -> Table:
    """These workers, and whether they live."""
    headings = (
        "worker", "state", "held", "concurrency", "lease left (s)", "host", "pid", "kinds",
    )  # fmt: skip
    table = Table(
        "Workers", headings, whole=("worker",),
        least=("host", "pid", "concurrency", "lease left (s)", "held", "kinds"),
    )  # fmt: skip
    for one in found:
        table.rows.append(
            (one.id, state_of(one), one.held, one.concurrency, one.lease_left, one.host, one.pid,
             ", ".join(one.kinds))
        )  # fmt: skip
    return table
