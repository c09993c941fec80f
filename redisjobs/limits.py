"""Bounds and defaults, and the one form in which ids and kinds are stored."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

from redisjobs.errors import InvalidJobError

MAX_NAME_BYTES = 200  # of ids, kinds and queue names
MAX_JOBS_PER_CALL = 10_000
MAX_RUN_AT_US = 7_258_118_400_000_000  # 2200-01-01 UTC; later microseconds outgrow a double
MAX_RETRY_AFTER = timedelta(days=36_500)  # keeps a retry far from the year 2200
MAX_ERROR_CHARS = 8192

DEFAULT_MAX_PAYLOAD = 2**20
DEFAULT_MAX_RESULT = 2**20
DEFAULT_RETENTION_S = 3600.0
DEFAULT_RETENTION_LIMIT = 10_000
DEFAULT_FAILED_RETENTION_S = 7 * 86400.0
DEFAULT_FAILED_LIMIT = 100_000
DEFAULT_MIN_BACKOFF = timedelta(seconds=5)


def normalise_kind(kind: object) -> str:
    """The kind as it is stored: trimmed, in lower case.

    Raises:
        InvalidJobError: not a str, blank, with a NUL, not encodable, or over 200 bytes of UTF-8.
    """
    if not isinstance(kind, str):
        raise InvalidJobError(f"a job's kind must be a str, not {type(kind).__name__}")
    return _kind_of(kind)


def normalise_id(id: object) -> str:
    """The id as it is stored: trimmed.

    Raises:
        InvalidJobError: not a str, blank, with a NUL, not encodable, or over 200 bytes of UTF-8.
    """
    if not isinstance(id, str):
        raise InvalidJobError(f"a job's id must be a str, not {type(id).__name__}")
    return _checked("id", id.strip())


@lru_cache(maxsize=4096)
def _kind_of(kind: str) -> str:
    return _checked("kind", kind.strip().lower())


def _checked(what: str, name: str) -> str:
    if not name:
        raise InvalidJobError(f"a job's {what} must not be blank")
    if "\0" in name:
        raise InvalidJobError(f"a job's {what} must have no NUL: {name[:40]!r}")
    try:
        size = len(name) if name.isascii() else len(name.encode())
    except UnicodeEncodeError as err:
        raise InvalidJobError(
            f"a job's {what} must be encodable as UTF-8, but {name[:40]!r} has a lone surrogate"
        ) from err
    if size > MAX_NAME_BYTES:
        raise InvalidJobError(
            f"a job's {what} must have at most {MAX_NAME_BYTES} bytes of UTF-8,"
            f" but {name[:40]!r}… has {size:,}"
        )
    return name
