"""`redisjobs jobs show`: all that is known of one job."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from redisjobs.cli.connection import open_queue
from redisjobs.cli.contents import for_people, for_scripts
from redisjobs.cli.options import json_option, queue_options
from redisjobs.cli.tables import shown
from redisjobs.cli.times import brief_iso, from_now
from redisjobs.errors import JobNotFoundError
from redisjobs.job import Job
from redisjobs.operations.whereabouts import Whereabouts, whereabouts
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

    Payload and result are shown as text, else as what they mean in msgpack, else in hexadecimal
    digits.
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
    found = opened.lines.run(lambda: whereabouts(opened.keys, job))
    if as_json:
        click.echo(json.dumps(for_scripts(job, found.standing) | {"worker": found.worker}))
        return
    for name, value in _lines(job, found):
        lines = value.split("\n")
        click.echo(f"{name:<13}{lines[0]}")
        for line in lines[1:]:
            click.echo(f"{'':13}{line}")


def _lines(job: Job, found: Whereabouts) -> Iterator[tuple[str, str]]:
    yield "id", shown(job.id)
    yield "kind", shown(job.kind)
    status = str(job.status)
    if job.status is Status.PENDING:
        status += f", {found.standing}"
    yield "status", status + (f" on {shown(found.worker)}" if found.worker else "")
    yield "attempts", str(job.attempts_done)
    now = datetime.now(UTC)
    times = {
        "created": job.created_at,
        "run at": job.run_at,
        "last attempt": job.last_attempt_at,
        "updated": job.updated_at,
    }
    for name, instant in times.items():
        if instant is not None:
            yield name, f"{brief_iso(instant)} ({from_now(instant, now)})"
    if job.last_error is not None:
        yield "last error", "\n".join(shown(line) for line in job.last_error.splitlines())
    yield "payload", _content(job.payload)
    if job.result is not None:
        yield "result", _content(job.result)


def _content(content: bytes) -> str:
    size = f"{len(content):,} bytes"
    return f"{size}\n{for_people(content)}" if content else size
