"""settle.lua: many outcomes, in any order, take exactly their deliveries out of the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from redisjobs.record import encode_state_body
from redisjobs.states import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.scripts.bench import Bench

MIB = 2**20
HELD = 100
PLACES: dict[str, Sequence[int]] = {
    "the head": range(10),
    "the head out of order": (3, 1, 0, 2),
    "all": range(HELD),
    "all backwards": range(HELD)[::-1],
    "one in the middle": (50,),
    "the last": (HELD - 1,),
    "a few anywhere": (90, 13, 55),
    "the head and one behind it": (0, 1, 2, 60),
    "the tail": range(80, HELD),
    "every second": range(0, HELD, 2),
    "all but the first": range(1, HELD),
}


@pytest.fixture
def bench(bench: Bench) -> Bench:
    return bench.staffed()


@pytest.fixture
def one_bench(one_bench: Bench) -> Bench:
    return one_bench.staffed()


class TestOutOfOrder:
    @pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
    def test_exactly_what_is_settled_leaves_the_list(
        self, bench: Bench, places: Sequence[int]
    ) -> None:
        bench.enqueue(number=HELD)
        deliveries = bench.take()
        settled = [deliveries[place] for place in places]
        assert bench.settle(*settled) == []
        left = [delivery for delivery in deliveries if delivery not in settled]
        assert bench.held() == left
        assert len(bench.finished(Status.DONE)) == len(settled)

    def test_what_is_refused_among_them_does_no_harm(self, bench: Bench) -> None:
        bench.enqueue(number=20)
        deliveries = bench.take()
        strangers = [f"7:stranger-{number}" for number in range(30)]
        mixed = [one for pair in zip(strangers, deliveries[::-2], strict=False) for one in pair]
        assert bench.settle(*mixed) == strangers[:10]
        assert bench.held() == deliveries[::2]

    def test_a_long_list_is_rewritten_in_its_order(self, one_bench: Bench) -> None:
        bench = one_bench
        bench.enqueue(number=3000)
        deliveries = [delivery for _ in range(3) for delivery in bench.take()]
        assert bench.settle(*deliveries[2000:2900]) == []
        assert bench.held() == deliveries[:2000] + deliveries[2900:]


class TestHowTheyAreTakenOut:
    """Outcomes in the order of the list are the common case, and must not cost a search each."""

    def trims_searches_and_rewrites(self, bench: Bench, *settled: str) -> list[int]:
        """How often the settle of these called LTRIM, LREM and RPUSH."""

        def calls() -> list[int]:
            stats = bench.client.info("commandstats")
            names = ("cmdstat_ltrim", "cmdstat_lrem", "cmdstat_rpush")
            return [stats.get(name, {"calls": 0})["calls"] for name in names]

        before = calls()
        assert bench.settle(*settled) == []
        return [after - earlier for after, earlier in zip(calls(), before, strict=True)]

    def test_those_that_head_the_list_go_by_one_trim(self, real_bench: Bench) -> None:
        bench = real_bench.staffed()
        bench.enqueue(number=HELD)
        deliveries = bench.take()
        assert self.trims_searches_and_rewrites(bench, *deliveries[:30][::-1]) == [1, 0, 0]

    def test_a_few_behind_others_are_searched_for(self, real_bench: Bench) -> None:
        bench = real_bench.staffed()
        bench.enqueue(number=HELD)
        deliveries = bench.take()
        settled = (deliveries[0], deliveries[50], deliveries[90])
        assert self.trims_searches_and_rewrites(bench, *settled) == [1, 2, 0]

    def test_many_behind_others_are_left_out_when_the_list_is_rewritten(
        self, real_bench: Bench
    ) -> None:
        bench = real_bench.staffed()
        bench.enqueue(number=HELD)
        deliveries = bench.take()
        assert self.trims_searches_and_rewrites(bench, *deliveries[::-3]) == [1, 0, 1]


class TestManyOutcomes:
    def test_more_than_a_thousand_go_in_several_calls(self, one_bench: Bench) -> None:
        bench = one_bench
        bench.enqueue(number=2100)
        deliveries = [delivery for _ in range(3) for delivery in bench.take()]
        strangers = ["1:first", *deliveries[:1500], "1:middle", *deliveries[1500:], "1:last"]
        assert bench.settle(*strangers) == ["1:first", "1:middle", "1:last"]
        assert [call.arguments[1] for call in bench.calls] == [1000, 1000, 103]
        assert bench.held() == []
        assert bench.totals() == {"done:email": 2100}

    def test_large_results_go_in_calls_of_four_mib(self, one_bench: Bench) -> None:
        bench = one_bench
        bench.enqueue(number=10)
        deliveries = bench.take()
        body = encode_state_body(0, 0, None, bytes(MIB))
        assert bench.settle(*deliveries, body=body) == []
        assert [call.arguments[1] for call in bench.calls] == [3, 3, 3, 1]
        assert len(bench.finished(Status.DONE)) == 10

    def test_a_result_beyond_four_mib_goes_alone(self, one_bench: Bench) -> None:
        bench = one_bench
        bench.enqueue(number=2)
        deliveries = bench.take()
        body = encode_state_body(0, 0, None, bytes(5 * MIB))
        assert bench.settle(*deliveries, body=body) == []
        assert [call.arguments[1] for call in bench.calls] == [1, 1]
