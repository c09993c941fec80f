"""`redisjobs check`: whether a queue's stored data is sound, and its repair."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from redisjobs.cli.connection import open_queue
from redisjobs.cli.options import json_option, queue_options
from redisjobs.cli.progress import progress
from redisjobs.cli.tables import shown
from redisjobs.cli.unseen import hint_if_unseen
from redisjobs.operations.check import CheckReport
from redisjobs.operations.check import check as check_queue
from redisjobs.operations.eviction import eviction_risk
from redisjobs.operations.operation import Operation, command, reply_of
from redisjobs.operations.repair import RepairReport
from redisjobs.operations.repair import repair as repair_queue
from redisjobs.queue import RedisQueue

T = TypeVar("T")

# What is looked at once for each job, and once more for each state.
_PASSES = ("jobs", "waiting", "finished", "states")

_EPILOG = """\b
Examples:
  redisjobs check
  redisjobs check --queue mails --json
  redisjobs check --repair --dry-run
\b
Exit codes:
  0    the queue is sound
  1    something is broken; each sentence on standard output says what
"""


@click.command(epilog=_EPILOG)
@queue_options
@click.option("--repair", is_flag=True, help="Mend what can be mended, and say what was done.")
@click.option("--dry-run", is_flag=True, help="With --repair, only say what would be done.")
@json_option()
@click.pass_context
def check(
    ctx: click.Context, url: str | None, queue: str, repair: bool, dry_run: bool, as_json: bool
) -> None:
    """Look for broken invariants in a queue, which may be in use meanwhile."""
    if dry_run and not repair:
        raise click.UsageError("--dry-run goes with --repair: a check writes nothing anyway")
    opened = open_queue(url, queue)
    broken = _tell_repair(opened, dry_run, as_json) if repair else _tell_check(opened, as_json)
    ctx.exit(1 if broken else 0)


def _tell_check(queue: RedisQueue, as_json: bool) -> CheckReport:
    report = _followed(queue, "check", 1, lambda: _checking(queue))
    risk = queue.lines.run(eviction_risk)
    warnings = [] if risk is None else [f"Redis at {queue.address.name} could lose jobs: {risk}"]
    if as_json:
        told = {
            "queue": queue.name,
            "broken": list(report),
            "examined": report.examined,
            "warnings": warnings,
        }
        click.echo(json.dumps(told))
    else:
        for sentence in report:
            click.echo(shown(sentence))
        for warning in warnings:
            click.echo(f"warning: {shown(warning)}", err=True)
        click.echo(f"queue {shown(queue.name)}: {_verdict(report)} ({_examined(report)})")
        if not report:
            hint_if_unseen(queue)
    return report


def _tell_repair(queue: RedisQueue, dry_run: bool, as_json: bool) -> CheckReport:
    report = RepairReport(dry_run=dry_run)
    _followed(queue, "repair", 2, lambda: (report, repair_queue(queue.keys, report)))
    if as_json:
        told: dict[str, Any] = {
            "queue": queue.name,
            "dry_run": dry_run,
            "repaired": list(report),
            "counts": report.repaired,
            "broken": list(report.left),
            "examined": report.examined,
        }
        click.echo(json.dumps(told))
        return report.left
    for sentence in report:
        click.echo(f"{'would repair' if dry_run else 'repaired'}: {shown(sentence)}")
    for sentence in report.left:
        click.echo(f"broken: {shown(sentence)}")
    number = sum(report.repaired.values())
    done = f"{number:,} {'to repair' if dry_run else 'repaired'}"
    if report.repaired:
        done += f" ({', '.join(f'{what}: {number:,}' for what, number in report.repaired.items())})"
    click.echo(
        f"queue {shown(queue.name)}: {done}; {'now' if dry_run else 'then'}"
        f" {_verdict(report.left)} ({_examined(report)})"
    )
    return report.left


def _verdict(report: CheckReport) -> str:
    return f"{len(report):,} broken" if report else "sound"


def _examined(report: CheckReport | RepairReport) -> str:
    counts = ", ".join(f"{number:,} {what}" for what, number in report.examined.items())
    return f"examined: {counts}"


def _checking(queue: RedisQueue) -> tuple[CheckReport, Operation[CheckReport]]:
    report = CheckReport()
    return report, check_queue(queue.keys, report)


def _followed(
    queue: RedisQueue,
    what: str,
    passes: int,
    make: Callable[[], tuple[CheckReport | RepairReport, Operation[T]]],
) -> T:
    """What an operation returns that looks at the whole queue so often, with a bar on a terminal.

    `make`: makes it and the report that it fills; called once for each try.
    """

    def told(move: Callable[[int], None]) -> Operation[T]:
        report, operation = make()
        calls = next(operation)
        try:
            while True:
                calls = operation.send((yield calls))
                move(_done(report))
        except StopIteration as end:
            value: T = end.value
            return value

    total = passes * queue.lines.run(lambda: _size(queue))
    with progress(f"{what} {shown(queue.name)}", total) as move:
        return queue.lines.run(lambda: told(move))


def _done(report: CheckReport | RepairReport) -> int:
    parts = [report.examined]
    if isinstance(report, RepairReport):
        parts.append(report.left.examined)
    return sum(examined.get(one, 0) for examined in parts for one in _PASSES)


def _size(queue: RedisQueue) -> Operation[int]:
    """About how many entries a check will look at."""
    replies = yield (command("HLEN", queue.keys.jobs), command("HLEN", queue.keys.state))
    try:
        return 2 * int(reply_of(replies)) + int(reply_of(replies, 1))
    except Exception:  # noqa: BLE001 - a key of another type: the check will tell
        return 0
