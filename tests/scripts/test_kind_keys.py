"""kind_keys.lua: which keys of kinds there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


def kind_keys(bench: Bench, *kinds: str) -> Any:
    keys = bench.keys
    of_kinds = [
        key for kind in kinds for key in (*keys.of_kind(kind)[:2], *keys.all_finished(kind))
    ]
    return bench.call("kind_keys", [keys.kinds, keys.totals, *of_kinds], *kinds)


NOTHING = [0, 0, 0, 0, 0, 0, 0, None, None, None, None, None]


def test_a_kind_that_was_never_seen_has_nothing(bench: Bench) -> None:
    assert kind_keys(bench, "email") == [NOTHING]


def test_a_kind_with_waiting_jobs_is_listed_and_has_a_due_set_and_a_bell(bench: Bench) -> None:
    bench.enqueue()
    assert kind_keys(bench, "email") == [[1, 1, 1, *NOTHING[3:]]]
    bench.silence()
    assert kind_keys(bench, "email") == [[1, 1, 0, *NOTHING[3:]]]


def test_what_is_kept_and_what_ever_ended_are_counted_by_status(bench: Bench) -> None:
    for number, letter in enumerate((b"D", b"F", b"X", b"C"), 1):
        bench.end(*bench.enqueue(number=number), letter=letter)
    gone = bench.enqueue()
    bench.register(retention_limit=0)
    bench.end(*gone)
    assert kind_keys(bench, "email") == [[1, 0, 0, 1, 2, 3, 4, b"2", b"2", b"3", b"4", None]]
    bench.enqueue()
    bench.settle(*bench.take(), letter=b"P")
    assert kind_keys(bench, "email") == [[1, 1, 1, 1, 2, 3, 4, b"2", b"2", b"3", b"4", b"1"]]


def test_kinds_are_told_apart(bench: Bench) -> None:
    bench.enqueue("sms")
    assert kind_keys(bench, "email", "sms", "fax") == [
        NOTHING, [1, 1, 1, *NOTHING[3:]], NOTHING,
    ]  # fmt: skip
