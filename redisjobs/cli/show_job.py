"""`redisjobs jobs show`: all that is known of one job."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import click

from redisjobs.cli.connection import open_queue
from redisjobs.cli.contents import for_scripts, payload_for_people, result_for_people
from redisjobs.cli.listed import Listed
from redisjobs.cli.options import json_option, queue_options
from redisjobs.cli.tables import counted, shown
from redisjobs.cli.times import brief_iso, from_now
from redisjobs.errors import JobNotFoundError
from redisjobs.job import Job
from redisjobs.operations.operation import Operation, command, join, reply_of
from redisjobs.operations.whereabouts import Whereabouts, whereabouts
from redisjobs.queue import RedisQueue
from redisjobs.states import Status

_EPILOG = """\b
Examples:
  redisjobs jobs show greet-42
  redisjobs jobs show greet-42 --json
  redisjobs jobs show greet-42 --raw > payload
\b
Exit codes:
  0    the job was shown
  1    there is no such job, or it has no result
"""


@click.command(epilog=_EPILOG)
@click.argument("id")
@queue_options
@click.option("--raw", is_flag=True, help="Write the bytes of its payload, and nothing else.")
@click.option("--result", is_flag=True, help="Write the bytes of its result, and nothing else.")
@json_option()
def show(id: str, url: str | None, queue: str, raw: bool, result: bool, as_json: bool) -> None:
    """Show all that is known of a job.

    Of a task's job, its arguments and its result are shown; of another one its payload and result
    as text, else as what they mean in msgpack, else in hexadecimal digits.
    """
    if raw + result + as_json > 1:
        raise click.UsageError("give one of --raw, --result and --json")
    opened = open_queue(url, queue)
    job = opened.get(id)
    if job is None:
        raise JobNotFoundError(
            f"there is no job {id!r} in queue {queue!r}, or its record was not kept any longer"
        )
    if raw or result:
        content = job.payload if raw else job.result
        if content is None:
            raise click.ClickException(f"job {job.id!r} ({job.kind}) has no result: {job.status}")
        sys.stdout.buffer.write(content)
        return
    found, losses = opened.lines.run(
        lambda: join(whereabouts(opened.keys, job), _losses(opened, job))
    )
    if as_json:
        told = for_scripts(Listed(job, found.standing, found.worker)) | {"losses": losses}
        click.echo(json.dumps(told))
        return
    for name, value in _lines(job, found, losses):
        lines = value.split("\n")
        click.echo(f"{name:<13}{lines[0]}")
        for line in lines[1:]:
            click.echo(f"{'':13}{line}")


def _losses(queue: RedisQueue, job: Job) -> Operation[int]:
    """How often its worker died while running it, until it ended."""
    replies = yield (command("HGET", queue.keys.losses, job.id),)
    told = reply_of(replies) or b""
    return int(told) if told.isdigit() else 0


def _lines(job: Job, found: Whereabouts, losses: int) -> Iterator[tuple[str, str]]:
    yield "id", shown(job.id)
    yield "kind", shown(job.kind)
    status = str(job.status)
    if job.status is Status.PENDING:
        status += f", {found.standing}"
    yield "status", status + (f" on {shown(found.worker)}" if found.worker else "")
    yield "attempts", str(job.attempts_done)
    if losses:
        yield "losses", f"{losses} (its worker died while running it)"
    now = datetime.now(UTC)
    times = {
        "created": job.created_at,
        # Of one that has ended only what it was enqueued with is known, not when it came due again.
        "run at": job.run_at if job.status is Status.PENDING else None,
        "last attempt": job.last_attempt_at,
        "updated": job.updated_at,
    }
    for name, instant in times.items():
        if instant is not None:
            yield name, f"{brief_iso(instant)} ({from_now(instant, now)})"
    if job.last_error is not None:
        yield "last error", "\n".join(shown(line) for line in job.last_error.splitlines())
    yield "payload", _content(job.payload, payload_for_people)
    if job.result is not None:
        yield "result", _content(job.result, result_for_people)


def _content(content: bytes, told: Callable[[bytes], str]) -> str:
    size = counted(len(content), "byte")
    return f"{size}\n{told(content)}" if content else size
