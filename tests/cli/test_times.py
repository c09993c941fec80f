"""Durations and instants as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from redisjobs.cli.times import brief_iso, from_now, iso, read_duration, span

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), (" 1.5 ", 1.5), ("10 M", 600), ("1h30m", 5400), ("1d2h", 93600),
     ("2w", 1_209_600), ("250ms", 0.25), ("1.5h", 5400)],
)  # fmt: skip
def test_durations_are_read(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5", "5x", "5m3", "1e9", "inf", "nan", "5 minutes"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        read_duration(text)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (172_800, "2d")],
)
def test_spans_are_told_in_their_largest_unit(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_instants_are_told_from_now() -> None:
    assert from_now(NOW + timedelta(minutes=5), NOW) == "in 5m"
    assert from_now(NOW - timedelta(seconds=3), NOW) == "3s ago"
    assert from_now(NOW, NOW) == "0s ago"


def test_instants_are_told_exactly_and_briefly_in_utc() -> None:
    elsewhere = datetime.fromisoformat("2026-01-02T05:04:05.678901+02:00")
    assert iso(elsewhere) == "2026-01-02T03:04:05.678901Z"
    assert brief_iso(elsewhere) == "2026-01-02T03:04:05Z"
