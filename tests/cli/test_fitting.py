"""How the columns of a table share a terminal: pure, for every width."""

from __future__ import annotations

import pytest

from redisjobs.cli.fitting import GAP, Column, fit

ID = "an-id-of-25-digits-000001"
COLUMNS = (
    Column("id", [ID, "b"], is_whole=True),
    Column("status", ["failed", "scheduled"], is_whole=False),
    Column("oldest ready (s)", ["123456.7", "-"], is_whole=True),
    Column("error", ["the server said a great many things", "-"], is_whole=False),
)
LEAST = ("oldest ready (s)", "error")
WIDTHS = range(1, 130)


def total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def test_with_room_enough_nothing_is_folded() -> None:
    assert fit(COLUMNS, LEAST, 120) == {
        "id": 25, "status": 9, "oldest ready (s)": 16, "error": 35,
    }  # fmt: skip


def test_text_gives_way_before_a_column_is_left_out() -> None:
    assert fit(COLUMNS, LEAST, 62) == {"id": 25, "status": 9, "oldest ready (s)": 10, "error": 12}
    assert fit(COLUMNS, LEAST, 59) == {"id": 25, "status": 9, "error": 21}
    assert fit(COLUMNS, LEAST, 49) == {"id": 25, "status": 9}


@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_shown_has_its_room(width: int) -> None:
    widths = fit(COLUMNS, LEAST, width)
    assert list(widths) == [one.heading for one in COLUMNS if one.heading in widths]
    assert {"id", "status"} <= set(widths)
    assert total(widths) <= width or widths == {"id": 2, "status": 9}
    for heading, given in widths.items():
        assert given >= max(map(len, heading.split()))  # no word of a heading is broken
    assert widths["id"] >= 25 or width < 25 + GAP + 9
    assert widths.get("oldest ready (s)", 8) >= 8


@pytest.mark.parametrize("width", WIDTHS)
def test_the_more_room_the_more_is_shown(width: int) -> None:
    narrower, wider = fit(COLUMNS, LEAST, width), fit(COLUMNS, LEAST, width + 1)
    assert set(narrower) <= set(wider)


def test_a_long_id_is_kept_whole_at_the_cost_of_the_least_important() -> None:
    columns = [Column("id", ["x" * 60, ID], is_whole=True), *COLUMNS[1:]]
    assert fit(columns, LEAST, 80) == {"id": 60, "status": 9}


def test_where_an_id_is_too_long_for_that_only_it_is_folded() -> None:
    columns = [Column("id", ["x" * 145, ID], is_whole=True), *COLUMNS[1:]]
    widths = fit(columns, LEAST, 80)
    assert set(widths) == {"id", "status", "oldest ready (s)", "error"}
    assert widths["id"] >= 25


def test_columns_without_rows() -> None:
    assert fit([Column("id", [], is_whole=True), Column("error", [], is_whole=False)], (), 80) == {
        "id": 2, "error": 5,
    }  # fmt: skip
