"""claim.lua: jobs whose worker died while it ran them are handed out with care."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations import membership
from redisjobs.operations.claim import Claimed, ClaimRequest, claim
from redisjobs.operations.operation import join
from redisjobs.operations.settle import Settlement, settle

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

MAX_LOSSES = 3
HALF_A_MINUTE = timedelta(seconds=30)


def ids_of(claimed: Claimed) -> list[str]:
    return [one.id for one in claimed.claims]


@pytest.fixture
def bench(bench: Bench) -> Bench:
    return bench.staffed()


def suspect(bench: Bench, losses: int, kind: str = "email") -> str:
    (id,) = bench.enqueue(kind)
    bench.set_losses(losses, id)
    return id


def mark_of(bench: Bench, id: str) -> bytes | None:
    mark: bytes | None = bench.client.hget(bench.keys.last_chance, id)
    return mark


class TestWithOneLoss:
    def test_it_is_handed_to_a_free_slot(self, bench: Bench) -> None:
        id = suspect(bench, 1)
        claimed = bench.claim(limit=5, free=1, ahead=[4])
        assert [(one.id, one.losses) for one in claimed.claims] == [(id, 1)]
        assert not claimed.stopped

    def test_it_is_never_prefetched(self, bench: Bench) -> None:
        id = suspect(bench, 1)
        claimed = bench.claim(limit=5, free=0, ahead=[5])
        assert claimed.claims == []
        assert claimed.stopped
        assert bench.waiting() == [id]

    def test_it_stops_its_kind_where_there_is_no_free_slot(self, bench: Bench) -> None:
        before = bench.enqueue(number=3)
        id = suspect(bench, 1)
        behind = bench.enqueue(number=3)
        claimed = bench.claim(limit=10, free=2, ahead=[8])
        assert ids_of(claimed) == before
        assert claimed.stopped
        assert claimed.left_over
        assert bench.waiting() == [id, *behind]

    def test_it_stops_its_kind_before_a_long_line(self, bench: Bench) -> None:
        id = suspect(bench, 1)
        behind = bench.enqueue(number=1000)
        claimed = bench.claim(limit=10, free=0, ahead=[8])
        assert claimed.claims == []
        assert claimed.stopped
        assert bench.waiting() == [id, *behind]

    def test_it_does_not_stop_other_kinds(self, bench: Bench) -> None:
        suspect(bench, 1, "a")
        others = bench.enqueue("b", 3)
        claimed = bench.claim(kinds=["a", "b"], limit=10, free=0, ahead=[5, 5])
        assert ids_of(claimed) == others
        assert claimed.stopped

    def test_jobs_without_a_loss_are_prefetched_behind_it(self, bench: Bench) -> None:
        id = suspect(bench, 1)
        behind = bench.enqueue(number=5)
        claimed = bench.claim(limit=10, free=1, ahead=[3])
        assert ids_of(claimed) == [id, *behind[:3]]
        assert not claimed.stopped


class TestOneLossBeforeItsLastChance:
    def test_no_more_run_than_there_is_guarded_room_for(self, bench: Bench) -> None:
        ids = [suspect(bench, MAX_LOSSES - 1) for _ in range(5)]
        claimed = bench.claim(guarded_room=2)
        assert ids_of(claimed) == ids[:2]
        assert claimed.passed == 3
        assert not claimed.stopped
        assert bench.waiting() == ids[2:]

    def test_those_that_must_wait_are_passed(self, bench: Bench) -> None:
        ids = [suspect(bench, MAX_LOSSES - 1) for _ in range(5)]
        behind = bench.enqueue(number=5)
        claimed = bench.claim(limit=4, guarded_room=0)
        assert ids_of(claimed) == behind[:4]
        assert claimed.passed == 5
        assert bench.waiting() == [*ids, *behind[4:]]

    def test_without_room_below_zero_they_are_passed(self, bench: Bench) -> None:
        suspect(bench, MAX_LOSSES - 1)
        assert bench.claim(guarded_room=-2).passed == 1

    def test_they_need_a_free_slot_too(self, bench: Bench) -> None:
        suspect(bench, MAX_LOSSES - 1)
        claimed = bench.claim(limit=5, free=0, ahead=[5])
        assert claimed.claims == []
        assert claimed.stopped

    def test_all_may_be_passed_that_are_looked_at_together(self, bench: Bench) -> None:
        bench.set_losses(MAX_LOSSES - 1, *bench.enqueue(number=64))
        claimed = bench.claim(limit=10, guarded_room=0)
        assert (claimed.claims, claimed.passed, claimed.left_over) == ([], 64, [])

    def test_about_a_thousand_are_passed_in_one_claim(self, bench: Bench) -> None:
        bench.set_losses(MAX_LOSSES - 1, *bench.enqueue(number=990))
        behind = bench.enqueue()
        assert ids_of(bench.claim(limit=10, guarded_room=0)) == behind

    def test_many_more_are_not(self, bench: Bench) -> None:
        bench.set_losses(MAX_LOSSES - 1, *bench.enqueue(number=2500))
        bench.enqueue()
        claimed = bench.claim(limit=10, guarded_room=0)
        assert claimed.claims == []
        assert 1000 <= claimed.passed < 1100

    def test_a_flood_of_them_does_not_starve_other_kinds(self, bench: Bench) -> None:
        bench.set_losses(MAX_LOSSES - 1, *bench.enqueue("flood", 1500))
        others = bench.enqueue("b", 3)
        claimed = bench.claim(kinds=["flood", "b"], limit=10, guarded_room=0)
        assert ids_of(claimed) == others


class TestTheLastChance:
    def test_it_runs_alone_in_a_worker_that_is_empty(self, bench: Bench) -> None:
        id = suspect(bench, MAX_LOSSES)
        behind = bench.enqueue(number=3)
        claimed = bench.claim()
        assert ids_of(claimed) == [id]
        assert claimed.alone
        assert claimed.emptying is None
        assert bench.waiting() == behind
        assert mark_of(bench, id) is None

    def test_who_runs_it_minds_no_due_time(self, bench: Bench) -> None:
        """It claims nothing meanwhile, so it could not keep its word."""
        suspect(bench, MAX_LOSSES)
        bench.enqueue("report", delay=HALF_A_MINUTE)
        bench.silence("report")
        claimed = bench.claim(kinds=["email", "report"], limit=10)
        assert claimed.alone
        assert claimed.next_due_us is None
        assert bench.client.get(bench.keys.of_kind("report")[2]) is None
        assert bench.tokens("report") == 1

    def test_alone_means_without_jobs_of_other_kinds_too(self, bench: Bench) -> None:
        id = suspect(bench, MAX_LOSSES, "a")
        others = bench.enqueue("b", 3)
        assert ids_of(bench.claim(kinds=["a", "b"])) == [id]
        assert bench.waiting("b") == others

    def test_a_worker_that_empties_itself_takes_no_jobs_of_other_kinds(self, bench: Bench) -> None:
        bench.enqueue("a")
        bench.take(kinds=["a"])
        id = suspect(bench, MAX_LOSSES, "a")
        others = bench.enqueue("b", 3)
        for emptying in (None, ("a", id)):
            claimed = bench.claim(kinds=["a", "b"], emptying=emptying)
            assert (claimed.claims, claimed.emptying) == ([], ("a", id))
        assert bench.waiting("b") == others

    @pytest.mark.parametrize(("losses", "limit"), [(MAX_LOSSES, 1), (MAX_LOSSES + 5, 1000)])
    def test_a_worker_that_is_not_empty_marks_it_and_takes_nothing(
        self, bench: Bench, losses: int, limit: int
    ) -> None:
        bench.enqueue()
        bench.take()
        id = suspect(bench, losses)
        bench.enqueue(number=3)
        claimed = bench.claim(limit=limit)
        assert claimed.claims == []
        assert claimed.emptying == ("email", id)
        assert not claimed.alone
        assert (mark_of(bench, id) or b"").endswith(b" w")
        assert 50 < bench.client.ttl(bench.keys.last_chance) <= 60

    def test_jobs_before_it_in_the_line_are_taken_first(self, bench: Bench) -> None:
        before = bench.enqueue(number=2)
        id = suspect(bench, MAX_LOSSES)
        bench.enqueue(number=2)
        claimed = bench.claim()
        assert ids_of(claimed) == before
        assert claimed.emptying == ("email", id)

    def test_the_worker_takes_nothing_until_it_is_empty(self, bench: Bench) -> None:
        bench.enqueue(number=2)
        first, second = bench.take()
        id = suspect(bench, MAX_LOSSES)
        behind = bench.enqueue(number=3)
        emptying = bench.claim().emptying
        bench.settle(first)
        claimed = bench.claim(emptying=emptying)
        assert (claimed.claims, claimed.emptying) == ([], emptying)
        bench.settle(second)
        claimed = bench.claim(emptying=emptying)
        assert ids_of(claimed) == [id]
        assert claimed.alone
        assert claimed.emptying is None
        assert bench.waiting() == behind
        assert mark_of(bench, id) is None

    def test_it_goes_before_those_that_stand_before_it(self, bench: Bench) -> None:
        bench.enqueue()
        (running,) = bench.take()
        id = suspect(bench, MAX_LOSSES)
        emptying = bench.claim().emptying
        bench.settle(running)
        (before,) = bench.enqueue()
        bench.client.zadd(bench.keys.due("email"), {before: 1})
        claimed = bench.claim(emptying=emptying)
        assert ids_of(claimed) == [id]
        assert bench.waiting() == [before]

    def test_what_the_same_round_trip_settles_counts_as_gone(self, bench: Bench) -> None:
        bench.enqueue(number=2)
        first, running = bench.take()
        bench.settle(first)  # a server that does not know settle yet would run it after the claim
        id = suspect(bench, MAX_LOSSES)
        emptying = bench.claim().emptying
        outcome = Settlement(running, "email", b"D", 1, 0, b"")
        request = ClaimRequest("w", ["email"], 10, 10, MAX_LOSSES, 4, emptying=emptying)
        _, claimed = bench.run(join(settle(bench.keys, "w", [outcome]), claim(bench.keys, request)))
        assert ids_of(claimed) == [id]
        assert claimed.alone

    def test_other_workers_pass_it_while_it_is_marked(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take("w")
        id = suspect(bench, MAX_LOSSES)
        behind = bench.enqueue(number=3)
        bench.claim("w")
        claimed = bench.claim("v")
        assert ids_of(claimed) == behind
        assert (claimed.passed, claimed.alone, claimed.emptying) == (1, False, None)
        assert bench.waiting() == [id]

    def test_another_takes_it_when_the_marks_owner_is_gone(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take("w")
        id = suspect(bench, MAX_LOSSES)
        bench.claim("w")
        bench.reap("w")
        bench.claim("v", limit=1)  # what the dead one held goes first
        bench.settle(*bench.held("v"), worker="v")
        claimed = bench.claim("v")
        assert ids_of(claimed) == [id]
        assert claimed.alone

    def test_another_takes_it_when_the_marks_owner_is_being_reaped(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take("w")
        id = suspect(bench, MAX_LOSSES)
        bench.claim("w")
        bench.client.zadd(bench.keys.workers, {"w": 0})
        assert ids_of(bench.claim("v")) == [id]

    def test_after_half_a_minute_it_runs_beside_what_is_left(self, bench: Bench) -> None:
        bench.enqueue()
        running = bench.take()
        id = suspect(bench, MAX_LOSSES)
        emptying = bench.claim().emptying
        bench.clock.advance(HALF_A_MINUTE / 2)
        assert bench.claim(emptying=emptying).claims == []
        bench.clock.advance(HALF_A_MINUTE / 2)
        claimed = bench.claim(emptying=emptying)
        assert ids_of(claimed) == [id]
        assert bench.held() == [*running, f"{claimed.token}:{id}"]
        assert mark_of(bench, id) is None

    def test_after_half_a_minute_it_still_needs_a_free_slot(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take()
        id = suspect(bench, MAX_LOSSES)
        emptying = bench.claim().emptying
        bench.clock.advance(HALF_A_MINUTE)
        claimed = bench.claim(limit=5, free=0, ahead=[5], emptying=emptying)
        assert (claimed.claims, claimed.emptying) == ([], ("email", id))

    def test_after_half_a_minute_another_worker_may_take_it(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take("w")
        id = suspect(bench, MAX_LOSSES)
        bench.claim("w")
        bench.clock.advance(HALF_A_MINUTE)
        assert ids_of(bench.claim("v")) == [id]

    def test_half_a_minute_counts_from_the_first_mark(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take()
        id = suspect(bench, MAX_LOSSES)
        emptying = bench.claim().emptying
        marked = mark_of(bench, id)
        bench.clock.advance(timedelta(seconds=10))
        bench.claim(emptying=emptying)
        assert mark_of(bench, id) == marked

    def test_two_workers_empty_themselves_for_two_suspects(self, bench: Bench) -> None:
        bench.enqueue(number=2)
        bench.take("w", limit=1)
        bench.take("v", limit=1)
        first, second = suspect(bench, MAX_LOSSES), suspect(bench, MAX_LOSSES)
        assert bench.claim("w").emptying == ("email", first)
        assert bench.claim("v").emptying == ("email", second)

    def test_a_worker_without_room_marks_nothing(self, bench: Bench) -> None:
        id = suspect(bench, MAX_LOSSES)
        claimed = bench.claim(limit=0)
        assert claimed.emptying is None
        assert mark_of(bench, id) is None

    def test_a_worker_that_empties_itself_minds_no_time_and_rings_for_others(
        self, bench: Bench
    ) -> None:
        bench.enqueue()
        bench.take()
        suspect(bench, MAX_LOSSES)
        bench.enqueue("b", delay=timedelta(hours=1))
        bench.silence()
        bench.silence("b")
        claimed = bench.claim(kinds=["email", "b"])
        assert claimed.next_due_us is None
        assert claimed.left_over
        assert (bench.tokens(), bench.tokens("b")) == (1, 1)

    def test_with_a_bound_of_one_loss_the_first_suspicion_is_the_last_chance(
        self, bench: Bench
    ) -> None:
        id = suspect(bench, 1)
        bench.enqueue()
        claimed = bench.claim(max_losses=1)
        assert ids_of(claimed) == [id]
        assert claimed.alone

    def test_a_job_without_a_loss_is_no_suspect_with_a_bound_of_one(self, bench: Bench) -> None:
        ids = bench.enqueue(number=3)
        bench.set_losses(1, "another")
        claimed = bench.claim(max_losses=1, limit=3, free=0, ahead=[3])
        assert ids_of(claimed) == ids

    def test_one_that_does_not_fit_in_the_call_keeps_its_mark(self, one_bench: Bench) -> None:
        bench = one_bench
        bench.register()
        bench.enqueue()
        bench.take()
        before = bench.enqueue(number=6, payload=bytes(2**20))
        id = suspect(bench, MAX_LOSSES)
        bench.client.hset(bench.keys.last_chance, id, "1 w")
        claimed = bench.claim()
        assert ids_of(claimed) == before[:4]
        assert not claimed.alone
        assert mark_of(bench, id) == b"1 w"
        assert bench.waiting() == [*before[4:], id]


class TestAWorkerThatEmptiesItselfInVain:
    def test_it_claims_as_before_when_the_suspect_was_cancelled(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take()
        id = suspect(bench, MAX_LOSSES)
        behind = bench.enqueue(number=2)
        emptying = bench.claim().emptying
        bench.client.zrem(bench.keys.due("email"), id)
        claimed = bench.claim(emptying=emptying)
        assert ids_of(claimed) == behind
        assert claimed.emptying is None

    def test_it_claims_as_before_when_the_suspect_was_forgiven(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take()
        id = suspect(bench, MAX_LOSSES)
        emptying = bench.claim().emptying
        bench.run(membership.register(bench.keys, "back", 1_000_000, b"{}", {}, held_before=[id]))
        assert ids_of(bench.claim(emptying=emptying)) == [id]

    def test_it_claims_as_before_when_another_marked_the_suspect(self, bench: Bench) -> None:
        bench.enqueue(number=2)
        bench.take("w", limit=1)
        bench.take("v", limit=1)
        id = suspect(bench, MAX_LOSSES)
        behind = bench.enqueue(number=2)
        emptying = bench.claim("w").emptying
        bench.clock.advance(HALF_A_MINUTE)
        assert bench.claim("v").emptying == ("email", id)
        claimed = bench.claim("w", emptying=emptying)
        assert ids_of(claimed) == behind
        assert claimed.emptying is None

    def test_it_claims_as_before_when_it_asks_for_other_kinds(self, bench: Bench) -> None:
        others = bench.enqueue("b", 2)
        suspect(bench, MAX_LOSSES, "a")
        claimed = bench.claim(kinds=["b"], emptying=("a", "a-1"))
        assert ids_of(claimed) == others
