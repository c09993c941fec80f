"""What several scripts refuse or ask for, as errors and names."""

from __future__ import annotations

from collections.abc import Iterable

from redisjobs.errors import IncompatibleQueueError, InvalidJobError
from redisjobs.keys import SCHEMA_VERSION, Keys
from redisjobs.limits import normalise_kind


def newer_schema(keys: Keys, version: bytes) -> IncompatibleQueueError:
    """The queue's data has a schema that this release does not know."""
    return IncompatibleQueueError(
        f"queue {keys.name!r} holds data of schema {version.decode()}; this release of redisjobs"
        f" knows up to {SCHEMA_VERSION}: upgrade it"
    )


def names(raw: Iterable[bytes]) -> list[str]:
    """Ids, kinds or worker ids as text; what is no UTF-8 is shown escaped."""
    return [name.decode(errors="backslashreplace") for name in raw]


def readable_kind(raw: bytes) -> str | None:
    """The kind that a script read in a record. None: no job can have it, the record is damaged."""
    try:
        kind = raw.decode()
        return kind if normalise_kind(kind) == kind else None
    except (UnicodeDecodeError, InvalidJobError):
        return None
