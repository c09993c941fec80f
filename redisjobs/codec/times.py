"""Dates, times and durations as text: ISO 8601, and for a zone by name its name in brackets."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

from redisjobs.codec.converter import Misfit, not_a

_DATE_LENGTH = len("2024-01-31")
_DURATION = re.compile(
    r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d{1,6}))?S)?)?", re.ASCII
)
_DAY_S, _HOUR_S, _MINUTE_S = 86_400, 3600, 60


def datetime_to_text(value: object) -> str:
    """Like `2024-01-31T12:00:00`, `…+01:00`, `…+01:00[Europe/Berlin]`."""
    if type(value) is not datetime:
        raise not_a("datetime.datetime", value)
    zone = value.tzinfo
    if zone is None or type(zone) is timezone:
        return value.isoformat()
    from zoneinfo import ZoneInfo  # only those who use zones pay for the import

    if type(zone) is not ZoneInfo or zone.key is None:
        raise Misfit(
            f"its tzinfo, a {type(zone).__name__}, cannot travel: use zoneinfo.ZoneInfo, or"
            " .astimezone(datetime.UTC)"
        )
    there_and_back = value.astimezone(UTC).astimezone(zone)
    if there_and_back.replace(tzinfo=None) != value.replace(tzinfo=None):
        raise Misfit("its time does not exist: the clocks of its zone skip it")
    return f"{value.isoformat()}[{zone.key}]"


def datetime_from_text(text: object) -> datetime:
    """Reads what `datetime_to_text` writes, and what `datetime.fromisoformat` does, but no date."""
    if type(text) is datetime:
        return text  # a timestamp of msgpack's own
    if type(text) is not str:
        raise not_a("a datetime as str", text)
    if len(text) <= _DATE_LENGTH:
        raise Misfit("it must be a datetime in ISO 8601, not a date or something shorter")
    if not text.endswith("]"):
        return datetime.fromisoformat(text)
    from zoneinfo import ZoneInfo

    instant, _, key = text[:-1].partition("[")
    return datetime.fromisoformat(instant).astimezone(ZoneInfo(key))


def date_to_text(value: object) -> str:
    """Like `2024-01-31`."""
    if type(value) is not date:
        raise not_a("datetime.date", value)
    return value.isoformat()


def date_from_text(text: object) -> date:
    """Reads a date, and no datetime."""
    if type(text) is not str:
        raise not_a("a date as str", text)
    return date.fromisoformat(text)


def time_to_text(value: object) -> str:
    """Like `12:00:00` or `12:00:00+01:00`."""
    if type(value) is not time:
        raise not_a("datetime.time", value)
    if value.tzinfo is not None and type(value.tzinfo) is not timezone:
        raise Misfit("the tzinfo of a time can only be a datetime.timezone: send a datetime")
    return value.isoformat()


def time_from_text(text: object) -> time:
    """Reads a time, with an offset or without."""
    if type(text) is not str:
        raise not_a("a time as str", text)
    return time.fromisoformat(text)


def timedelta_to_text(value: object) -> str:
    """Like `P1DT2.5S` or `-PT0.000001S`; exact to the microsecond."""
    if type(value) is not timedelta:
        raise not_a("datetime.timedelta", value)
    span = abs(value) if value > timedelta.min else None
    if span is None:  # its absolute value is no timedelta
        return f"-P{-value.days}D"
    days = f"{span.days}D" if span.days else ""
    fraction = f".{span.microseconds:06}".rstrip("0") if span.microseconds else ""
    return f"{'-' if value.days < 0 else ''}P{days}T{span.seconds}{fraction}S"


def timedelta_from_text(text: object) -> timedelta:
    """Reads a duration in days, hours, minutes and seconds."""
    if type(text) is not str:
        raise not_a("a duration as str", text)
    match = _DURATION.fullmatch(text)
    if match is None or text[-1] in "PT":
        raise Misfit("it must be a duration in ISO 8601, like PT1.5S")
    sign, days, hours, minutes, seconds, fraction = match.groups()
    whole = (
        int(days or 0) * _DAY_S
        + int(hours or 0) * _HOUR_S
        + int(minutes or 0) * _MINUTE_S
        + int(seconds or 0)
    )
    microseconds = int((fraction or "0").ljust(6, "0"))
    one = -1 if sign else 1
    return timedelta(
        days=one * (whole // _DAY_S),
        seconds=one * (whole % _DAY_S),
        microseconds=one * microseconds,
    )
