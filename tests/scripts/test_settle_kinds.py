"""settle.lua, calls of several kinds and statuses: taken from the head of the list in one, too."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations.settle import Settlement, settle
from redisjobs.states import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.scripts.bench import Bench

FINISHED = {b"D": Status.DONE, b"F": Status.FAILED, b"X": Status.PANIC}
KINDS = ("a", "b", "c", "d")
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


def lettered(choose: random.Random, number: int) -> list[bytes]:
    """How so many ended: all done, few not, in runs, or anyhow."""
    letters = [*ENDED]
    how = choose.choice(["done", "few", "runs", "any"])
    if how == "done":
        return [b"D"] * number
    if how == "few":
        return [choose.choice(letters) if choose.random() < 0.1 else b"D" for _ in range(number)]
    if how == "runs":
        return [letters[place // 7 % len(letters)] for place in range(number)]
    return choose.choices(letters, k=number)


class TestSeveralKinds:
    @pytest.mark.parametrize("seed", range(120))
    def test_whatever_is_mixed_each_goes_its_way_and_the_others_stay(
        self, bench: Bench, seed: int
    ) -> None:
        choose = random.Random(seed)
        is_kept = choose.random() < 0.5
        kept_us = 10**12 if is_kept else 0
        bench.register(retention_us=kept_us, failed_retention_us=kept_us)
        kinds = KINDS[: choose.choice([2, 3, 4])]
        runs = choose.choice([1, 1, 3, 6])
        claims = [[(kind, choose.randint(4, 12)) for kind in kinds] for _ in range(runs)]
        held = held_of(bench, *claims)
        still_run = set(choose.sample(list(held)[:20], choose.choice([0, 1, 2, 4])))
        ended = [one for one in held if one not in still_run]
        for _ in range(choose.choice([0, 0, 1, 3])):
            moved = ended.pop(choose.randrange(len(ended)))
            ended.insert(choose.randint(0, len(ended)), moved)
        ended = ended[: choose.choice([8, 40, 1000])]
        outcomes = [
            Settlement(
                one, held[one], letter, 1 + place % 5, 10**9 * (1 + 7 * place % 100), b"%d" % place
            )
            for place, (one, letter) in enumerate(
                zip(ended, lettered(choose, len(ended)), strict=True)
            )
        ]
        strangers = [Settlement("7:none", "a", b"D", 1, 0, b"")] * choose.choice([0, 0, 0, 2])
        assert settled(bench, [*outcomes, *strangers]) == ["7:none"] * len(strangers)
        assert bench.held() == [one for one in held if one not in set(ended)]
        assert bench.totals() == Counter(f"{ENDED[one.letter]}:{one.kind}" for one in outcomes)
        self.they_are_recorded(bench, outcomes, is_kept=is_kept)
        stays = {one.delivery for one in outcomes if one.letter == b"P" or is_kept}
        gone = {one.partition(":")[2] for one in set(ended) - stays}
        assert bench.stored_ids() == {one.partition(":")[2] for one in held} - gone

    def they_are_recorded(
        self, bench: Bench, outcomes: Sequence[Settlement], *, is_kept: bool
    ) -> None:
        """Each with its own attempts, delay and body, where it belongs."""
        for one in outcomes:
            raw = bench.client.hget(bench.keys.state, one.delivery.partition(":")[2])
            if one.letter != b"P" and not is_kept:
                assert raw is None
                continue
            assert raw is not None
            assert raw.startswith(one.letter + b"%d:" % one.attempts_done)
            assert raw.endswith(b":" + one.body)
        for kind in {one.kind for one in outcomes}:
            again = [one for one in outcomes if (one.kind, one.letter) == (kind, b"P")]
            by_delay = sorted(again, key=lambda one: (one.delay_us, one.delivery.partition(":")[2]))
            assert bench.waiting(kind) == [one.delivery.partition(":")[2] for one in by_delay]
            for letter, status in FINISHED.items():
                there = {
                    one.delivery.partition(":")[2]
                    for one in outcomes
                    if (one.kind, one.letter) == (kind, letter)
                }
                assert set(bench.finished(status, kind)) == (there if is_kept else set())

    def test_one_that_is_named_as_two_outcomes_has_the_first(self, bench: Bench) -> None:
        held = held_of(bench, [("a", 10), ("b", 10)])
        first = next(iter(held))
        outcomes = [Settlement(one, kind, b"D", 1, 0, b"") for one, kind in held.items()]
        assert settled(bench, [*outcomes, Settlement(first, "a", b"F", 1, 0, b"")]) == [first]
        assert bench.held() == []
        assert bench.totals() == {"done:a": 10, "done:b": 10}


class TestHowTheyAreTakenOut:
    """A mix in about the order of the list is the common case: no look at each one by itself. What
    still runs tells how: it was put back at the head, not searched around.
    """

    @pytest.fixture
    def bench(self, real_bench: Bench) -> Bench:
        bench = real_bench.staffed()
        bench.register(retention_us=0)
        return bench

    def put_back(
        self, bench: Bench, held: Mapping[str, str], *still_run: int, letter: bytes = b"D"
    ) -> int:
        """How many the settle of all others put back; each seventh of those ends so."""

        def puts() -> int:
            calls: int = bench.client.info("commandstats").get("cmdstat_lpush", {"calls": 0})[
                "calls"
            ]
            return calls

        before, stay = puts(), [list(held)[place] for place in still_run]
        outcomes = [
            Settlement(one, kind, letter if place % 7 == 3 else b"D", 1, 10**9, b"")
            for place, (one, kind) in enumerate(held.items())
            if one not in stay
        ]
        assert settled(bench, outcomes) == []
        assert bench.held() == stay
        return puts() - before

    def test_kinds_that_follow_one_another(self, bench: Bench) -> None:
        held = held_of(bench, [("a", 20), ("b", 30), ("c", 10)], [("a", 20), ("d", 5), ("b", 1)])
        assert self.put_back(bench, held, 0, 21, 80) == 3

    def test_those_that_run_again_among_many_that_are_done(self, bench: Bench) -> None:
        held = held_of(bench, [("a", 60)])
        assert self.put_back(bench, held, 5, 6, letter=b"P") == 2

    def test_eight_are_enough_and_seven_are_not(self, bench: Bench) -> None:
        assert self.put_back(bench, held_of(bench, [("a", 5), ("b", 4)]), 1) == 1
        bench.client.flushdb()
        bench.staffed()
        assert self.put_back(bench, held_of(bench, [("a", 5), ("b", 3)]), 1) == 0

    def test_a_fourth_of_them_may_be_put_back(self, bench: Bench) -> None:
        assert self.put_back(bench, held_of(bench, [("a", 9), ("b", 6)]), 0, 1, 2) == 3
        bench.client.flushdb()
        bench.staffed()
        assert self.put_back(bench, held_of(bench, [("a", 9), ("b", 6)]), 0, 1, 2, 3) == 0

    def test_many_kinds_with_some_that_still_run(self, bench: Bench) -> None:
        held = held_of(bench, [(f"kind-{place}", 3) for place in range(40)])
        assert self.put_back(bench, held, *range(1, 41, 4)) == 10

    def test_kinds_that_take_turns_too_often_are_looked_up(self, bench: Bench) -> None:
        """Whose turn it is is not searched for among many kinds again and again."""
        turns = [(f"kind-{place}", 1) for place in range(10)]
        held = held_of(bench, turns, turns[::-1], turns, turns[::-1], turns)
        assert self.put_back(bench, held, 3) == 0
