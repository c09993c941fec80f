"""release.lua: what a worker did not run goes back to the head of its due set."""

from __future__ import annotations

from datetime import timedelta

import pytest

from redisjobs.operations.giving_back import NO_KIND, release
from tests.scripts.bench import DAMAGED, Bench, Steps

MIB = 2**20


@pytest.fixture
def bench(bench: Bench) -> Bench:
    return bench.staffed()


@pytest.fixture
def one_bench(one_bench: Bench) -> Bench:
    return one_bench.staffed()


class TestGivingBack:
    def test_jobs_wait_again_in_their_order_before_all_that_waits(self, bench: Bench) -> None:
        ids = bench.enqueue(number=10)
        deliveries = bench.take(limit=6)
        bench.release(*deliveries)
        assert bench.codes == ["ok"]
        assert bench.waiting() == ids
        assert bench.held() == []

    def test_jobs_wait_before_those_whose_time_came_long_ago(self, bench: Bench) -> None:
        ids = bench.enqueue(number=2, delay=timedelta(seconds=1))
        bench.clock.advance(timedelta(hours=1))
        deliveries = bench.take(limit=1)
        bench.release(*deliveries)
        assert bench.waiting() == ids

    def test_they_are_ready_at_once(self, bench: Bench) -> None:
        ids = bench.enqueue(number=3)
        bench.release(*bench.take())
        assert [one.id for one in bench.claim().claims] == ids

    def test_those_that_stay_keep_their_order(self, bench: Bench) -> None:
        ids = bench.enqueue(number=10)
        deliveries = bench.take()
        bench.release(*deliveries[2:5], deliveries[8])
        assert bench.held() == [*deliveries[:2], *deliveries[5:8], deliveries[9]]
        assert bench.waiting() == [*ids[2:5], ids[8]]

    def test_what_is_released_later_goes_before_what_was_released_earlier(
        self, bench: Bench
    ) -> None:
        ids = bench.enqueue(number=6)
        deliveries = bench.take()
        bench.release(*deliveries[3:])
        bench.release(*deliveries[:3])
        assert bench.waiting() == ids

    def test_each_kind_goes_back_to_its_own_due_set(self, bench: Bench) -> None:
        ids = {kind: bench.enqueue(kind, 4) for kind in ("a", "b", "c")}
        deliveries = bench.take(kinds=["a", "b", "c"])
        bench.release(*deliveries, kinds=["a", "b", "c"])
        assert {kind: bench.waiting(kind) for kind in ids} == ids

    def test_a_release_counts_no_loss_and_no_attempt(self, bench: Bench) -> None:
        bench.enqueue(number=3)
        bench.release(*bench.take())
        assert bench.losses() == {}
        assert "state" not in bench.snapshot()

    def test_losses_and_progress_stay(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P", attempts=2)
        bench.set_losses(1, id)
        state = bench.state(id)
        bench.release(*bench.take())
        assert bench.losses() == {id: 1}
        assert bench.state(id) == state

    @pytest.mark.parametrize(("number", "tokens"), [(1, 1), (2, 2), (9, 3)])
    def test_it_rings_once_a_job_but_three_times_at_most(
        self, bench: Bench, number: int, tokens: int
    ) -> None:
        bench.enqueue(number=number)
        deliveries = bench.take()
        assert bench.tokens() == 0
        bench.release(*deliveries)
        assert bench.tokens() == tokens

    def test_an_id_without_a_record_goes_nowhere(self, bench: Bench) -> None:
        first, gone = bench.enqueue(number=2)
        deliveries = bench.take()
        bench.client.hdel(bench.keys.jobs, gone)
        bench.release(*deliveries)
        assert bench.waiting() == [first]
        assert bench.held() == []

    def test_a_release_of_nothing_is_no_call(self, bench: Bench) -> None:
        bench.release()
        assert bench.calls == []


class TestWhatIsNotHeld:
    def test_another_workers_delivery_stays_where_it_is(self, bench: Bench) -> None:
        bench.enqueue()
        deliveries = bench.take("v")
        stored = bench.snapshot()
        bench.release(*deliveries, worker="w")
        assert bench.snapshot() == stored

    def test_an_older_delivery_does_not_give_a_newer_one_back(self, bench: Bench) -> None:
        bench.enqueue()
        older = bench.take()
        bench.release(*older)
        newer = bench.take()
        stored = bench.snapshot()
        bench.release(*older)
        assert bench.snapshot() == stored
        assert bench.held() == newer

    def test_a_repeated_release_changes_nothing(self, bench: Bench) -> None:
        bench.enqueue(number=3)
        deliveries = bench.take()
        bench.release(*deliveries)
        stored = bench.snapshot()
        bench.release(*deliveries)
        assert bench.snapshot() == stored

    def test_what_has_ended_stays_ended(self, bench: Bench) -> None:
        ids = bench.enqueue(number=3)
        deliveries = bench.take()
        bench.settle(deliveries[1])
        bench.release(*deliveries)
        assert bench.waiting() == [ids[0], ids[2]]

    def test_what_was_reaped_stays_where_it_went(self, bench: Bench) -> None:
        bench.enqueue(number=3)
        deliveries = bench.take()
        bench.reap()
        stored = bench.snapshot()
        bench.release(*deliveries)
        assert bench.snapshot() == stored


class TestKindsThatWereNotGiven:
    def test_they_are_asked_for_and_nothing_is_written_before(self, bench: Bench) -> None:
        bench.enqueue("a")
        bench.enqueue("b")
        deliveries = bench.take(kinds=["a", "b"])
        stored = bench.snapshot()
        keys = bench.keys
        reply = bench.call(
            "release",
            [keys.jobs, keys.processing("w"), *keys.of_kind("a")[:2]],
            2,
            *deliveries,
            "a",
        )
        assert reply == [b"kind", b"b"]
        assert bench.snapshot() == stored

    def test_the_operation_learns_them(self, bench: Bench) -> None:
        ids = {kind: bench.enqueue(kind, 2) for kind in ("a", "b", "c")}
        deliveries = bench.take(kinds=["a", "b", "c"])
        bench.release(*deliveries, kinds=["b"])
        assert bench.codes == ["kind", "ok"]
        assert {kind: bench.waiting(kind) for kind in ids} == ids


class TestManyDeliveries:
    def test_chunks_of_five_hundred_keep_the_order(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = bench.enqueue(number=1300)
        deliveries = bench.take(limit=1200)
        bench.release(*deliveries)
        assert bench.codes == ["ok"] * 3
        assert bench.waiting() == ids
        assert bench.held() == []

    def test_some_of_a_long_list_keep_the_order_of_both(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = bench.enqueue(number=1500)
        deliveries = bench.take(limit=1500)
        bench.release(*deliveries[::2])
        assert bench.waiting() == ids[::2]
        assert bench.held() == deliveries[1::2]

    def test_kinds_are_learnt_chunk_by_chunk(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = {kind: bench.enqueue(kind, 600) for kind in ("a", "b")}
        deliveries = bench.take(kinds=["a", "b"], limit=1200)
        bench.release(*deliveries, kinds=[])
        assert {kind: bench.waiting(kind) for kind in ids} == ids

    def test_large_records_go_a_few_at_a_time_in_their_order(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = bench.enqueue(number=12, payload=bytes(MIB))
        deliveries = [one for _ in range(3) for one in bench.take()]
        assert len(deliveries) == 12
        bench.release(*deliveries)
        assert bench.codes == ["ok"] * 3
        assert bench.waiting() == ids

    def test_another_release_may_come_between_two_chunks(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = bench.enqueue(number=800)
        deliveries = bench.take()
        steps = Steps(bench, release(bench.keys, "w", deliveries, ["email"]))
        assert steps.step()
        bench.release(*deliveries)
        steps.step()
        assert steps.codes == ["ok", "ok"]
        assert bench.waiting() == ids
        assert bench.held() == []


class TestADamagedRecord:
    """Whoever claims the job ends it as FAILED, but it may be given back before that."""

    @pytest.mark.parametrize("record", DAMAGED)
    def test_its_job_waits_again_with_the_others(self, bench: Bench, record: bytes) -> None:
        damaged, whole = bench.enqueue(number=2)
        deliveries = bench.take()
        bench.client.hset(bench.keys.jobs, damaged, record)
        bench.release(*deliveries)
        assert bench.codes == ["kind", "ok"]
        assert bench.waiting() == [damaged, whole]
        assert bench.held() == []

    def test_its_job_is_not_lost_where_no_kind_is_known(self, bench: Bench) -> None:
        (damaged,) = bench.enqueue()
        deliveries = bench.take()
        bench.client.hset(bench.keys.jobs, damaged, b"junk")
        bench.release(*deliveries, kinds=[])
        assert bench.waiting(NO_KIND) == [damaged]
