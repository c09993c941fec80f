"""`redisjobs enqueue`: stores jobs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import click

from redisjobs.cli.connection import open_queue
from redisjobs.cli.options import checked_kind, json_option, queue_options
from redisjobs.cli.progress import progress
from redisjobs.cli.tables import counted, shown
from redisjobs.cli.times import as_instant, duration_of_at_least
from redisjobs.codec.converter import Misfit
from redisjobs.codec.packing import pack_arguments
from redisjobs.job import Job
from redisjobs.limits import MAX_JOBS_PER_CALL
from redisjobs.queue import RedisQueue

_CHUNK = 1000
# Longer than other commands wait: many large jobs have to get through first.
_STORED_WITHIN_S = 8.0

_EPILOG = """\b
Examples:
  redisjobs enqueue greet --args '["you"]'
  redisjobs enqueue greet --args '["you"]' --id greet-42 --after 10m
  redisjobs enqueue email.send --args '["a@b"]' --kwargs '{"subject": "x"}'
  redisjobs enqueue example --payload hello --count 1000
  tar c folder | redisjobs enqueue archive --payload -
  redisjobs enqueue --jsonl jobs.jsonl
\b
A kind that is a task (@registry.task) takes --args and --kwargs, here greet
and email.send. A plain handler takes the bytes of --payload.
\b
A line of --jsonl is an object with "kind" and what of these is wanted:
  "payload" (text), "payload_base64", or "args" and "kwargs" for a task;
  "id"; "delay" (seconds, or text like "10m") or "run_at" (ISO 8601)
Lines of `redisjobs jobs list --json` can be read, too, whole or edited.
\b
Up to 10,000 jobs of one --count are stored all or none. With --jsonl chunks
of 1,000 are; an error names the line, and says what was stored before it.
\b
Exit codes:
  0    stored
  1    refused: an id exists, a line cannot be read, Redis is full
"""


@click.command(epilog=_EPILOG)
@click.argument("kind", required=False, callback=checked_kind)
@queue_options
@click.option("--id", metavar="ID", help="The job's id.  [default: a new one]")
@click.option(
    "--count", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
    help="How many such jobs.",
)  # fmt: skip
@click.option(
    "--after",
    callback=duration_of_at_least(),
    metavar="TIME",
    help="Not to run before: 90, 10m, 2h",
)
@click.option(
    "--at", callback=as_instant, metavar="TIME", help="Not to run before: ISO 8601, zoned"
)
@click.option("--payload", metavar="TEXT", help="Its payload; - reads standard input.")
@click.option("--args", metavar="JSON", help="A task's arguments, as a list.")
@click.option("--kwargs", metavar="JSON", help="A task's named arguments, as an object.")
@click.option(
    "--jsonl", type=click.Path(exists=True, allow_dash=True, dir_okay=False), metavar="FILE",
    help="Read jobs from a file, one a line; - reads standard input.",
)  # fmt: skip
@json_option("Write a line of JSON for each job.")
def enqueue(
    kind: str | None, url: str | None, queue: str, id: str | None, count: int,
    after: float | None, at: datetime | None, payload: str | None, args: str | None,
    kwargs: str | None, jsonl: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Enqueue jobs, and write their ids."""
    if kind is None and jsonl is None:
        raise click.UsageError("give a KIND, or jobs with --jsonl")
    if kind is not None and jsonl is not None:
        raise click.UsageError(
            f"KIND ({shown(kind)}) does not go with --jsonl, where each line says its kind"
        )
    tell = _tell_json if as_json else _tell
    if jsonl is not None:
        if count != 1 or any(one is not None for one in (id, after, at, payload, args, kwargs)):
            raise click.UsageError("with --jsonl, each line says what its job is")
        from redisjobs.cli.jsonl import enqueue_lines

        enqueue_lines(open_queue(url, queue, _STORED_WITHIN_S), jsonl, tell)
        return
    assert kind is not None
    if id is not None and count > 1:
        raise click.UsageError("--id names one job: it does not go with --count")
    if after is not None and at is not None:
        raise click.UsageError("give --after or --at, not both")
    content = _payload(payload, args, kwargs)
    jobs = (Job(kind, content, id=id, run_at=at, delay=after) for _ in range(count))
    _store(open_queue(url, queue, _STORED_WITHIN_S), jobs, count, tell)


def _payload(payload: str | None, args: str | None, kwargs: str | None) -> bytes:
    if args is not None or kwargs is not None:
        if payload is not None:
            raise click.UsageError("give --payload, or --args and --kwargs, not both")
        values = _read_json("--args", args, list), _read_json("--kwargs", kwargs, dict)
        try:
            return pack_arguments(*values)
        except Misfit as err:
            raise click.UsageError(f"--args and --kwargs cannot travel: {err}") from None
    if payload == "-":
        return sys.stdin.buffer.read()
    return os.fsencode(payload or "")


def _read_json(option: str, text: str | None, wanted: type) -> Any:
    if text is None:
        return wanted()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise click.UsageError(f"{option} is no JSON that can be read: {err}") from None
    if not isinstance(value, wanted):
        what = "a list" if wanted is list else "an object"
        raise click.UsageError(f"{option} must be {what}, not {text}")
    return value


def _store(
    queue: RedisQueue, jobs: Iterator[Job], count: int, tell: Callable[[Iterable[Job]], None]
) -> None:
    size = count if count <= MAX_JOBS_PER_CALL else _CHUNK
    stored = 0
    try:
        with progress("enqueue", count) as move:
            while chunk := list(islice(jobs, size)):
                queue.enqueue(*chunk)
                stored += len(chunk)
                tell(chunk)
                move(stored)
    except BaseException:
        if stored:
            click.echo(f"stored before: {stored:,} of {counted(count, 'job')}", err=True)
        raise


def _tell(jobs: Iterable[Job]) -> None:
    click.echo("\n".join(shown(job.id.strip()) for job in jobs))


def _tell_json(jobs: Iterable[Job]) -> None:
    click.echo("\n".join(json.dumps({"id": job.id.strip(), "kind": job.kind}) for job in jobs))
