"""Walks ask for chunks of a bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redisjobs.operations.scanning import MOST_BYTES, Walk, all_names

if TYPE_CHECKING:
    from redisjobs.operations.operation import Operation


def answer(operation: Operation[Any], *replies: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    """What an operation of one call a round trip comes to with these replies, and what it asked."""
    asked = []
    try:
        [call] = next(operation)
        for reply in replies:
            asked.append(tuple(call.arguments))
            [call] = operation.send([reply])
    except StopIteration as end:
        return end.value, asked
    raise AssertionError("it asks for more")


def step(walk: Walk, cursor: bytes, *entries: bytes) -> tuple[Any, ...]:
    """The words of the next step, which this is the reply to."""
    found, [words] = answer(walk.step(), [cursor, list(entries)])
    assert found == list(entries)
    return words


def test_it_goes_on_at_the_cursor_of_the_last_chunk_until_that_is_0() -> None:
    walk = Walk("HSCAN", b"key")
    assert step(walk, b"17")[:3] == ("HSCAN", b"key", b"0")
    assert not walk.ended
    assert step(walk, b"0")[:3] == ("HSCAN", b"key", b"17")
    assert walk.ended


def test_names_are_matched_where_that_is_asked_for() -> None:
    assert step(Walk("SCAN", match=b"x*"), b"0") == ("SCAN", b"0", "MATCH", b"x*", "COUNT", 4)


def test_chunks_grow_up_to_the_most_entries() -> None:
    walk = Walk("HSCAN", b"key", most=200)
    counts = [step(walk, b"1", b"small", b"entry")[-1] for _ in range(4)]
    assert counts == [4, 32, 200, 200]


def test_chunks_of_large_entries_stay_small() -> None:
    walk = Walk("HSCAN", b"key")
    assert step(walk, b"1", *[bytes(MOST_BYTES // 10)] * 4)[-1] == 4
    assert step(walk, b"1", *[bytes(MOST_BYTES * 2)] * 10)[-1] == 10
    assert step(walk, b"1", b"small", b"again")[-1] == 1
    assert step(walk, b"1")[-1] == 8


def test_all_names_are_each_there_once() -> None:
    pairs = all_names(Walk("ZSCAN", b"key"), 2)
    replies = [b"5", [b"a", b"1", b"b", b"2"]], [b"0", [b"a", b"1"]]
    assert answer(pairs, *replies)[0] == [b"a", b"b"]
    single = all_names(Walk("SSCAN", b"key"), 1)
    assert answer(single, [b"0", [b"a", b"b"]])[0] == [b"a", b"b"]
