"""settle.lua, long calls: of one kind and plainly done, taken from the head of the list in one."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations.settle import Settlement, settle
from redisjobs.record import encode_state_body
from redisjobs.states import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.scripts.bench import Bench


@pytest.fixture
def bench(bench: Bench) -> Bench:
    return bench.staffed()


class TestALongCall:
    @pytest.fixture
    def held(self, bench: Bench) -> list[str]:
        bench.register(retention_us=0)
        bench.enqueue(number=120)
        return bench.take()

    def settled(
        self, bench: Bench, deliveries: list[str], bodies: Mapping[str, bytes] | None = None
    ) -> list[str]:
        done = {"email": bodies or dict.fromkeys(deliveries, b"")}
        return [one.delivery for one in bench.run(settle(bench.keys, "w", (), done))]

    def test_where_it_is_kept_each_has_its_state(self, bench: Bench) -> None:
        bench.register(retention_us=10**9)
        ids = bench.enqueue(number=50)
        held = bench.take()
        bodies = {
            name: encode_state_body(place, 100 + place, None, None) if place != 7 else b""
            for place, name in enumerate(held)
        }
        assert self.settled(bench, [], {name: bodies[name] for name in held[1:]}) == []
        assert bench.held() == held[:1]
        assert bench.finished(Status.DONE) == ids[1:]
        for place, id in enumerate(ids[1:], 1):
            state = bench.state(id)
            assert state is not None
            assert (state.status, state.attempts_done) == (Status.DONE, 1)
            told = (state.updated_us, state.last_attempt_us)
            assert told == ((state.time_us, None) if place == 7 else (place, 100 + place))
        assert bench.state(ids[0]) is None

    @pytest.mark.parametrize("letter", "DFXCP")
    def test_outcomes_that_tell_more_are_taken_so_too(self, bench: Bench, letter: str) -> None:
        bench.enqueue(number=50)
        held = bench.take()
        outcomes = [
            Settlement(one, "email", letter.encode(), place, 1000 * place, b"body %d" % place)
            for place, one in enumerate(held[1:], 1)
        ]
        assert bench.run(settle(bench.keys, "w", outcomes)) == []
        assert bench.held() == held[:1]
        for place, one in enumerate(held[1:], 1):
            raw = bench.client.hget(bench.keys.state, one.partition(":")[2])
            assert raw is not None
            assert raw.startswith(f"{letter}{place}:".encode())
            assert raw.endswith(b":body %d" % place)

    @pytest.mark.parametrize("seed", range(40))
    def test_whatever_the_order_of_the_ends_those_go_and_the_others_stay(
        self, bench: Bench, held: list[str], seed: int
    ) -> None:
        choose = random.Random(seed)
        still_run = set(choose.sample(held, choose.choice([0, 1, 9, 16, 17, 40])))
        ended = [one for one in held if one not in still_run]
        for _ in range(choose.choice([0, 0, 1, 3, 30])):  # a thread that lost its turn ends later
            ended.insert(choose.randrange(len(ended)), ended.pop(choose.randrange(len(ended))))
        sent = ended[: choose.choice([32, 60, len(ended)])]
        assert self.settled(bench, sent) == []
        left = [one for one in held if one not in sent]
        assert bench.held() == left
        assert bench.totals() == {"done:email": len(sent)}
        ids = {id.decode() for id in bench.client.hkeys(bench.keys.jobs)}
        assert ids == {one.partition(":")[2] for one in left}

    def test_what_the_worker_does_not_hold_is_refused_and_all_others_are_settled(
        self, bench: Bench, held: list[str]
    ) -> None:
        strangers = ["7:nobody", "1" + held[3], held[5] + "x"]
        sent = [*held[:20], *strangers, *held[20:50]]
        assert self.settled(bench, sent) == strangers
        assert bench.held() == held[50:]
        assert bench.totals() == {"done:email": 50}

    def test_one_that_is_named_twice_counts_once(self, bench: Bench, held: list[str]) -> None:
        named = [Settlement(one, "email", b"D", 1, 0, b"") for one in [*held[:40], held[0]]]
        assert [one.delivery for one in bench.run(settle(bench.keys, "w", named))] == [held[0]]
        assert bench.held() == held[40:]
        assert bench.totals() == {"done:email": 40}

    def test_deliveries_of_many_claims_have_tokens_of_any_length(self, bench: Bench) -> None:
        bench.register(retention_us=0)
        bench.enqueue(number=60)
        held = [one for _ in range(6) for one in bench.take(limit=10)]
        bench.client.hset(bench.keys.meta, "token", 99_998)
        bench.enqueue(number=40)
        held += [one for _ in range(4) for one in bench.take(limit=10)]
        assert {len(one.partition(":")[0]) for one in held} == {1, 5, 6}
        assert self.settled(bench, held) == []
        assert bench.held() == []
        assert bench.client.hlen(bench.keys.jobs) == 0

    def test_an_id_with_colons_is_told_from_its_token(self, bench: Bench) -> None:
        bench.register(retention_us=0)
        ids = [f"{number}:{number}:x" for number in range(100, 140)]
        bench.enqueue(number=len(ids), ids=ids)
        assert self.settled(bench, bench.take()) == []
        assert bench.client.hlen(bench.keys.jobs) == 0

    def test_it_takes_nothing_from_the_middle_by_itself(
        self, bench: Bench, held: list[str]
    ) -> None:
        """Those at the head are too many to be passed: the slower way finds what is behind."""
        assert self.settled(bench, held[40:80]) == []
        assert bench.held() == held[:40] + held[80:]
