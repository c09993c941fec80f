"""How a worker works."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypedDict

from redisjobs.errors import ConfigurationError

SHORTEST_POLL_S = 0.1
SHORTEST_LEASE_S = 0.1


class WorkerKeywords(TypedDict, total=False):
    """The settings of a worker, as `Worker` takes them."""

    concurrency: int
    prefetch: int | Literal["auto"]
    lease: float
    shutdown_timeout: float
    max_losses: int
    min_retry_backoff: float
    poll_interval: float


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The settings of a worker, checked.

    Attributes:
        concurrency: how many handlers run at once, sync and async together.
        prefetch: how many jobs it may hold beyond those; "auto" takes what it will start within
            about 20 ms.
        lease_s: how long it may stay silent before its jobs may be taken.
        shutdown_timeout_s: how long running handlers may go on after a stop.
        max_losses: how often a job may lose its worker before it ends as PANIC.
        min_retry_backoff: the shortest delay before another attempt.
        poll_interval_s: how often it asks for jobs when nothing wakes it.
    """

    concurrency: int
    prefetch: int | Literal["auto"]
    lease_s: float
    shutdown_timeout_s: float
    max_losses: int
    min_retry_backoff: timedelta
    poll_interval_s: float

    @classmethod
    def of(
        cls,
        concurrency: int,
        prefetch: int | Literal["auto"],
        lease: float,
        shutdown_timeout: float,
        max_losses: int,
        min_retry_backoff: float,
        poll_interval: float,
    ) -> WorkerSettings:
        """Checks what a worker was made with: 0 slots mean 1, a poll interval under 100 ms means
        100 ms.

        Raises:
            ConfigurationError: a value cannot be used; it names the setting.
        """
        if prefetch != "auto":
            _whole("prefetch", prefetch)
        return cls(
            max(1, _whole("concurrency", concurrency)),
            prefetch,
            _seconds("lease", lease, at_least=SHORTEST_LEASE_S),
            _seconds("shutdown_timeout", shutdown_timeout),
            _whole("max_losses", max_losses),
            timedelta(seconds=_seconds("min_retry_backoff", min_retry_backoff)),
            max(SHORTEST_POLL_S, _seconds("poll_interval", poll_interval)),
        )

    def with_these(self, given: Mapping[str, Any]) -> WorkerSettings:
        """The same, but for what is given, by the names of `WorkerKeywords`.

        Raises:
            ConfigurationError: a value cannot be used; it names the setting.
        """
        kept: dict[str, Any] = {
            "concurrency": self.concurrency,
            "prefetch": self.prefetch,
            "lease": self.lease_s,
            "shutdown_timeout": self.shutdown_timeout_s,
            "max_losses": self.max_losses,
            "min_retry_backoff": self.min_retry_backoff.total_seconds(),
            "poll_interval": self.poll_interval_s,
        }
        return WorkerSettings.of(**{**kept, **given})

    @property
    def lease_us(self) -> int:
        """The lease as scripts take it."""
        return round(self.lease_s * 1e6)

    @property
    def beat_interval_s(self) -> float:
        """How often it prolongs its lease."""
        return self.lease_s / 3

    @property
    def most_guarded(self) -> int:
        """How many jobs it runs at once that are one loss short of their last chance."""
        return math.ceil(math.sqrt(self.concurrency))


def _whole(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{name} must be a whole number, 0 or more, not {value!r}")
    return value


def _seconds(name: str, value: object, *, at_least: float = 0.0) -> float:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not at_least <= value < 1e9:
        raise ConfigurationError(f"{name} must be seconds, {at_least:g} or more, not {value!r}")
    return float(value)
