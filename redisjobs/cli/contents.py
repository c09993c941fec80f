"""Jobs and their bytes, for people and for scripts."""

from __future__ import annotations

import base64
import pprint
from typing import Any

import msgpack

from redisjobs.cli.times import iso
from redisjobs.job import Job


def for_people(content: bytes) -> str:
    """Text as it is; else what it means as msgpack; else its bytes in hexadecimal digits."""
    text = _printable(content)
    if text is not None:
        return text
    try:
        value = msgpack.unpackb(content, strict_map_key=False, timestamp=3)
    except Exception:  # noqa: BLE001 - msgpack raises all sorts of errors for what is none
        return content.hex(" ", 4)
    try:
        return pprint.pformat(value, width=76, sort_dicts=False)
    except RecursionError:
        return content.hex(" ", 4)


def _printable(content: bytes) -> str | None:
    """The text, if a terminal can show it. Line ends and tabs stay."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return text if text.replace("\n", "").replace("\t", "").isprintable() else None


def for_scripts(job: Job, standing: str) -> dict[str, Any]:
    """The job as JSON can carry it. Bytes are text under their name if they are UTF-8, else under
    `payload_base64` or `result_base64`.
    """
    return {
        "id": job.id,
        "kind": job.kind,
        "status": str(job.status),
        "standing": standing,
        "run_at": job.run_at and iso(job.run_at),
        "created_at": iso(job.created_at),
        "updated_at": iso(job.updated_at),
        "attempts_done": job.attempts_done,
        "last_attempt_at": job.last_attempt_at and iso(job.last_attempt_at),
        "last_error": job.last_error,
        **_bytes_for_scripts("payload", job.payload),
        **_bytes_for_scripts("result", job.result),
    }


def _bytes_for_scripts(name: str, content: bytes | None) -> dict[str, str | None]:
    if content is None:
        return {name: None}
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode()}
