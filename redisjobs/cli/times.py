"""Durations and instants, as people write and read them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import click

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LONGEST_S = 1e9
_NUMBER = r"\d+(?:\.\d+)?"
_PART = re.compile(rf"({_NUMBER})(ms|[smhdw])")
_WHOLE = re.compile(rf"(?:{_NUMBER}(?:ms|[smhdw]))+")


def read_duration(text: str) -> float:
    """Seconds of "90", "1.5", "500ms", "10m" or "1h30m".

    Raises:
        ValueError: it is none of these.
    """
    plain = text.strip().lower().replace(" ", "")
    if re.fullmatch(_NUMBER, plain):
        return float(plain)
    if not _WHOLE.fullmatch(plain):
        raise ValueError(f"{text!r} is no duration: write seconds, or 500ms, 10m, 1h30m, 2d, 1w")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(plain))


def read_instant(text: str) -> datetime:
    """The instant of an ISO 8601 text that names its zone.

    Raises:
        ValueError: it is none, or names no zone.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no time: write it like 2030-01-31T08:00:00Z") from None
    if instant.utcoffset() is None:
        raise ValueError(f"{text!r} names no time zone: add Z, or an offset like +02:00")
    return instant


def duration_of_at_least(
    least_s: float = 0.0,
) -> Callable[[click.Context, click.Parameter, str | None], float | None]:
    """The callback of an option that takes a duration: its seconds.

    Raises:
        click.BadParameter: it is none, or shorter than this.
    """

    def callback(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
        if value is None:
            return None
        try:
            seconds = read_duration(value)
        except ValueError as err:
            raise click.BadParameter(str(err)) from None
        if not least_s <= seconds < _LONGEST_S:
            raise click.BadParameter(f"{value!r} is not from {least_s:g} s to {_LONGEST_S:g} s")
        return seconds

    return callback


def as_instant(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """The callback of an option that takes an instant in ISO 8601.

    Raises:
        click.BadParameter: it is none, or names no zone.
    """
    try:
        return None if value is None else read_instant(value)
    except ValueError as err:
        raise click.BadParameter(str(err)) from None


def iso(instant: datetime) -> str:
    """As in 2030-01-31T08:00:00.250000Z, exact."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def brief_iso(instant: datetime) -> str:
    """As in 2030-01-31T08:00:00Z, to the second."""
    return iso(instant.replace(microsecond=0))


def span(seconds: float) -> str:
    """A length of time in its largest unit: 3s, 5m, 2h, 4d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def from_now(instant: datetime, now: datetime) -> str:
    """As in "in 5m" or "3s ago"."""
    ahead = (instant - now) / timedelta(seconds=1)
    return f"in {span(ahead)}" if ahead > 0 else f"{span(-ahead)} ago"
