"""`redisjobs jobs list`: the jobs of a queue, page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import click

from redisjobs.cli.connection import open_queue
from redisjobs.cli.contents import for_scripts
from redisjobs.cli.options import STATUSES, json_option, kind_option, queue_options
from redisjobs.cli.tables import Table, shown
from redisjobs.job import Job
from redisjobs.operations.listing import Standing
from redisjobs.queue import RedisQueue

_PAGE = 500
_ERROR_CHARS = 200

_EPILOG = """\b
Examples:
  redisjobs jobs list
  redisjobs jobs list --status failed --kind mail --limit 20
  redisjobs jobs list --status done --limit 0 --json | wc -l
\b
With --json each job is a line. Payload and result are text if they are UTF-8,
else payload_base64 and result_base64. What is still to come is told on
standard error.
"""


class Listed(NamedTuple):
    """A job, and how it stands."""

    job: Job
    standing: Standing


def pages(
    queue: RedisQueue, status: str | None, kind: str | None, limit: int
) -> Iterator[Sequence[Listed]]:
    """Up to `limit` jobs, or all with 0, a page at a time."""
    after, left = None, limit
    while True:
        size = min(_PAGE, left) if limit else _PAGE
        page = queue.jobs(status=status, kind=kind, limit=size, after=after)
        yield list(map(Listed, page.jobs, page.standings))
        after, left = page.after, left - len(page.jobs)
        if after is None or (limit and left <= 0):
            return


@click.command("list", epilog=_EPILOG)
@queue_options
@click.option(
    "--status", type=click.Choice(STATUSES, case_sensitive=False),
    help="Only these; running, ready and scheduled ones are all pending.",
)  # fmt: skip
@kind_option("Only jobs of this kind.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=100, show_default=True, metavar="N",
    help="How many at most; 0 lists all.",
)  # fmt: skip
@json_option("Write a line of JSON for each job.")
def list_(
    url: str | None, queue: str, status: str | None, kind: str | None, limit: int, as_json: bool
) -> None:
    """List jobs: those that run, those that wait, in the order in which they come due, then those
    that have ended, the latest first.

    "when" is when a job comes due, or when it ended.
    """
    # One more than is asked for tells whether there are more.
    asked = limit + 1 if limit else 0
    table = Table(f"Jobs in queue {shown(queue)}", _headings())
    number = 0
    for page in pages(open_queue(url, queue), status, kind, asked):
        fitting = page[: limit - number] if limit else page
        _write(fitting, table, as_json)
        if len(fitting) < len(page):
            click.echo(f"more than {limit:,} jobs: --limit 0 lists all", err=True)
        number += len(fitting)
    if not number and not as_json:
        click.echo(f"no such jobs in queue {shown(queue)!r}", err=True)


def _write(jobs: Sequence[Listed], table: Table, as_json: bool) -> None:
    if as_json:
        for one in jobs:
            click.echo(json.dumps(for_scripts(*one)))
    elif jobs:
        table.rows = [_row(*one) for one in jobs]
        table.show()


def _headings() -> Sequence[str]:
    return ("id", "kind", "status", "attempts", "when", "error")


def _row(job: Job, standing: Standing) -> Sequence[object]:
    error = job.last_error
    if error is not None:
        first = error.split("\n", 1)[0]
        error = first if len(first) <= _ERROR_CHARS else f"{first[:_ERROR_CHARS]}…"
    return (job.id, job.kind, standing, job.attempts_done, when(job, standing), error)


def when(job: Job, standing: Standing) -> datetime | None:
    """When a job comes due, or when it ended; of one that runs None."""
    if standing in (Standing.READY, Standing.SCHEDULED):
        return job.run_at
    return None if standing is Standing.RUNNING else job.updated_at
