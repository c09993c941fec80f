"""peek.lua: whether a claim could find anything."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations import claim as claiming
from redisjobs.operations.peek import peek

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

SOON, LATER = timedelta(minutes=5), timedelta(minutes=10)


@pytest.fixture
def bench(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Where a keeper's word holds however slow the test is."""
    monkeypatch.setattr(claiming, "TIMEKEEPER_MS", 600_000)
    return bench.staffed()


def finds(bench: Bench) -> bool:
    return bench.run(peek(bench.keys, ("report", "email")))


def test_an_empty_queue_has_nothing(bench: Bench) -> None:
    assert not finds(bench)


def test_a_job_that_is_due_is_found(bench: Bench) -> None:
    bench.enqueue()
    assert finds(bench)


def test_one_of_a_kind_that_was_not_asked_for_is_not(bench: Bench) -> None:
    bench.enqueue("thumbnail")
    assert not finds(bench)


def test_a_time_to_come_is_found_until_a_worker_minds_it(bench: Bench) -> None:
    bench.enqueue(delay=LATER)
    assert finds(bench)
    bench.claim()
    assert not finds(bench)


def test_a_word_that_expired_is_none(bench: Bench) -> None:
    bench.enqueue(delay=LATER)
    bench.claim()
    bench.client.delete(bench.keys.of_kind("email")[2])
    assert finds(bench)


def test_a_time_before_the_one_that_is_minded_is_found(bench: Bench) -> None:
    bench.enqueue(delay=LATER)
    bench.claim()
    bench.enqueue(delay=SOON)
    assert finds(bench)


def test_a_time_that_is_minded_is_found_when_it_has_come(bench: Bench) -> None:
    """Its keeper may have died."""
    bench.enqueue(delay=SOON)
    bench.claim()
    bench.clock.advance(SOON)
    assert finds(bench)


def test_looking_changes_nothing(bench: Bench) -> None:
    bench.enqueue(delay=LATER)
    before = bench.snapshot()
    finds(bench)
    assert bench.snapshot() == before
