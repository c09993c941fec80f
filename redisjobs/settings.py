"""The settings of a queue, and which of them were given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from redisjobs.errors import ConfigurationError
from redisjobs.limits import (
    DEFAULT_FAILED_LIMIT,
    DEFAULT_FAILED_RETENTION_S,
    DEFAULT_MAX_PAYLOAD,
    DEFAULT_MAX_RESULT,
    DEFAULT_RETENTION_LIMIT,
    DEFAULT_RETENTION_S,
)


class DefaultSeconds(float):
    """A default, told from the same number given by a caller: only what was given is written to the
    queue.
    """


class DefaultCount(int):
    """As DefaultSeconds, for counts."""


RETENTION = DefaultSeconds(DEFAULT_RETENTION_S)
RETENTION_LIMIT = DefaultCount(DEFAULT_RETENTION_LIMIT)
FAILED_RETENTION = DefaultSeconds(DEFAULT_FAILED_RETENTION_S)
FAILED_LIMIT = DefaultCount(DEFAULT_FAILED_LIMIT)
MAX_PAYLOAD = DEFAULT_MAX_PAYLOAD
MAX_RESULT = DEFAULT_MAX_RESULT
MIN_REPLICAS = 0
MIN_REPLICAS_TIMEOUT_S = 1.0

# The server answers by then, well before the connection's own wait for a reply ends.
_LONGEST_REPLICATION_S = 5.0

# A thousand years: what is longer than that would not fit a script's microseconds.
_LONGEST_S = 1000 * 366 * 86400.0


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """`to_store`: what was given explicitly and workers write to `meta`, by its name there;
    durations in microseconds. `min_replicas`: how many replicas must have what is enqueued, and how
    long that may take.
    """

    to_store: dict[str, int]
    max_payload: int
    max_result: int
    min_replicas: int
    min_replicas_timeout_ms: int

    @classmethod
    def of(
        cls,
        retention: float | timedelta,
        retention_limit: int,
        failed_retention: float | timedelta,
        failed_limit: int,
        max_payload: int,
        max_result: int,
        min_replicas: int,
        min_replicas_timeout: float | timedelta,
    ) -> QueueSettings:
        """Checks what a queue was made with.

        Raises:
            ConfigurationError: a value cannot be used; it names the setting.
        """
        given = {
            "retention_us": _microseconds("retention", retention),
            "retention_limit": _count("retention_limit", retention_limit),
            "failed_retention_us": _microseconds("failed_retention", failed_retention),
            "failed_limit": _count("failed_limit", failed_limit),
        }
        values = (retention, retention_limit, failed_retention, failed_limit)
        to_store = {
            name: number
            for (name, number), value in zip(given.items(), values, strict=True)
            if not isinstance(value, DefaultSeconds | DefaultCount)
        }
        return cls(
            to_store,
            _count("max_payload", max_payload),
            _count("max_result", max_result),
            _count("min_replicas", min_replicas),
            _replication_ms(min_replicas_timeout),
        )


def _replication_ms(value: object) -> int:
    microseconds = _microseconds("min_replicas_timeout", value)
    if not 1000 <= microseconds <= _LONGEST_REPLICATION_S * 1e6:  # to WAIT, 0 is for ever
        raise ConfigurationError(
            f"min_replicas_timeout must be from 0.001 to {_LONGEST_REPLICATION_S:g} seconds,"
            f" not {value!r}"
        )
    return microseconds // 1000


def _microseconds(name: str, value: object) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 <= seconds <= _LONGEST_S
    ):
        raise ConfigurationError(f"{name} must be seconds or a timedelta, 0 or more, not {value!r}")
    return round(seconds * 1e6)


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{name} must be a whole number, 0 or more, not {value!r}")
    return int(value)
