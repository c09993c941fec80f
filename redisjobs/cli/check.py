"""`redisjobs check`: whether a queue's stored data is sound."""

from __future__ import annotations

import json

import click

from redisjobs.cli.connection import open_queue, queue_options
from redisjobs.cli.tables import shown

_EPILOG = """\b
Examples:
  redisjobs check
  redisjobs check --queue mails --json
\b
Exit codes:
  0    the queue is sound
  1    something is broken; each sentence on standard output says what
"""


@click.command(epilog=_EPILOG)
@queue_options
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_context
def check(ctx: click.Context, url: str | None, queue: str, as_json: bool) -> None:
    """Look for broken invariants in a queue, which may be in use meanwhile."""
    report = open_queue(url, queue).check()
    if as_json:
        told = {"queue": queue, "broken": list(report), "examined": report.examined}
        click.echo(json.dumps(told))
    else:
        for sentence in report:
            click.echo(shown(sentence))
        examined = ", ".join(f"{number:,} {what}" for what, number in report.examined.items())
        verdict = f"{len(report):,} broken" if report else "sound"
        click.echo(f"queue {shown(queue)}: {verdict} (examined: {examined})")
    ctx.exit(1 if report else 0)
