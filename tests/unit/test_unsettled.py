"""Outcomes that Redis does not know yet, as they are sent and taken back."""

from __future__ import annotations

import pytest

from redisjobs.operations.settle import Settlement, plainly_done
from redisjobs.worker.unsettled import NOTHING, Settling, Unsettled


def _failed(name: str, kind: str = "email", due_at: float | None = None) -> Settlement:
    return Settlement(name, kind, b"F", 1, 0, b"why", due_at)


@pytest.fixture
def unsettled() -> Unsettled:
    """Two that failed, three mails and two reports that are done."""
    made = Unsettled()
    for name in ("1:a", "1:b"):
        made.add(_failed(name))
    for kind, names in {"email": ("2:c", "2:d", "2:e"), "report": ("3:f", "3:g")}.items():
        for name in names:
            made.add_done(kind, name, name.encode())
    return made


def test_all_are_told_those_that_are_plainly_done_too(unsettled: Unsettled) -> None:
    assert (len(unsettled), bool(unsettled)) == (7, True)
    assert unsettled.names == ["1:a", "1:b", "2:c", "2:d", "2:e", "3:f", "3:g"]
    assert [one.delivery for one in unsettled.all] == unsettled.names
    assert unsettled.all[2] == plainly_done("2:c", "email", b"2:c")
    assert all(name in unsettled for name in unsettled.names)
    assert "4:h" not in unsettled


@pytest.mark.parametrize(
    ("most", "failed", "done"),
    [
        (0, 0, {}),
        (1, 1, {}),
        (3, 2, {"email": ["2:c"]}),
        (6, 2, {"email": ["2:c", "2:d", "2:e"], "report": ["3:f"]}),
        (99, 2, {"email": ["2:c", "2:d", "2:e"], "report": ["3:f", "3:g"]}),
    ],
)
def test_of_both_sorts_no_more_are_sent_than_fit(
    unsettled: Unsettled, most: int, failed: int, done: dict[str, list[str]]
) -> None:
    sent = unsettled.first(most)
    assert (len(sent.settlements), {kind: list(one) for kind, one in sent.done.items()}) == (
        failed, done,
    )  # fmt: skip
    assert all(body == name.encode() for one in sent.done.values() for name, body in one.items())
    assert bool(sent) == (most > 0)
    unsettled.remove(sent)
    assert len(unsettled) == 7 - min(most, 7)


def test_those_that_were_refused_stay(unsettled: Unsettled) -> None:
    refused = [_failed("1:b"), plainly_done("2:d", "email", b"2:d")]
    refused += [plainly_done(name, "report", b"") for name in ("3:f", "3:g")]
    accepted = unsettled.first(99).without(refused)
    assert accepted == Settling([_failed("1:a")], {"email": {"2:c": b"2:c", "2:e": b"2:e"}})
    unsettled.remove(accepted)
    assert unsettled.names == ["1:b", "2:d", "3:f", "3:g"]


def test_nothing_is_left_of_what_all_was_refused(unsettled: Unsettled) -> None:
    assert not unsettled.first(99).without(unsettled.all)


def test_what_came_meanwhile_stays(unsettled: Unsettled) -> None:
    sent = unsettled.first(99)
    unsettled.add_done("report", "4:h", b"")
    unsettled.add(_failed("4:i"))
    unsettled.remove(sent)
    assert unsettled.names == ["4:i", "4:h"]


def test_one_that_is_not_to_be_settled_any_more_is_gone(unsettled: Unsettled) -> None:
    for name in ("1:a", "2:d", "3:f", "3:g", "9:unknown"):
        unsettled.discard(name)
    assert unsettled.names == ["1:b", "2:c", "2:e"]


def test_a_delay_is_shorter_by_the_time_that_has_passed() -> None:
    settling = Settling([_failed("1:a", due_at=12.0)], {"email": {"2:c": b""}})
    assert settling.at(10.0).settlements[0].delay_us == 2_000_000
    assert settling.at(10.0).done == settling.done
    assert NOTHING.at(10.0) is NOTHING
