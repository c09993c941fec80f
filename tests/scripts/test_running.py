"""running.lua: which kinds of jobs a worker holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


def running(bench: Bench, first: int = 0, most: int = 500) -> tuple[int, int, dict[str, int]]:
    """How many were read, how many come after them, and the counts by kind."""
    keys = [bench.keys.jobs, bench.keys.processing("w")]
    reply: Any = bench.call("running", keys, first, most)
    read, left, *counts = reply
    return (
        read,
        left,
        {kind.decode(): count for kind, count in zip(counts[::2], counts[1::2], strict=True)},
    )


def test_deliveries_are_counted_by_kind(bench: Bench) -> None:
    bench.enqueue("email", 3)
    bench.enqueue("sms", 2)
    bench.register()
    bench.take(kinds=["email", "sms"])
    assert running(bench) == (5, 0, {"email": 3, "sms": 2})


def test_a_worker_that_holds_nothing_has_no_counts(bench: Bench) -> None:
    assert running(bench) == (0, 0, {})


def test_a_part_of_the_list_is_counted_and_what_comes_after_it_is_told(bench: Bench) -> None:
    bench.enqueue(number=10)
    bench.register()
    bench.take()
    assert running(bench, 0, 4) == (4, 6, {"email": 4})
    assert running(bench, 4, 4) == (4, 2, {"email": 4})
    assert running(bench, 8, 4) == (2, 0, {"email": 2})
    assert running(bench, 12, 4) == (0, 0, {})


def test_what_has_no_record_and_what_is_no_delivery_do_not_count(bench: Bench) -> None:
    bench.enqueue(number=1)
    bench.register()
    bench.take()
    bench.client.rpush(bench.keys.processing("w"), "7:gone", "junk")
    assert running(bench) == (3, 0, {"email": 1})


def test_large_records_are_read_in_parts(real_bench: Bench) -> None:
    bench = real_bench
    bench.enqueue(number=12, payload=bytes(2**20))
    bench.register()
    while len(bench.held()) < 12:
        bench.take()
    read, left, counts = running(bench)
    assert 1 <= read <= 6
    assert (left, counts) == (12 - read, {"email": read})
