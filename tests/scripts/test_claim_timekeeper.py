"""claim.lua: of the workers that have nothing to do, one minds the next due time of each kind."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations import claim as claiming

if TYPE_CHECKING:
    from redisjobs.operations.claim import Claimed
    from tests.scripts.bench import Bench

TEN_MINUTES = timedelta(minutes=10)


def minutes_until_due(claimed: Claimed) -> float | None:
    """Rounded up, as tests take a little time themselves."""
    return None if claimed.next_due_us is None else -(-claimed.next_due_us // 60_000_000)


@pytest.fixture
def bench(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Where a keeper's word holds however slow the test is."""
    monkeypatch.setattr(claiming, "TIMEKEEPER_MS", 600_000)
    return bench.staffed()


def keeper(bench: Bench, kind: str = "email") -> str | None:
    word = bench.client.get(bench.keys.of_kind(kind)[2])
    return None if word is None else word.decode().split()[1]


class TestOneMinds:
    def test_the_first_to_ask_minds_the_time_for_all(self, bench: Bench) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        assert minutes_until_due(bench.claim("w")) == 10
        assert minutes_until_due(bench.claim("v")) is None
        assert keeper(bench) == "w"

    @pytest.mark.parametrize("limit", [1, 2, 1000])
    def test_room_for_one_job_is_enough(self, bench: Bench, limit: int) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        assert minutes_until_due(bench.claim("w", limit=limit)) == 10

    def test_it_minds_it_again_when_it_asks_again(self, bench: Bench) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        bench.claim("w")
        bench.clock.advance(timedelta(minutes=4))
        assert minutes_until_due(bench.claim("w")) == 6
        assert minutes_until_due(bench.claim("v")) is None

    def test_another_minds_it_when_the_word_has_expired(self, bench: Bench) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        bench.claim("w")
        bench.client.delete(bench.keys.of_kind("email")[2])
        assert minutes_until_due(bench.claim("v")) == 10
        assert keeper(bench) == "v"

    def test_an_earlier_due_time_takes_over(self, bench: Bench) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        bench.claim("w")
        bench.enqueue(delay=timedelta(minutes=5))
        assert minutes_until_due(bench.claim("v")) == 5
        assert keeper(bench) == "v"
        assert minutes_until_due(bench.claim("w")) is None

    def test_a_later_due_time_does_not(self, bench: Bench) -> None:
        bench.enqueue(delay=timedelta(minutes=5))
        bench.claim("w")
        bench.enqueue(delay=TEN_MINUTES)
        assert minutes_until_due(bench.claim("v")) is None
        assert keeper(bench) == "w"

    def test_each_kind_has_its_own(self, bench: Bench) -> None:
        bench.enqueue("a", delay=TEN_MINUTES)
        bench.enqueue("b", delay=timedelta(minutes=20))
        assert minutes_until_due(bench.claim("w", ["b"])) == 20
        assert minutes_until_due(bench.claim("v", ["b", "a"])) == 10
        assert (keeper(bench, "a"), keeper(bench, "b")) == ("v", "w")

    def test_the_nearest_of_several_kinds_is_told(self, bench: Bench) -> None:
        bench.enqueue("a", delay=timedelta(minutes=20))
        bench.enqueue("b", delay=TEN_MINUTES)
        bench.enqueue("c", delay=timedelta(minutes=30))
        assert minutes_until_due(bench.claim("w", ["a", "b", "c"])) == 10

    def test_what_is_due_next_is_told_also_by_a_claim_that_takes_jobs(self, bench: Bench) -> None:
        bench.enqueue(number=3)
        bench.enqueue(delay=TEN_MINUTES)
        claimed = bench.claim("w")
        assert len(claimed.claims) == 3
        assert minutes_until_due(claimed) == 10

    def test_the_word_is_gone_with_the_last_job(self, bench: Bench) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        bench.claim("w")
        bench.clock.advance(TEN_MINUTES)
        claimed = bench.claim("v")
        assert len(claimed.claims) == 1
        assert claimed.next_due_us is None
        assert keeper(bench) is None

    def test_a_due_time_decades_away_is_told_exactly(self, bench: Bench) -> None:
        bench.enqueue(delay=timedelta(days=36500))
        before = bench.clock.now_us
        next_due_us = bench.claim("w").next_due_us
        assert next_due_us is not None
        assert 0 <= 36500 * 86_400_000_000 - next_due_us <= bench.clock.now_us - before + 5_000_000
        assert minutes_until_due(bench.claim("v")) is None


class TestATimekeeperWithoutRoom:
    def test_it_gives_the_time_up_and_rings(self, bench: Bench) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        bench.claim("w")
        bench.silence()
        assert bench.claim("w", limit=0).next_due_us is None
        assert bench.tokens() == 1
        assert keeper(bench) is None
        assert minutes_until_due(bench.claim("v")) == 10

    def test_it_does_so_when_a_claim_fills_it(self, bench: Bench) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        bench.claim("w")
        bench.enqueue(number=2)
        bench.silence()
        claimed = bench.claim("w", limit=2)
        assert len(claimed.claims) == 2
        assert claimed.next_due_us is None
        assert keeper(bench) is None
        assert bench.tokens() == 1

    def test_a_full_worker_rings_for_a_time_that_nobody_minds(self, bench: Bench) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        bench.silence()
        assert bench.claim("w", limit=0).next_due_us is None
        assert bench.tokens() == 1
        assert keeper(bench) is None

    def test_a_full_worker_lets_another_mind_its_time_in_peace(self, bench: Bench) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        bench.claim("v")
        bench.silence()
        assert bench.claim("w", limit=0).next_due_us is None
        assert bench.tokens() == 0
        assert keeper(bench) == "v"

    @pytest.mark.parametrize("limit", [0, 5])
    def test_one_that_minds_no_time_leaves_it_to_others(self, bench: Bench, limit: int) -> None:
        bench.enqueue(delay=TEN_MINUTES)
        bench.silence()
        assert bench.claim("w", limit=limit, minds=False).next_due_us is None
        assert keeper(bench) is None
        assert bench.tokens() == 1
        assert minutes_until_due(bench.claim("v")) == 10


def test_a_keepers_word_expires_within_two_seconds(real_bench: Bench) -> None:
    bench = real_bench.staffed()
    bench.enqueue(delay=TEN_MINUTES)
    bench.claim("w")
    assert 0 < bench.client.pttl(bench.keys.of_kind("email")[2]) <= 2000
