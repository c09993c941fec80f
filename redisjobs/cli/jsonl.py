"""`redisjobs enqueue --jsonl`: jobs from the lines of a file."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any

import click

from redisjobs.cli.progress import progress
from redisjobs.cli.tables import counted
from redisjobs.cli.times import read_duration, read_instant
from redisjobs.codec.packing import pack_arguments
from redisjobs.errors import JobExistsError, RedisJobsError
from redisjobs.job import Job
from redisjobs.limits import normalise_id, normalise_kind
from redisjobs.queue import RedisQueue
from redisjobs.record import encode_job

_CHUNK = 1000
_NAMES = {"kind", "payload", "payload_base64", "args", "kwargs", "id", "delay", "run_at"}
# What a line of `jobs list --json` says besides: how that job fared is nothing that a new one has.
_PASSED_OVER = {
    "status", "standing", "worker", "created_at", "updated_at", "attempts_done",
    "last_attempt_at", "last_error", "result", "result_base64", "result_value",
}  # fmt: skip
_LINES_NAMED = 10


def enqueue_lines(queue: RedisQueue, path: str, tell: Callable[[Iterable[Job]], None]) -> None:
    """Stores the jobs of this file ("-": of standard input), and tells them as they are stored.

    Raises:
        click.ClickException: a line cannot be read, or its job cannot be stored.
        RedisJobsError: as `enqueue_many`.
    """
    with click.open_file(path, "rb") as file:
        loader = _Loader(queue, "standard input" if path == "-" else path, tell)
        size = None if path == "-" else Path(path).stat().st_size
        try:
            loader.run(file, size or None)
        except BaseException:
            click.echo(f"stored before: {counted(loader.stored, 'job')}", err=True)
            raise


class _Loader:
    def __init__(self, queue: RedisQueue, name: str, tell: Callable[[Iterable[Job]], None]) -> None:
        self._queue = queue
        self._name = name
        self._tell = tell
        self.stored = 0

    def run(self, file: IO[bytes], size: int | None) -> None:
        read = 0

        def numbered() -> Iterator[tuple[int, bytes]]:
            nonlocal read
            for number, line in enumerate(file, 1):
                read += len(line)
                if line.strip():
                    yield number, line

        lines = numbered()
        with progress("enqueue, bytes", size) as move:
            while chunk := list(islice(lines, _CHUNK)):
                self._store(chunk)
                move(read)

    def _store(self, lines: Iterable[tuple[int, bytes]]) -> None:
        jobs: dict[str, Job] = {}
        numbers: dict[str, int] = {}
        for number, line in lines:
            try:
                job = self._job(line)
                if job.id in numbers:
                    raise ValueError(f"line {numbers[job.id]} has the id {job.id!r}, too")
            except (ValueError, TypeError, OverflowError, RecursionError) as err:
                # What comes before it is sound.
                self._enqueue(jobs, numbers)
                raise click.ClickException(f"{self._name}, line {number}: {err}") from err
            jobs[job.id], numbers[job.id] = job, number
        self._enqueue(jobs, numbers)

    def _job(self, line: bytes) -> Job:
        job = read_job(line)
        # So that it is refused by its line, not later by its id, which may be a new one.
        encode_job(job, 0, self._queue.settings.max_payload)
        return job

    def _enqueue(self, jobs: Mapping[str, Job], numbers: Mapping[str, int]) -> None:
        every = list(jobs.values())
        try:
            stored = self._queue.enqueue_many(every, chunk=_CHUNK)
        except RedisJobsError as err:
            stored, err.stored = err.stored or 0, None
            self._note(every[:stored])
            if isinstance(err, JobExistsError):
                raise click.ClickException(f"{self._where(err.ids, numbers)}: {err}") from err
            raise
        self._note(every[:stored])

    def _note(self, jobs: list[Job]) -> None:
        self.stored += len(jobs)
        if jobs:
            self._tell(jobs)

    def _where(self, ids: Iterable[str], numbers: Mapping[str, int]) -> str:
        found = sorted(numbers[id] for id in ids)
        named = ", ".join(map(str, found[:_LINES_NAMED]))
        more = " and more" if len(found) > _LINES_NAMED else ""
        return f"{self._name}, line{'s' if len(found) > 1 else ''} {named}{more}"


def read_job(line: bytes) -> Job:
    """The job that a line describes.

    Raises:
        ValueError: it describes none; InvalidJobError is one, too.
    """
    try:
        fields = json.loads(line)
    except ValueError as err:
        raise ValueError(f"this is no JSON: {err}") from None
    if not isinstance(fields, dict):
        raise ValueError("this is no JSON object")  # noqa: TRY004 - told like the others
    unknown = sorted(fields.keys() - _NAMES - _PASSED_OVER)
    if unknown:
        raise ValueError(
            f"unknown {', '.join(map(repr, unknown))}; known: {', '.join(_NAMES_TOLD)}"
        )
    if "kind" not in fields:
        raise ValueError('there is no "kind"')
    id = fields.get("id")
    return Job(
        normalise_kind(fields["kind"]),
        _payload(fields),
        id=None if id is None else normalise_id(id),
        run_at=_read("run_at", fields, read_instant),
        delay=_delay(fields.get("delay")),
    )


_NAMES_TOLD = sorted(_NAMES)


def _payload(fields: dict[str, Any]) -> bytes:
    given = {name: value for name, value in fields.items() if value is not None}
    typed = "args" in given or "kwargs" in given
    if "payload" in given and (typed or "payload_base64" in given):
        raise ValueError('give one of "payload", "payload_base64", and "args" with "kwargs"')
    if typed:
        # Before "payload_base64", which a listing has besides: it is these that people edit.
        args, kwargs = given.get("args", []), given.get("kwargs", {})
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise ValueError('"args" must be a list, and "kwargs" an object')
        return pack_arguments(args, kwargs)
    name = "payload" if "payload" in given else "payload_base64"
    return _read(name, fields, str.encode if name == "payload" else _from_base64) or b""


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _read(name: str, fields: dict[str, Any], reader: Callable[[str], Any]) -> Any:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f'"{name}" must be text, not {json.dumps(value)}')  # noqa: TRY004
    try:
        return reader(value)
    except ValueError as err:
        raise ValueError(f'"{name}": {err}') from None


def _delay(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f'"delay" must be 0 or more, not {json.dumps(value)}')
        return value
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f'"delay" must be seconds or text like "10m", not {json.dumps(value)}')  # noqa: TRY004
    return read_duration(value)
