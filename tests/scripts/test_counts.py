"""counts.lua: how many jobs of each kind wait and are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


class Counts(NamedTuple):
    scheduled: int
    ready: int
    done: int
    failed: int
    panic: int
    cancelled: int
    age_us: int


def counts(bench: Bench, *kinds: str) -> list[Counts]:
    sets = [key for kind in kinds for key in (bench.keys.due(kind), *bench.keys.all_finished(kind))]
    return [Counts(*reply) for reply in bench.call("counts", [bench.keys.meta, *sets])]


def test_waiting_jobs_are_ready_or_scheduled(bench: Bench) -> None:
    bench.enqueue(number=3)
    bench.enqueue(number=2, delay=timedelta(hours=1))
    [email] = counts(bench, "email")
    assert (email.ready, email.scheduled) == (3, 2)
    bench.clock.advance(timedelta(hours=1))
    [email] = counts(bench, "email")
    assert (email.ready, email.scheduled) == (5, 0)


def test_ten_thousand_jobs_of_one_call_soon_are_all_ready(real_bench: Bench) -> None:
    real_bench.enqueue(number=10_000)
    real_bench.clock.advance(timedelta(milliseconds=3))  # a quarter of a microsecond for each
    [email] = counts(real_bench, "email")
    assert (email.ready, email.scheduled) == (10_000, 0)


def test_the_age_is_that_of_the_first_job_that_came_due(bench: Bench) -> None:
    bench.enqueue(delay=timedelta(minutes=1))
    assert counts(bench, "email")[0].age_us == -1
    bench.clock.advance(timedelta(minutes=3))
    bench.enqueue()
    age_us = counts(bench, "email")[0].age_us
    assert 120_000_000 <= age_us < 125_000_000


def test_a_kind_without_jobs_has_nothing(bench: Bench) -> None:
    assert counts(bench, "email") == [Counts(0, 0, 0, 0, 0, 0, -1)]
    assert counts(bench) == []


def test_each_kind_has_its_own_counts(bench: Bench) -> None:
    bench.enqueue("email", 1)
    bench.enqueue("sms", 2)
    assert [one.ready for one in counts(bench, "sms", "none", "email")] == [2, 0, 1]


def test_ended_jobs_count_by_their_status(bench: Bench) -> None:
    for number, letter in enumerate((b"D", b"F", b"X", b"C"), 1):
        bench.end(*bench.enqueue(number=number), letter=letter)
    assert counts(bench, "email") == [Counts(0, 0, 1, 2, 3, 4, -1)]


@pytest.mark.parametrize(
    ("letter", "kept_for"), [(b"D", timedelta(hours=1)), (b"F", timedelta(days=7))]
)
def test_records_past_their_time_do_not_count(
    bench: Bench, letter: bytes, kept_for: timedelta
) -> None:
    bench.end(*bench.enqueue(number=2), letter=letter)
    bench.clock.advance(kept_for - timedelta(minutes=1))
    bench.end(*bench.enqueue(number=1), letter=letter)
    ended = counts(bench, "email")[0]
    assert ended.done + ended.failed == 3
    bench.clock.advance(timedelta(minutes=1))
    ended = counts(bench, "email")[0]
    assert ended.done + ended.failed == 1


def test_how_long_records_count_is_the_queues_to_say(bench: Bench) -> None:
    bench.end(*bench.enqueue(number=3), letter=b"D")
    bench.end(*bench.enqueue(number=3), letter=b"C")
    bench.register(retention_us=60_000_000, failed_limit=2)
    ended = counts(bench, "email")[0]
    assert (ended.done, ended.cancelled) == (3, 2)
    bench.clock.advance(timedelta(minutes=1))
    ended = counts(bench, "email")[0]
    assert (ended.done, ended.cancelled) == (0, 2)
    bench.register("v", failed_limit=0)
    assert counts(bench, "email")[0].cancelled == 0
