"""`redisjobs jobs cancel`, `retry` and `delete`: what is done to jobs, by their ids or in bulk."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import click

from redisjobs.cli.connection import open_queue
from redisjobs.cli.listed import pages
from redisjobs.cli.options import json_option, kinds_option, queue_options
from redisjobs.cli.progress import progress
from redisjobs.cli.tables import counted, shown
from redisjobs.cli.unseen import hint_if_unseen
from redisjobs.errors import IncompatibleQueueError, InvalidJobError
from redisjobs.operations.whereabouts import whereabouts
from redisjobs.queue import RedisQueue

_NOT_DONE_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Change:
    """What can be done to a job.

    Attributes:
        name: of the command, and of the queue's method.
        past: as in "cancelled 3 jobs".
        statuses: what it can be done to.
    """

    name: str
    past: str
    statuses: Sequence[str]

    def to(self, queue: RedisQueue, id: str) -> bool:
        """Does it. False: the job is not there, or stands otherwise."""
        change: Callable[[str], bool] = getattr(queue, self.name)
        return change(id)


_CANCEL = Change("cancel", "cancelled", ("ready", "scheduled"))
_RETRY = Change("retry", "retried", ("failed", "panic", "cancelled"))
_DELETE = Change(
    "delete", "deleted", ("ready", "scheduled", "done", "failed", "panic", "cancelled")
)


class _Report:
    """Tells what was done, and what was not and why."""

    def __init__(self, change: Change, as_json: bool) -> None:
        self._change = change
        self.as_json = as_json
        self.done = 0
        self.not_done = 0

    def tell(self, id: str, problem: str | None, *, quiet: bool = False) -> None:
        """One job was changed, or was not because of this problem."""
        if problem is None:
            self.done += 1
        else:
            self.not_done += 1
        if self.as_json:
            click.echo(json.dumps({"id": id, self._change.past: problem is None, "why": problem}))
        elif problem is not None and self.not_done <= _NOT_DONE_SHOWN:
            click.echo(f"job {shown(id)!r} not {self._change.past}: {problem}", err=True)
        elif problem is None and not quiet:
            click.echo(f"{self._change.past} {shown(id)}")

    def sum_up(self) -> None:
        """How many were changed."""
        if not self.as_json:
            rest = f", {self.not_done:,} not" if self.not_done else ""
            click.echo(f"{self._change.past} {counted(self.done, 'job')}{rest}", err=True)


def _problem(change: Change, queue: RedisQueue, id: str) -> str | None:
    """Why the job was not changed; None: it was."""
    try:
        return _try(change, queue, id)
    except (InvalidJobError, IncompatibleQueueError) as err:
        return str(err)


def _try(change: Change, queue: RedisQueue, id: str) -> str | None:
    if change.to(queue, id):
        return None
    job = queue.get(id)
    if job is None:
        return f"there is no such job in queue {queue.name!r}"
    standing = queue.lines.run(lambda: whereabouts(queue.keys, job)).standing
    if standing.status.lower() == standing:
        return f"it has ended as {standing.status}"
    return f"it is {standing}"


def _command(change: Change, what: str, epilog: str) -> click.Command:
    @click.command(change.name, help=what, epilog=epilog)
    @click.argument("ids", nargs=-1, metavar="[ID]...")
    @queue_options
    @click.option("--all", "all_", is_flag=True, help=f"All that can be {change.past}.")
    @click.option(
        "--status", type=click.Choice(change.statuses, case_sensitive=False), multiple=True,
        help="With --all, only these; may be given more than once.",
    )  # fmt: skip
    @kinds_option("With --all, only jobs of this kind; may be given more than once.")
    @click.option("--yes", is_flag=True, help="With --all, do not ask.")
    @json_option("Write a line of JSON for each job.")
    @click.pass_context
    def command(
        ctx: click.Context, ids: tuple[str, ...], url: str | None, queue: str, all_: bool,
        status: tuple[str, ...], kinds: tuple[str, ...], yes: bool, as_json: bool,
    ) -> None:  # fmt: skip
        if bool(ids) == all_:
            raise click.UsageError("give ids, or --all with --status or --kind to choose")
        if ids and (status or kinds):
            raise click.UsageError("--status and --kind go with --all, not with ids")
        opened = open_queue(url, queue)
        report = _Report(change, as_json)
        if all_:
            _Bulk(change, opened, status or change.statuses, kinds).run(report, ask=not yes)
        else:
            for id in ids:
                report.tell(id, _problem(change, opened, id))
        ctx.exit(1 if report.not_done else 0)

    return command


@dataclass(frozen=True, slots=True)
class _Bulk:
    """All jobs of these statuses and kinds; no kinds: of all."""

    change: Change
    queue: RedisQueue
    statuses: Sequence[str]
    kinds: Sequence[str]

    def run(self, report: _Report, *, ask: bool) -> None:
        """Does it to each of them.

        Raises:
            click.Abort: somebody was asked and said no.
            click.UsageError: nobody can be asked.
        """
        total = self._count()
        if ask and total:
            self._confirm(total)
        try:
            with progress(self.change.name, total) as move:
                for id in self._ids():
                    report.tell(id, _problem(self.change, self.queue, id), quiet=True)
                    move(report.done + report.not_done)
        finally:
            report.sum_up()
        if not total and not report.as_json:
            hint_if_unseen(self.queue)

    def _ids(self) -> Iterator[str]:
        for page in pages(self.queue, self.statuses, self.kinds):
            yield from (one.job.id for one in page)

    def _confirm(self, total: int) -> None:
        if not sys.stdin.isatty():
            raise click.UsageError("nobody can be asked here: give --yes to go on")
        named = " and ".join(repr(shown(kind)) for kind in self.kinds)
        of = f"of kind {named}" if named else "of all kinds"
        click.confirm(
            f"{self.change.name} all {', '.join(self.statuses)} jobs {of}"
            f" in queue {shown(self.queue.name)!r} (up to {total:,})?",
            abort=True,
            err=True,
        )

    def _count(self) -> int:
        """How many there are at most: panics are counted among those that failed."""
        counted = {"failed" if status == "panic" else status for status in self.statuses}
        of_kinds: dict[str, Any] = self.queue.stats().kinds
        return sum(
            getattr(of, status)
            for name, of in of_kinds.items()
            if not self.kinds or name in self.kinds
            for status in counted
        )


_EXIT_CODES = """\b
Exit codes:
  0    all of them
  1    some not; standard error says which and why
"""

cancel = _command(
    _CANCEL,
    "End waiting jobs as CANCELLED.",
    """\b
Examples:
  redisjobs jobs cancel greet-42
  redisjobs jobs cancel --all --status scheduled --kind mail --yes
"""
    + _EXIT_CODES,
)
retry = _command(
    _RETRY,
    "Have jobs that failed, panicked or were cancelled run again, as if they had never run.",
    """\b
Examples:
  redisjobs jobs retry greet-42 greet-43
  redisjobs jobs retry --all --status failed --kind mail --yes
"""
    + _EXIT_CODES,
)
delete = _command(
    _DELETE,
    "Delete jobs that wait or have ended. Those that run stay.",
    """\b
Examples:
  redisjobs jobs delete greet-42
  redisjobs jobs delete --all --status done --yes
"""
    + _EXIT_CODES,
)
