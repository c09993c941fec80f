"""`redisjobs check`: whether a queue's stored data is sound."""

from __future__ import annotations

import json
from collections.abc import Callable

import click

from redisjobs.cli.connection import open_queue
from redisjobs.cli.options import json_option, queue_options
from redisjobs.cli.progress import progress
from redisjobs.cli.tables import shown
from redisjobs.operations.check import CheckReport
from redisjobs.operations.check import check as check_queue
from redisjobs.operations.operation import Operation, command, reply_of
from redisjobs.queue import RedisQueue

# What is looked at once for each job, and once more for each state.
_PASSES = ("jobs", "waiting", "finished", "states")

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
@json_option()
@click.pass_context
def check(ctx: click.Context, url: str | None, queue: str, as_json: bool) -> None:
    """Look for broken invariants in a queue, which may be in use meanwhile."""
    report = _examine(open_queue(url, queue))
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


def _examine(queue: RedisQueue) -> CheckReport:
    """The check, with a bar on a terminal."""

    def told(move: Callable[[int], None]) -> Operation[CheckReport]:
        report = CheckReport()
        examination = check_queue(queue.keys, report)
        calls = next(examination)
        try:
            while True:
                calls = examination.send((yield calls))
                move(sum(report.examined.get(one, 0) for one in _PASSES))
        except StopIteration:
            return report

    total = queue.lines.run(lambda: _size(queue))
    with progress(f"check {shown(queue.name)}", total) as move:
        return queue.lines.run(lambda: told(move))


def _size(queue: RedisQueue) -> Operation[int]:
    """About how many entries the check will look at."""
    replies = yield (command("HLEN", queue.keys.jobs), command("HLEN", queue.keys.state))
    try:
        return 2 * int(reply_of(replies)) + int(reply_of(replies, 1))
    except Exception:  # noqa: BLE001 - a key of another type: the check will tell
        return 0
