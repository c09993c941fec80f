"""claim.lua: due jobs go into the list of the worker that claims, in order and fairly."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.errors import LockLostError

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

MIB = 2**20


class TestWhoMayClaim:
    def test_a_worker_that_never_registered_may_not(self, bench: Bench) -> None:
        bench.enqueue()
        stored = bench.snapshot()
        with pytest.raises(LockLostError):
            bench.claim()
        assert bench.answers == [[[b"unregistered"]]]
        assert bench.snapshot() == stored

    def test_a_worker_that_a_reaper_has_begun_with_may_not(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue()
        bench.client.zadd(bench.keys.workers, {"w": 0})
        stored = bench.snapshot()
        with pytest.raises(LockLostError):
            bench.claim()
        assert bench.snapshot() == stored

    def test_a_worker_whose_lease_has_lapsed_may_until_it_is_reaped(self, bench: Bench) -> None:
        bench.register()
        ids = bench.enqueue()
        bench.clock.advance(timedelta(hours=1))
        assert [one.id for one in bench.claim().claims] == ids


class TestWhatIsHandedOut:
    def test_due_jobs_move_to_the_list_of_the_worker_in_their_order(self, bench: Bench) -> None:
        bench.register()
        ids = bench.enqueue(number=5, payload=b"hello")
        claimed = bench.claim()
        assert [one.id for one in claimed.claims] == ids
        assert bench.held() == [f"{claimed.token}:{id}" for id in ids]
        assert bench.waiting() == []
        for one in claimed.claims:
            assert one.record == bench.client.hget(bench.keys.jobs, one.id)
            assert (one.kind, one.state, one.losses) == ("email", None, 0)

    def test_a_claim_of_nothing_writes_nothing(self, bench: Bench) -> None:
        bench.register()
        stored = bench.snapshot()
        claimed = bench.claim(kinds=["a", "b"])
        assert (claimed.token, claimed.claims, claimed.next_due_us) == (0, [], None)
        assert not any((claimed.left_over, claimed.stopped, claimed.alone, claimed.passed))
        assert bench.snapshot() == stored

    def test_a_claim_of_no_kinds_takes_nothing(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue()
        assert bench.claim(kinds=[]).claims == []

    def test_only_kinds_that_are_asked_for_are_taken(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue("a")
        ids = bench.enqueue("b")
        claimed = bench.claim(kinds=["c", "b"])
        assert [(one.id, one.kind) for one in claimed.claims] == [(ids[0], "b")]
        assert len(bench.waiting("a")) == 1

    def test_no_more_than_the_limit_is_taken(self, bench: Bench) -> None:
        bench.register()
        ids = bench.enqueue(number=5)
        assert [one.id for one in bench.claim(limit=3).claims] == ids[:3]
        assert bench.claim(limit=0).claims == []
        assert bench.waiting() == ids[3:]

    def test_a_later_claim_is_added_at_the_end_of_the_list(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue(number=4)
        deliveries = bench.take(limit=2) + bench.take(limit=2)
        assert bench.held() == deliveries

    def test_each_delivery_of_a_job_has_a_greater_token(self, bench: Bench) -> None:
        bench.register("w")
        bench.register("v")
        bench.enqueue()
        tokens = []
        for worker in ("w", "v", "w", "v"):
            claimed = bench.claim(worker)
            tokens.append(claimed.token)
            bench.release(f"{claimed.token}:{claimed.claims[0].id}", worker=worker)
        assert tokens == sorted(set(tokens))

    def test_a_claim_takes_one_token_for_all_its_jobs(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue(number=100)
        first, second = bench.claim(limit=50), bench.claim(limit=50)
        assert second.token == first.token + 1

    def test_progress_and_losses_come_along(self, bench: Bench) -> None:
        bench.register()
        new, tried, lost = bench.enqueue(number=3)
        deliveries = bench.take()
        bench.settle(deliveries[1], letter=b"P", attempts=7, body=b"progress")
        bench.release(deliveries[0], deliveries[2])
        bench.set_losses(1, lost)
        claims = {one.id: one for one in bench.claim().claims}
        assert claims[new].state is None
        assert claims[lost].state is None
        assert (claims[tried].state or b"").startswith(b"P7:")
        assert (claims[tried].state or b"").endswith(b":progress")
        assert [claims[id].losses for id in (new, tried, lost)] == [0, 0, 1]

    def test_progress_of_a_single_job_comes_along(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue()
        bench.settle(*bench.take(), letter=b"P", attempts=3)
        (one,) = bench.claim().claims
        assert (one.state or b"").startswith(b"P3:")

    def test_progress_of_more_than_a_thousand_jobs_comes_along(self, one_bench: Bench) -> None:
        bench = one_bench
        bench.register()
        ids = bench.enqueue(number=1500)
        bench.client.hset(bench.keys.state, ids[-1], b"P1:1:")
        states = [one.state for one in bench.claim(limit=1500).claims]
        assert states == [None] * 1499 + [b"P1:1:"]
        assert len(bench.held()) == 1500

    def test_an_id_without_a_record_leaves_the_due_set_and_goes_nowhere(self, bench: Bench) -> None:
        bench.register()
        first, gone, last = bench.enqueue(number=3)
        bench.client.hdel(bench.keys.jobs, gone)
        assert [one.id for one in bench.claim().claims] == [first, last]
        assert [delivery.partition(":")[2] for delivery in bench.held()] == [first, last]
        assert bench.waiting() == []

    def test_whether_done_records_are_kept_is_told(self, bench: Bench) -> None:
        bench.register()
        assert bench.claim().keeps_done
        bench.register(retention_us=0)
        assert not bench.claim().keeps_done
        bench.register(retention_us=1, retention_limit=0)
        assert not bench.claim().keeps_done


class TestOrderAndFairness:
    def test_jobs_that_were_scheduled_come_in_the_order_of_their_time(self, bench: Bench) -> None:
        bench.register()
        late = bench.enqueue(delay=timedelta(minutes=3))
        early = bench.enqueue(delay=timedelta(minutes=1))
        middle = bench.enqueue(delay=timedelta(minutes=2))
        bench.clock.advance(timedelta(minutes=4))
        now = bench.enqueue()
        assert [one.id for one in bench.claim().claims] == early + middle + late + now

    def test_no_job_is_handed_out_before_its_time(self, bench: Bench) -> None:
        bench.register()
        ids = bench.enqueue(number=10, delay=timedelta(minutes=10))
        bench.clock.advance(timedelta(minutes=8))
        assert bench.claim().claims == []
        bench.clock.advance(timedelta(minutes=2))
        assert [one.id for one in bench.claim().claims] == ids

    def test_jobs_that_are_not_due_stay_behind_those_that_are(self, bench: Bench) -> None:
        bench.register()
        later = bench.enqueue(number=3, delay=timedelta(hours=1))
        now = bench.enqueue(number=3)
        assert [one.id for one in bench.claim().claims] == now
        assert bench.waiting() == later

    def test_a_flood_of_one_kind_leaves_the_others_their_share(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue("flood", 500)
        bench.enqueue("b", 20)
        bench.enqueue("c", 20)
        kinds = [one.kind for one in bench.claim(kinds=["flood", "b", "c"], limit=30).claims]
        assert {kind: kinds.count(kind) for kind in kinds} == {"flood": 10, "b": 10, "c": 10}

    def test_no_kind_takes_the_free_slots_of_all_where_others_are_prefetched(
        self, bench: Bench
    ) -> None:
        bench.register()
        kinds = [f"kind-{place:02}" for place in range(20)]
        for kind in kinds:
            bench.enqueue(kind, 30)
        claimed = bench.claim(kinds=kinds, limit=210, free=10, ahead=[0] + [25] * 19)
        assert [one.kind for one in claimed.claims].count("kind-00") == 1
        assert len(claimed.claims) == 210

    def test_what_a_kind_does_not_need_of_its_share_goes_to_the_others(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue("flood", 500)
        bench.enqueue("b", 2)
        kinds = [one.kind for one in bench.claim(kinds=["b", "flood"], limit=30).claims]
        assert (kinds.count("flood"), kinds.count("b")) == (28, 2)

    def test_kinds_without_due_jobs_take_no_share(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue("a", 20)
        bench.enqueue("b", 20)
        bench.enqueue("later", 20, delay=timedelta(hours=1))
        kinds = [
            one.kind for one in bench.claim(kinds=["later", "a", "none", "b"], limit=20).claims
        ]
        assert (kinds.count("a"), kinds.count("b")) == (10, 10)

    def test_with_less_room_than_kinds_the_first_kinds_have_their_turn(self, bench: Bench) -> None:
        bench.register()
        for kind in ("a", "b", "c"):
            bench.enqueue(kind, 5)
        claims = bench.claim(kinds=["c", "a", "b"], limit=2).claims
        assert [one.kind for one in claims] == ["c", "a"]

    def test_each_kind_keeps_its_order_when_kinds_are_mixed(self, bench: Bench) -> None:
        bench.register()
        expected = {kind: bench.enqueue(kind, 15) for kind in ("a", "b", "c")}
        claims = bench.claim(kinds=["a", "b", "c"], limit=45).claims
        for kind, ids in expected.items():
            assert [one.id for one in claims if one.kind == kind] == ids


class TestFreeSlotsAndThoseAhead:
    def test_without_room_ahead_only_free_slots_are_filled(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue(number=20)
        assert len(bench.claim(limit=10, free=3).claims) == 3
        assert bench.claim(limit=10, free=0).claims == []

    def test_room_ahead_comes_on_top_of_free_slots(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue(number=20)
        assert len(bench.claim(limit=10, free=3, ahead=[4]).claims) == 7
        assert len(bench.claim(limit=10, free=0, ahead=[4]).claims) == 4

    def test_the_limit_bounds_both_together(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue(number=20)
        assert len(bench.claim(limit=5, free=3, ahead=[4]).claims) == 5

    def test_the_limit_holds_where_one_kind_gets_the_share_of_another(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue("a", 2)
        bench.enqueue("b", 50)
        claims = bench.claim(kinds=["a", "b"], limit=10, free=3, ahead=[20, 20]).claims
        assert [one.kind for one in claims] == ["a"] * 2 + ["b"] * 8

    def test_a_kind_without_room_ahead_gets_free_slots_only(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue("slow", 20)
        bench.enqueue("quick", 20)
        claims = bench.claim(kinds=["slow", "quick"], limit=20, free=2, ahead=[0, 5]).claims
        assert [one.kind for one in claims] == ["slow"] + ["quick"] * 6

    def test_each_kind_has_its_own_room_ahead(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue("a", 20)
        bench.enqueue("b", 20)
        kinds = [
            one.kind for one in bench.claim(kinds=["a", "b"], limit=99, free=0, ahead=[3, 6]).claims
        ]
        assert (kinds.count("a"), kinds.count("b")) == (3, 6)

    def test_free_slots_that_a_kind_leaves_are_for_the_next(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue("a", 2)
        bench.enqueue("b", 20)
        claims = bench.claim(kinds=["a", "b"], limit=10, free=6, ahead=[9, 0]).claims
        assert [one.kind for one in claims] == ["a"] * 2 + ["b"] * 4


class TestBytes:
    def test_a_claim_of_large_jobs_takes_about_four_mib(self, real_bench: Bench) -> None:
        bench = real_bench
        bench.register()
        ids = bench.enqueue(number=10, payload=bytes(MIB))
        claimed = bench.claim()
        assert [one.id for one in claimed.claims] == ids[:4]
        assert claimed.left_over
        assert bench.waiting() == ids[4:]

    def test_the_first_job_is_taken_whatever_its_size(self, real_bench: Bench) -> None:
        bench = real_bench
        bench.register()
        large, small = bench.enqueue(payload=bytes(10 * MIB)), bench.enqueue()
        assert [one.id for one in bench.claim().claims] == large
        assert [one.id for one in bench.claim().claims] == small

    def test_large_jobs_behind_small_ones_do_not_come_in_hundreds(self, real_bench: Bench) -> None:
        bench = real_bench
        bench.register()
        small = bench.enqueue(number=80)
        bench.enqueue(number=60, payload=bytes(MIB))
        claims = bench.claim().claims
        assert [one.id for one in claims[:80]] == small
        assert sum(len(one.record) for one in claims) < 21 * MIB

    def test_the_largest_claim_is_read_whole(self, real_bench: Bench) -> None:
        bench = real_bench
        bench.register()
        ids = bench.enqueue(number=2500)
        assert [one.id for one in bench.claim(limit=2500).claims] == ids


class TestGhosts:
    def test_an_id_whose_older_run_still_occupies_the_process_is_passed(self, bench: Bench) -> None:
        bench.register("w")
        bench.register("v")
        ghost, other = bench.enqueue(number=2)
        claimed = bench.claim("w", occupied=[ghost])
        assert [one.id for one in claimed.claims] == [other]
        assert claimed.passed == 1
        assert bench.waiting() == [ghost]
        assert [one.id for one in bench.claim("v").claims] == [ghost]

    def test_ghosts_behind_those_that_are_taken_stay_in_their_place(self, bench: Bench) -> None:
        bench.register()
        ids = bench.enqueue(number=200)
        ghosts = ids[10:20] + ids[150:160]
        claimed = bench.claim(occupied=ghosts)
        assert [one.id for one in claimed.claims] == [id for id in ids if id not in ghosts]
        assert bench.waiting() == ghosts
        assert not claimed.left_over

    def test_what_is_left_behind_them_is_left_over(self, bench: Bench) -> None:
        bench.register()
        ids = bench.enqueue(number=4)
        claimed = bench.claim(limit=1, occupied=ids[:2])
        assert [one.id for one in claimed.claims] == ids[2:3]
        assert claimed.left_over

    def test_a_worker_that_passes_rings_for_others_once(self, bench: Bench) -> None:
        bench.register()
        (ghost,) = bench.enqueue()
        bench.silence()
        assert bench.claim(occupied=[ghost]).passed == 1
        assert bench.tokens() == 1
        bench.silence()
        assert bench.claim(occupied=[ghost], passed_before=1).passed == 1
        assert bench.tokens() == 0

    def test_a_worker_that_passes_minds_what_is_due_next(self, bench: Bench) -> None:
        bench.register()
        (ghost,) = bench.enqueue()
        bench.enqueue(delay=timedelta(minutes=5))
        next_due_us = bench.claim(occupied=[ghost], passed_before=1).next_due_us
        assert next_due_us is not None
        assert 240_000_000 < next_due_us <= 300_000_000


class TestRingingOn:
    def test_one_token_is_left_for_what_is_left_over(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue(number=10)
        bench.silence()
        assert bench.claim(limit=5).left_over
        assert bench.tokens() == 1

    def test_the_bell_is_gone_when_the_due_set_is_empty(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue(number=10)
        assert bench.tokens() == 3
        assert not bench.claim().left_over
        assert bench.tokens() == 0

    def test_jobs_that_are_not_due_are_not_left_over(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue(number=2)
        bench.enqueue(delay=timedelta(hours=1))
        bench.silence()
        assert not bench.claim(limit=2).left_over

    def test_each_kind_that_has_some_left_is_rung_for(self, bench: Bench) -> None:
        bench.register()
        for kind in ("a", "b", "c"):
            bench.enqueue(kind, 2)
            bench.silence(kind)
        bench.claim(kinds=["a", "b", "c"], limit=4)
        assert [bench.tokens(kind) for kind in ("a", "b", "c")] == [0, 1, 1]

    def test_a_full_worker_puts_a_token_back_where_something_is_due(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue("a", 5)
        bench.silence("a")
        claimed = bench.claim(kinds=["a", "b"], limit=0)
        assert (claimed.token, claimed.claims, claimed.left_over) == (0, [], ["a"])
        assert (bench.tokens("a"), bench.tokens("b")) == (1, 0)

    def test_a_full_worker_leaves_no_key_where_nothing_waits(self, bench: Bench) -> None:
        bench.register()
        stored = bench.snapshot()
        bench.claim(limit=0)
        assert bench.snapshot() == stored
