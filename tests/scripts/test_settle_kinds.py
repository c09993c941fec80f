"""settle.lua, calls of several kinds and statuses: taken from the head of the list in one, too."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations.settle import Settlement, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.scripts.bench import Bench

KINDS = ("a", "b", "c", "d")
BY_ONE_TRIM = {"lrange": 1, "ltrim": 1, "lrem": 0, "lpush": 0}
ENDED = {b"D": "done", b"F": "failed", b"X": "panic", b"P": "retried"}


@pytest.fixture
def bench(one_bench: Bench) -> Bench:
    bench = one_bench.staffed()
    bench.register(retention_us=0, failed_retention_us=0)
    return bench


def held_of(bench: Bench, *claims: Sequence[tuple[str, int]]) -> dict[str, str]:
    """Claims of so many of each kind; what is held, in its order, with its kind."""
    kinds: dict[str, str] = {}
    for number, claim in enumerate(claims):
        for kind, count in claim:
            names = bench.enqueue(kind, count, ids=[f"{number}{kind}{at}" for at in range(count)])
            taken = bench.take(kinds=(kind,), limit=count)
            assert len(taken) == len(names)
            kinds |= dict.fromkeys(taken, kind)
    assert list(kinds) == bench.held()
    return kinds


def settled(bench: Bench, outcomes: Sequence[Settlement]) -> list[str]:
    return [one.delivery for one in bench.run(settle(bench.keys, "w", outcomes))]


class TestSeveralKinds:
    @pytest.mark.parametrize("seed", range(60))
    def test_whatever_is_mixed_each_goes_its_way_and_the_others_stay(
        self, bench: Bench, seed: int
    ) -> None:
        choose = random.Random(seed)
        kinds = KINDS[: choose.choice([2, 3, 4])]
        runs = choose.choice([1, 3, 12])
        most = choose.choice([1, 4, 60 // len(kinds)])
        claims = [[(kind, choose.randint(1, most)) for kind in kinds] for _ in range(runs)]
        held = held_of(bench, *claims)
        still_run = set(choose.sample(list(held), choose.choice([0, 0, 1, min(9, len(held) - 1)])))
        ended = [one for one in held if one not in still_run]
        for _ in range(choose.choice([0, 0, 1, 5])):
            moved = ended.pop(choose.randrange(len(ended)))
            ended.insert(choose.randint(0, len(ended)), moved)
        letters = choose.choice([[b"D"], [b"D"] * 20 + [b"P"], [*ENDED]])
        outcomes = [
            Settlement(one, held[one], choose.choice(letters), 1, 10**9, b"")
            for one in ended[: choose.choice([8, 40, 1000])]
        ]
        strangers = [Settlement("7:none", "a", b"D", 1, 0, b"")] * choose.choice([0, 0, 0, 2])
        assert settled(bench, [*outcomes, *strangers]) == ["7:none"] * len(strangers)
        sent = {one.delivery for one in outcomes}
        assert bench.held() == [one for one in held if one not in sent]
        assert bench.totals() == Counter(f"{ENDED[one.letter]}:{one.kind}" for one in outcomes)
        for kind in kinds:
            again = {one.delivery for one in outcomes if (one.kind, one.letter) == (kind, b"P")}
            assert set(bench.waiting(kind)) == {one.partition(":")[2] for one in again}
        gone = {one.delivery for one in outcomes if one.letter != b"P"}
        assert bench.stored_ids() == {one.partition(":")[2] for one in held if one not in gone}

    def test_one_that_is_named_as_two_outcomes_has_the_first(self, bench: Bench) -> None:
        held = held_of(bench, [("a", 10), ("b", 10)])
        first = next(iter(held))
        outcomes = [Settlement(one, kind, b"D", 1, 0, b"") for one, kind in held.items()]
        assert settled(bench, [*outcomes, Settlement(first, "a", b"F", 1, 0, b"")]) == [first]
        assert bench.held() == []
        assert bench.totals() == {"done:a": 10, "done:b": 10}


class TestHowTheyAreTakenOut:
    """A mix in about the order of the list is the common case: no look at each one by itself."""

    @pytest.fixture
    def bench(self, real_bench: Bench) -> Bench:
        bench = real_bench.staffed()
        bench.register(retention_us=0)
        return bench

    def calls(self, bench: Bench, outcomes: Sequence[Settlement]) -> dict[str, int]:
        """How often the settle of these called what takes from a list and puts into it."""

        def counted() -> dict[str, int]:
            stats = bench.client.info("commandstats")
            names = ("lrange", "ltrim", "lrem", "lpush")
            return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names}

        before = counted()
        assert settled(bench, outcomes) == []
        return {name: calls - before[name] for name, calls in counted().items()}

    def test_kinds_that_follow_one_another_go_by_one_trim(self, bench: Bench) -> None:
        held = held_of(bench, [("a", 20), ("b", 30), ("c", 10)], [("a", 20), ("d", 5), ("b", 1)])
        outcomes = [Settlement(one, kind, b"D", 1, 0, b"") for one, kind in held.items()]
        assert self.calls(bench, outcomes) == BY_ONE_TRIM

    def test_those_that_run_again_among_many_that_are_done_go_with_them(self, bench: Bench) -> None:
        held = held_of(bench, [("a", 60)])
        outcomes = [
            Settlement(one, kind, b"P" if place % 7 == 3 else b"D", 1, 10**9, b"")
            for place, (one, kind) in enumerate(held.items())
        ]
        assert self.calls(bench, outcomes) == BY_ONE_TRIM

    def test_those_that_still_run_stay_in_their_order(self, bench: Bench) -> None:
        held = held_of(bench, [("a", 20), ("b", 20)])
        still_run = [list(held)[place] for place in (3, 20, 21)]
        outcomes = [
            Settlement(one, kind, b"D", 1, 0, b"")
            for one, kind in held.items()
            if one not in still_run
        ]
        assert self.calls(bench, outcomes) == {**BY_ONE_TRIM, "lpush": 3}
        assert bench.held() == still_run

    def test_kinds_that_take_turns_too_often_are_looked_up(self, bench: Bench) -> None:
        """Whose turn it is is not searched for among many kinds again and again."""
        turns = [(f"kind-{place}", 1) for place in range(10)]
        held = held_of(bench, turns, turns[::-1], turns, turns[::-1], turns)
        outcomes = [Settlement(one, kind, b"D", 1, 0, b"") for one, kind in held.items()]
        assert self.calls(bench, outcomes)["lrange"] == 2
        assert bench.held() == []
