"""`redisjobs stats`: what a queue holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from redisjobs.cli.connection import open_queue, queue_options
from redisjobs.cli.tables import Table, shown

if TYPE_CHECKING:
    from redisjobs.operations.inspect import Stats

_EPILOG = """\b
Examples:
  redisjobs stats
  redisjobs stats --queue mails --json
"""


@click.command(epilog=_EPILOG)
@queue_options
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def stats(url: str | None, queue: str, as_json: bool) -> None:
    """Show how many jobs of each kind there are, and which workers.

    Jobs that have ended count for as long as their records are kept; failed are those that ended
    as FAILED or PANIC. Ages and leases are in seconds.
    """
    found = open_queue(url, queue).stats()
    if as_json:
        click.echo(json.dumps(found.to_dict()))
        return
    if not found.kinds and not found.workers:
        click.echo(f"queue {shown(found.queue)!r} has seen no jobs and no workers")
        return
    _kinds(found).show()
    if found.workers:
        click.echo()
        _workers(found).show()


def _kinds(stats: Stats) -> Table:
    headings = (
        "kind", "scheduled", "ready", "running", "done", "failed", "cancelled", "oldest ready (s)",
    )  # fmt: skip
    table = Table(f"Jobs in queue {shown(stats.queue)}", headings)
    for kind, of in stats.kinds.items():
        table.rows.append(
            (kind, of.scheduled, of.ready, of.running, of.done, of.failed, of.cancelled,
             of.oldest_ready_age)
        )  # fmt: skip
    return table


def _workers(stats: Stats) -> Table:
    headings = ("worker", "held", "concurrency", "lease left (s)", "version", "kinds")
    table = Table("Workers", headings)
    for one in stats.workers:
        table.rows.append(
            (one.id, one.held, one.concurrency, one.lease_left, one.version, ", ".join(one.kinds))
        )
    return table
