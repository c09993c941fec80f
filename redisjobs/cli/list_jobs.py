"""`redisjobs jobs list`: the jobs of a queue, page by page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import click

from redisjobs.cli.connection import open_queue
from redisjobs.cli.contents import for_scripts
from redisjobs.cli.listed import STATUSES, Listed, pages
from redisjobs.cli.options import json_option, kinds_option, queue_options
from redisjobs.cli.tables import Table, shown
from redisjobs.cli.unseen import hint_if_unseen
from redisjobs.job import Job
from redisjobs.operations.listing import Standing

_ERROR_CHARS = 200

_EPILOG = """\b
Examples:
  redisjobs jobs list
  redisjobs jobs list --status failed --status panic --kind mail --limit 20
  redisjobs jobs list --status done --limit 0 --json | wc -l
\b
With --json each job is a line. Payload and result are text if they are UTF-8,
else payload_base64 and result_base64; besides, there are args and kwargs of a
task, and result_value, where JSON can carry them. `redisjobs enqueue --jsonl`
reads such lines. What is still to come is told on standard error.
"""


@click.command("list", epilog=_EPILOG)
@queue_options
@click.option(
    "--status", type=click.Choice(STATUSES, case_sensitive=False), multiple=True,
    help="Only these; running, ready and scheduled ones are all pending."
    " May be given more than once, as --kind may.",
)  # fmt: skip
@kinds_option("Only jobs of this kind.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=100, show_default=True, metavar="N",
    help="How many at most; 0 lists all.",
)  # fmt: skip
@json_option("Write a line of JSON for each job.")
def list_(
    url: str | None, queue: str, status: tuple[str, ...], kinds: tuple[str, ...], limit: int,
    as_json: bool,
) -> None:  # fmt: skip
    """List jobs: those that run, those that wait, in the order in which they come due, then those
    that have ended, the latest first. Of several statuses or kinds there is one such list after the
    other.

    "when" is when a job comes due, or when it ended; "worker" is the one that runs it.
    """
    # One more than is asked for tells whether there are more.
    asked = limit + 1 if limit else 0
    opened = open_queue(url, queue)
    table = _table(queue)
    number = 0
    for page in pages(opened, status, kinds, asked):
        fitting = page[: limit - number] if limit else page
        _write(fitting, table, as_json)
        if len(fitting) < len(page):
            click.echo(f"more than {limit:,} jobs: --limit 0 lists all", err=True)
        number += len(fitting)
    if not number and not as_json:
        click.echo(f"no such jobs in queue {shown(queue)!r}", err=True)
        hint_if_unseen(opened)


def _write(jobs: Sequence[Listed], table: Table, as_json: bool) -> None:
    if as_json:
        for one in jobs:
            click.echo(json.dumps(for_scripts(one)))
    elif jobs:
        table.rows = [_row(one) for one in jobs]
        table.show()


def _table(queue: str) -> Table:
    return Table(
        f"Jobs in queue {shown(queue)}",
        ("id", "kind", "status", "attempts", "when", "worker", "error"),
        whole=("id", "worker"),
        least=("attempts", "worker", "error", "when", "kind"),
    )


def _row(listed: Listed) -> Sequence[object]:
    job, standing, worker = listed
    error = job.last_error
    if error is not None:
        first = error.split("\n", 1)[0]
        error = first if len(first) <= _ERROR_CHARS else f"{first[:_ERROR_CHARS]}…"
    when = _when(job, standing)
    return (job.id, job.kind, standing, job.attempts_done, when, worker, error)


def _when(job: Job, standing: Standing) -> datetime | None:
    """When a job comes due, or when it ended; of one that runs None."""
    if standing in (Standing.READY, Standing.SCHEDULED):
        return job.run_at
    return None if standing is Standing.RUNNING else job.updated_at
