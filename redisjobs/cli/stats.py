"""`redisjobs stats`: what a queue holds."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from redisjobs.cli.connection import open_queue
from redisjobs.cli.options import json_option, queue_options
from redisjobs.cli.tables import Table, counted, shown
from redisjobs.cli.times import duration_of_at_least
from redisjobs.cli.unseen import hint_at_others, never_seen
from redisjobs.cli.workers import as_dict, is_alive, table_of
from redisjobs.errors import QueueUnavailableError
from redisjobs.queue import RedisQueue

if TYPE_CHECKING:
    from redisjobs.operations.inspect import Stats

_EPILOG = """\b
Examples:
  redisjobs stats
  redisjobs stats --watch
  redisjobs stats --queue mails --json
\b
What needs attention is told on standard error: kinds with jobs that are ready
and no live worker, workers whose lease has lapsed, a queue that was never seen.
"""


@click.command(epilog=_EPILOG)
@queue_options
@click.option(
    "--watch", callback=duration_of_at_least(0.1), is_flag=False, flag_value="2", metavar="[TIME]",
    help="Show them again and again, every 2 seconds or as often as this, until Ctrl-C.",
)  # fmt: skip
@json_option()
def stats(url: str | None, queue: str, watch: float | None, as_json: bool) -> None:
    """Show how many jobs of each kind there are, and which workers.

    Jobs that have ended count for as long as their records are kept; failed are those that ended
    as FAILED or PANIC. Ages and leases are in seconds.
    """
    opened = open_queue(url, queue)
    tell = _tell_json if as_json else _tell
    if watch is None:
        tell(opened, opened.stats())
        return
    try:
        _watch(opened, tell, watch, clear=sys.stdout.isatty() and not as_json)
    except KeyboardInterrupt:
        click.echo(err=True)


def _watch(
    queue: RedisQueue, tell: Callable[[RedisQueue, Stats], None], seconds: float, *, clear: bool
) -> None:
    shows_before = False
    while True:
        try:
            found = queue.stats()
        except QueueUnavailableError as err:
            click.echo(f"{err}; trying again", err=True)
        else:
            if clear:
                click.clear()
            elif shows_before and tell is _tell:
                click.echo()
            tell(queue, found)
            shows_before = True
        time.sleep(seconds)


def unserved(stats: Stats) -> list[str]:
    """The kinds that have jobs which are ready, and no live worker."""
    served = {kind for one in stats.workers if is_alive(one) for kind in one.kinds}
    return [kind for kind, of in stats.kinds.items() if of.ready and kind not in served]


def _tell_json(_: RedisQueue, stats: Stats) -> None:
    told: dict[str, Any] = stats.to_dict()
    told["workers"] = [as_dict(one) for one in stats.workers]
    told["unserved"] = unserved(stats)
    click.echo(json.dumps(told))


def _tell(queue: RedisQueue, stats: Stats) -> None:
    if not stats.kinds and not stats.workers:
        click.echo(never_seen(queue))
        hint_at_others(queue)
        return
    _kinds(stats).show()
    if stats.workers:
        click.echo()
        table_of(stats.workers).show()
    for note in _notes(stats):
        click.echo(note, err=True)


def _notes(stats: Stats) -> Iterator[str]:
    for kind in unserved(stats):
        ready = counted(stats.kinds[kind].ready, "ready job")
        yield f"no live worker runs kind {shown(kind)!r}, which has {ready}"
    for one in stats.workers:
        if not is_alive(one):
            yield (
                f"the lease of worker {shown(one.id)} has lapsed: a live worker, of any kind,"
                f" takes back what it holds ({counted(one.held, 'job')})"
            )


def _kinds(stats: Stats) -> Table:
    headings = (
        "kind", "scheduled", "ready", "running", "done", "failed", "cancelled", "oldest ready (s)",
    )  # fmt: skip
    table = Table(
        f"Jobs in queue {shown(stats.queue)}", headings,
        least=("oldest ready (s)", "cancelled", "done", "scheduled"),
    )  # fmt: skip
    for kind, of in stats.kinds.items():
        table.rows.append(
            (kind, of.scheduled, of.ready, of.running, of.done, of.failed, of.cancelled,
             of.oldest_ready_age)
        )  # fmt: skip
    return table
