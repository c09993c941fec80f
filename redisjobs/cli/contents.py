"""Jobs and their bytes, for people and for scripts."""

from __future__ import annotations

import base64
import math
import pprint
from typing import Any, NamedTuple

from redisjobs.cli.listed import Listed
from redisjobs.cli.times import iso
from redisjobs.codec.converter import MAX_DEPTH, Misfit
from redisjobs.codec.packing import unpack, unpack_arguments


class _Value(NamedTuple):
    """What bytes mean as msgpack, which may be None."""

    value: Any


def payload_for_people(payload: bytes) -> str:
    """A task's arguments; of other payloads their text, else what they mean as msgpack, else their
    bytes in hexadecimal digits.
    """
    found = _arguments(payload)
    if found is None:
        text = _printable(payload)
        return _value_or_digits(payload) if text is None else text
    named = {name: value for name, value in zip(("args", "kwargs"), found, strict=True) if value}
    told = [f"{name}: {_pretty(value)}" for name, value in (named or {"args": []}).items()]
    return "\n".join(told)


def result_for_people(result: bytes) -> str:
    """What it means as msgpack, as tasks write it; else its text, else its bytes in hexadecimal
    digits. What can be read in both ways is told in both.
    """
    text = _printable(result)
    if text is None:
        return _value_or_digits(result)
    found = _value(result)
    return text if found is None else f"{_pretty(found.value)} (msgpack; as text: {text!r})"


def _value_or_digits(content: bytes) -> str:
    found = _value(content)
    return content.hex(" ", 4) if found is None else _pretty(found.value)


def _arguments(payload: bytes) -> tuple[list[Any], dict[str, Any]] | None:
    """The arguments, if it is the payload of a task's job."""
    if not payload:
        return None
    try:
        args, kwargs = unpack_arguments(payload)
    except Misfit:
        return None
    return (args, kwargs) if all(isinstance(name, str) for name in kwargs) else None


def _value(content: bytes) -> _Value | None:
    """What it means, if all of it is one msgpack value that a task could return."""
    try:
        return _Value(unpack(content))
    except Misfit:
        return None


def _printable(content: bytes) -> str | None:
    """The text, if a terminal can show it. Line ends and tabs stay."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return text if text.replace("\n", "").replace("\t", "").isprintable() else None


def _pretty(value: Any) -> str:
    try:
        return pprint.pformat(value, width=76, sort_dicts=False)
    except RecursionError:
        return "(it nests too deeply to be shown)"


def for_scripts(listed: Listed) -> dict[str, Any]:
    """The job as JSON can carry it.

    Bytes are text under their name if they are UTF-8, else under `payload_base64` or
    `result_base64`. What they mean to a task is there besides, as `args` and `kwargs`, or
    `result_value`, if JSON can carry it as it is.
    """
    job = listed.job
    return {
        "id": job.id,
        "kind": job.kind,
        "status": str(job.status),
        "standing": listed.standing,
        "worker": listed.worker,
        "run_at": job.run_at and iso(job.run_at),
        "created_at": iso(job.created_at),
        "updated_at": iso(job.updated_at),
        "attempts_done": job.attempts_done,
        "last_attempt_at": job.last_attempt_at and iso(job.last_attempt_at),
        "last_error": job.last_error,
        **_bytes_for_scripts("payload", job.payload),
        **_arguments_for_scripts(job.payload),
        **_bytes_for_scripts("result", job.result),
        **_value_for_scripts(job.result),
    }


def _bytes_for_scripts(name: str, content: bytes | None) -> dict[str, str | None]:
    if content is None:
        return {name: None}
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode()}


def _arguments_for_scripts(payload: bytes) -> dict[str, Any]:
    found = _arguments(payload)
    if found is None or not _is_json(list(found)):
        return {}
    return dict(zip(("args", "kwargs"), found, strict=True))


def _value_for_scripts(result: bytes | None) -> dict[str, Any]:
    found = None if result is None else _value(result)
    return {} if found is None or not _is_json(found.value) else {"result_value": found.value}


def _is_json(value: Any, depth: int = 0) -> bool:
    """Whether a value comes back from JSON as itself."""
    if isinstance(value, float):
        return math.isfinite(value)
    if value is None or isinstance(value, bool | int | str):
        return True
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, list):
        return all(_is_json(one, depth + 1) for one in value)
    return (
        isinstance(value, dict)
        and all(isinstance(name, str) for name in value)
        and all(_is_json(one, depth + 1) for one in value.values())
    )
