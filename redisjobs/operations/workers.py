"""workers: what is stored of workers, and what they say of themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from redisjobs.keys import Keys
from redisjobs.operations.operation import Call, Operation, reply_of

MOST_WORKERS = 100

T = TypeVar("T")


class WorkerInfo(NamedTuple):
    """An entry of `worker-info`. None, or no kinds: it does not say, or not as it should."""

    host: str | None
    pid: int | None
    kinds: tuple[str, ...]
    concurrency: int | None
    started: str | None
    version: str | None
    lease_ms: int | None


NO_INFO = WorkerInfo(None, None, (), None, None, None, None)


def read_info(raw: bytes | None) -> WorkerInfo:
    """Reads an entry of any release; junk in it is passed over."""
    try:
        fields: Any = json.loads(raw or b"{}")
    except (ValueError, RecursionError):
        return NO_INFO
    if not isinstance(fields, dict):
        return NO_INFO
    kinds = fields.get("kinds")
    return WorkerInfo(
        _of_type(str, fields.get("host")),
        _of_type(int, fields.get("pid")),
        tuple(kind for kind in kinds if isinstance(kind, str)) if isinstance(kinds, list) else (),
        _of_type(int, fields.get("concurrency")),
        _of_type(str, fields.get("started")),
        _of_type(str, fields.get("version")),
        _of_type(int, fields.get("lease_ms")),
    )


def _of_type(wanted: type[T], value: object) -> T | None:
    return value if type(value) is wanted else None


class SeenWorker(NamedTuple):
    """One worker as it stands. `lease_left_us`: negative if the lease lapsed, None if the worker is
    not registered.
    """

    name: bytes
    lease_left_us: float | None
    is_being_reaped: bool
    info: bytes | None
    held: int


def look_at_workers(keys: Keys, names: Sequence[bytes]) -> Operation[list[SeenWorker]]:
    """What is stored of these workers, registered or not, in their order. One round trip."""
    if not names:
        return []
    parts = [names[first : first + MOST_WORKERS] for first in range(0, len(names), MOST_WORKERS)]
    stem = keys.processing("")
    replies = yield tuple(
        Call("workers", [keys.workers, keys.worker_info, *(stem + name for name in part)], part)
        for part in parts
    )
    return [
        SeenWorker(name, None if left is None else float(left), bool(reaped), info, held)
        for place, part in enumerate(parts)
        for name, (left, reaped, info, held) in zip(part, reply_of(replies, place), strict=True)
    ]
