"""What several scripts refuse, as errors."""

from __future__ import annotations

from collections.abc import Iterable

from redisjobs.errors import IncompatibleQueueError
from redisjobs.keys import SCHEMA_VERSION, Keys


def newer_schema(keys: Keys, version: bytes) -> IncompatibleQueueError:
    """The queue's data has a schema that this release does not know."""
    return IncompatibleQueueError(
        f"queue {keys.name!r} holds data of schema {version.decode()}; this release of redisjobs"
        f" knows up to {SCHEMA_VERSION}: upgrade it"
    )


def names(raw: Iterable[bytes]) -> list[str]:
    """Ids, kinds or worker ids as text; what is no UTF-8 is shown escaped."""
    return [name.decode(errors="backslashreplace") for name in raw]
