from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redisjobs.errors import InvalidJobError
from redisjobs.limits import (
    MAX_NAME_BYTES,
    MAX_RETRY_AFTER,
    MAX_RUN_AT_US,
    normalise_id,
    normalise_kind,
)


class Kinds(StrEnum):
    MAIL = "Mail"


BAD_NAMES = [
    pytest.param(None, "must be a str, not NoneType", id="none"),
    pytest.param(b"a", "must be a str, not bytes", id="bytes"),
    pytest.param([], "must be a str, not list", id="unhashable"),
    pytest.param("", "must not be blank", id="empty"),
    pytest.param(" \t\n", "must not be blank", id="white space"),
    pytest.param("a\0b", "must have no NUL", id="NUL"),
    pytest.param("a\ud800", "lone surrogate", id="surrogate"),
    pytest.param("a" * 201, "at most 200 bytes", id="201 bytes"),
    pytest.param("ü" * 101, "has 202", id="202 bytes in 101 characters"),
]


@pytest.mark.parametrize("normalise", [normalise_id, normalise_kind])
@pytest.mark.parametrize(("name", "message"), BAD_NAMES)
def test_a_name_that_no_job_can_have_is_refused(
    normalise: Callable[[object], str], name: object, message: str
) -> None:
    for _ in range(2):  # a refusal is not remembered as a success
        with pytest.raises(InvalidJobError, match=message):
            normalise(name)


@pytest.mark.parametrize("name", ["a" * 200, "ü" * 100, " " + "a" * 200 + " "])
def test_a_name_of_200_bytes_is_taken(name: str) -> None:
    assert normalise_id(name) == normalise_kind(name) == name.strip()


def test_a_kind_is_trimmed_and_lowered_and_an_id_only_trimmed() -> None:
    assert normalise_kind("  Send Mail\n") == "send mail"
    assert normalise_id("  Order 7\n") == "Order 7"


def test_a_kind_that_grows_over_the_limit_when_lowered_is_refused() -> None:
    grown = "İ" * 100  # 200 bytes, and 300 in lower case
    with pytest.raises(InvalidJobError, match="at most 200 bytes"):
        normalise_kind(grown)


def test_members_of_a_str_enum_become_plain_str() -> None:
    assert type(normalise_kind(Kinds.MAIL)) is str
    assert normalise_kind(Kinds.MAIL) == "mail"
    assert type(normalise_id(Kinds.MAIL)) is str


@given(st.text(max_size=MAX_NAME_BYTES + 5))
def test_what_is_stored_is_normal_already(name: str) -> None:
    for normalise in (normalise_id, normalise_kind):
        try:
            stored = normalise(name)
        except InvalidJobError:
            continue
        assert normalise(stored) == stored
        assert 0 < len(stored.encode()) <= MAX_NAME_BYTES


def test_the_last_run_at_is_the_year_2200_and_exact_in_a_double() -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert epoch + timedelta(microseconds=MAX_RUN_AT_US) == datetime(2200, 1, 1, tzinfo=UTC)
    assert float(MAX_RUN_AT_US) - float(MAX_RUN_AT_US - 1) == 1.0
    assert datetime(2090, 1, 1, tzinfo=UTC) + MAX_RETRY_AFTER < datetime(2200, 1, 1, tzinfo=UTC)
