"""settle.lua: outcomes of deliveries that a worker holds are recorded, all others refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs.operations.settle import Settlement, settle
from redisjobs.record import encode_state_body
from redisjobs.states import Status

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

ENDS = {
    b"D": (Status.DONE, "done"),
    b"F": (Status.FAILED, "failed"),
    b"X": (Status.PANIC, "panic"),
    b"C": (Status.CANCELLED, "cancelled"),
}


@pytest.fixture
def bench(bench: Bench) -> Bench:
    return bench.staffed()


class TestAnEnd:
    @pytest.mark.parametrize("letter", ENDS)
    def test_it_is_recorded_with_its_attempts_its_time_and_its_body(
        self, bench: Bench, letter: bytes
    ) -> None:
        status, _ = ENDS[letter]
        (id,) = bench.enqueue()
        (delivery,) = bench.take()
        record = bench.client.hget(bench.keys.jobs, id)
        before = bench.clock.now_us
        body = encode_state_body(11, 12, "why", b"result")
        assert bench.settle(delivery, letter=letter, attempts=4, body=body) == []
        state = bench.state(id)
        assert state is not None
        assert (state.letter, state.status, state.attempts_done) == (letter, status, 4)
        assert before <= state.time_us <= bench.clock.now_us
        assert (state.updated_us, state.last_attempt_us) == (11, 12)
        assert (state.last_error, state.result) == ("why", b"result")
        assert bench.client.hget(bench.keys.jobs, id) == record

    @pytest.mark.parametrize("letter", ENDS)
    def test_the_job_leaves_the_workers_list_for_the_finished_set_of_its_status(
        self, bench: Bench, letter: bytes
    ) -> None:
        status, _ = ENDS[letter]
        ids = bench.enqueue(number=3)
        deliveries = bench.take()
        bench.settle(*deliveries[:2], letter=letter)
        assert bench.held() == deliveries[2:]
        assert bench.finished(status) == ids[:2]
        assert bench.waiting() == []
        sets = [key for key in bench.snapshot() if key.startswith("finished:")]
        assert sets == [f"finished:{status.lower()}:email"]

    def test_it_stands_in_the_finished_set_by_the_time_of_its_end(self, bench: Bench) -> None:
        first, second = bench.enqueue(number=2)
        deliveries = bench.take()
        bench.settle(deliveries[1])
        bench.clock.advance(timedelta(seconds=1))
        bench.settle(deliveries[0])
        assert bench.finished(Status.DONE) == [second, first]
        for id in (first, second):
            state = bench.state(id)
            assert state is not None
            score = bench.client.zscore(bench.keys.finished(Status.DONE, "email"), id)
            assert score == state.time_us

    @pytest.mark.parametrize("letter", ENDS)
    def test_each_outcome_is_counted_in_the_totals_of_its_kind(
        self, bench: Bench, letter: bytes
    ) -> None:
        bench.enqueue("a", 3)
        bench.enqueue("b", 2)
        of_a, of_b = bench.take(kinds=["a"]), bench.take(kinds=["b"])
        bench.settle(*of_a, letter=letter, kind="a")
        bench.settle(*of_b[:1], letter=letter, kind="b")
        bench.settle(*of_b[1:], letter=letter, kind="b")
        outcome = ENDS[letter][1]
        assert bench.totals() == {f"{outcome}:a": 3, f"{outcome}:b": 2}

    def test_outcomes_of_many_kinds_and_statuses_go_in_one_call(self, bench: Bench) -> None:
        ids = {kind: bench.enqueue(kind, 5) for kind in ("a", "b")}
        settlements = []
        for kind in ids:
            for delivery, letter in zip(bench.take(kinds=[kind]), "DFXCP", strict=True):
                settlements.append(Settlement(delivery, kind, letter.encode(), 1, 1000, b""))
        assert bench.run(settle(bench.keys, "w", settlements[::-1])) == []
        assert len(bench.calls) == 1
        for kind, of_kind in ids.items():
            for letter, id in zip("DFXC", of_kind, strict=False):
                assert bench.finished(ENDS[letter.encode()][0], kind) == [id]
            assert bench.waiting(kind) == of_kind[4:]
        assert bench.held() == []

    @pytest.mark.parametrize("letter", ENDS)
    def test_it_clears_the_losses_of_the_job_and_of_no_other(
        self, bench: Bench, letter: bytes
    ) -> None:
        (id,) = bench.enqueue()
        (delivery,) = bench.take()
        bench.set_losses(2, id, "another")
        bench.settle(delivery, letter=letter)
        assert bench.losses() == {"another": 2}

    def test_a_settle_of_nothing_is_no_call(self, bench: Bench) -> None:
        assert bench.settle() == []
        assert bench.calls == []


class TestARecordThatNobodyKeeps:
    @pytest.mark.parametrize(
        ("letter", "setting"),
        [
            (b"D", "retention_us"),
            (b"D", "retention_limit"),
            (b"F", "failed_retention_us"),
            (b"F", "failed_limit"),
            (b"X", "failed_retention_us"),
            (b"C", "failed_limit"),
        ],
    )
    def test_it_is_removed_whole(self, bench: Bench, letter: bytes, setting: str) -> None:
        settings: dict[str, Any] = {setting: 0}
        bench.register("w", **settings)
        bench.enqueue(number=3)
        deliveries = bench.take()
        bench.settle(*deliveries, letter=b"P")
        bench.settle(*bench.take(), letter=letter)
        assert set(bench.snapshot()) == {
            *("kinds", "meta", "totals", "workers", "worker-info", "request:producer")
        }

    def test_failures_are_kept_where_results_are_not(self, bench: Bench) -> None:
        bench.register("w", retention_us=0)
        done, failed = bench.enqueue(number=2)
        first, second = bench.take()
        bench.settle(first)
        bench.settle(second, letter=b"F")
        assert bench.stored_ids() == {failed}
        assert bench.finished(Status.FAILED) == [failed]
        assert bench.state(done) is None

    def test_the_last_writer_of_the_setting_decides(self, bench: Bench) -> None:
        bench.register("w", retention_us=0)
        bench.register("v", retention_us=1_000_000)
        ids = bench.enqueue()
        bench.settle(*bench.take())
        assert bench.finished(Status.DONE) == ids


class TestARetry:
    def test_the_job_waits_again_by_the_servers_clock(self, bench: Bench) -> None:
        bench.clock.advance(timedelta(hours=-30))
        (id,) = bench.enqueue()
        (delivery,) = bench.take()
        before = bench.clock.now_us
        bench.settle(
            delivery, letter=b"P", attempts=3, delay_us=90_000_000, body=b"\x94\1\2\xc0\xc0"
        )
        state, score = bench.state(id), bench.score(id)
        assert state is not None
        assert (state.status, state.attempts_done, state.updated_us) == (Status.PENDING, 3, 1)
        assert before + 90_000_000 <= state.time_us <= bench.clock.now_us + 90_000_000
        assert score == state.time_us
        assert bench.held() == []
        assert bench.totals() == {"retried:email": 1}

    def test_it_is_not_handed_out_before_its_delay_is_over(self, bench: Bench) -> None:
        ids = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P", delay_us=300_000_000)
        assert bench.take() == []
        bench.clock.advance(timedelta(minutes=5))
        assert [one.id for one in bench.claim().claims] == ids

    def test_it_keeps_its_losses(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        (delivery,) = bench.take()
        bench.set_losses(2, id)
        bench.settle(delivery, letter=b"P")
        assert bench.losses() == {id: 2}

    def test_it_rings_where_it_is_the_next_to_come_due(self, bench: Bench) -> None:
        bench.enqueue()
        (delivery,) = bench.take()
        bench.enqueue(delay=timedelta(hours=1))
        bench.silence()
        bench.settle(delivery, letter=b"P", delay_us=1_000_000)
        assert bench.tokens() == 1

    def test_it_does_not_ring_behind_an_earlier_one(self, bench: Bench) -> None:
        bench.enqueue()
        (delivery,) = bench.take()
        bench.enqueue(delay=timedelta(hours=1))
        bench.silence()
        bench.settle(delivery, letter=b"P", delay_us=7_200_000_000)
        assert bench.tokens() == 0

    def test_a_delay_of_a_century_is_exact(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        (delivery,) = bench.take()
        before = bench.clock.now_us
        bench.settle(delivery, letter=b"P", delay_us=36_500 * 86_400_000_000)
        state = bench.state(id)
        assert state is not None
        assert 0 <= state.time_us - 36_500 * 86_400_000_000 - before < 5_000_000


class TestTheFence:
    def test_a_delivery_that_was_never_handed_out_is_refused(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take()
        stored = bench.snapshot()
        assert bench.settle("1:nobody", "999:email-00001") == ["1:nobody", "999:email-00001"]
        assert bench.snapshot() == stored

    @pytest.mark.parametrize("letter", [*ENDS, b"P"])
    def test_another_workers_delivery_is_refused(self, bench: Bench, letter: bytes) -> None:
        bench.enqueue()
        deliveries = bench.take("v")
        stored = bench.snapshot()
        assert bench.settle(*deliveries, worker="w", letter=letter) == deliveries
        assert bench.snapshot() == stored

    def test_an_older_delivery_of_the_same_job_to_the_same_worker_is_refused(
        self, bench: Bench
    ) -> None:
        bench.enqueue()
        older = bench.take()
        bench.release(*older)
        newer = bench.take()
        stored = bench.snapshot()
        assert bench.settle(*older) == older
        assert bench.snapshot() == stored
        assert bench.settle(*newer) == []

    def test_what_was_released_is_refused(self, bench: Bench) -> None:
        bench.enqueue()
        deliveries = bench.take()
        bench.release(*deliveries)
        stored = bench.snapshot()
        assert bench.settle(*deliveries) == deliveries
        assert bench.snapshot() == stored

    def test_what_was_reaped_is_refused(self, bench: Bench) -> None:
        bench.enqueue()
        deliveries = bench.take()
        bench.reap()
        stored = bench.snapshot()
        assert bench.settle(*deliveries) == deliveries
        assert bench.snapshot() == stored

    def test_a_repeated_settle_is_refused_and_changes_nothing(self, bench: Bench) -> None:
        bench.enqueue(number=3)
        deliveries = bench.take()
        bench.settle(*deliveries[:2])
        stored = bench.snapshot()
        assert bench.settle(*deliveries[:2], letter=b"F") == deliveries[:2]
        assert bench.snapshot() == stored

    def test_a_late_settle_does_not_touch_a_job_that_waits_again(self, bench: Bench) -> None:
        bench.enqueue()
        deliveries = bench.take()
        bench.settle(*deliveries, letter=b"P")
        stored = bench.snapshot()
        assert bench.settle(*deliveries) == deliveries
        assert bench.snapshot() == stored

    def test_of_many_outcomes_only_the_refused_ones_come_back(self, bench: Bench) -> None:
        ids = bench.enqueue(number=10)
        deliveries = bench.take()
        bench.release(*deliveries[3:5])
        assert bench.settle(*deliveries) == deliveries[3:5]
        assert bench.waiting() == ids[3:5]
        assert bench.finished(Status.DONE) == ids[:3] + ids[5:]
        assert bench.totals() == {"done:email": 8}

    def test_of_two_outcomes_of_one_delivery_the_first_counts(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        (delivery,) = bench.take()
        outcomes = [Settlement(delivery, "email", letter, 1, 0, b"") for letter in (b"F", b"D")]
        assert bench.run(settle(bench.keys, "w", outcomes)) == outcomes[1:]
        assert bench.finished(Status.FAILED) == [id]
        assert bench.finished(Status.DONE) == []
        assert bench.totals() == {"failed:email": 1}

    def test_a_delivery_twice_in_one_call_is_settled_once(self, bench: Bench) -> None:
        bench.enqueue(number=3)
        deliveries = bench.take()
        assert bench.settle(*deliveries, *deliveries) == deliveries
        assert bench.held() == []
        assert bench.totals() == {"done:email": 3}


class TestAnIdThatWasFreed:
    """Its record is not kept, it is enqueued and claimed anew, and then the settle of its first
    delivery is sent once more: its reply was lost.
    """

    @pytest.mark.parametrize("others", [0, 9], ids=["alone", "beside-others"])
    @pytest.mark.parametrize("holder", ["w", "v"], ids=["same-worker", "another-worker"])
    def test_a_repeated_settle_does_not_touch_the_new_delivery(
        self, bench: Bench, holder: str, others: int
    ) -> None:
        bench.register("w", retention_us=0)
        bench.enqueue(ids=["freed"])
        older = bench.take("w")
        assert bench.settle(*older) == []
        assert bench.stored_ids() == set(), "the id is free"
        bench.enqueue(number=others)
        bench.enqueue(ids=["freed"])
        newer = bench.take(holder)
        assert newer[others:] != older
        stored = bench.snapshot()
        assert bench.settle(*older) == older
        assert bench.snapshot() == stored
        assert bench.settle(*newer, worker=holder) == []
        assert bench.totals() == {"done:email": 2 + others}

    def test_nor_the_job_while_it_waits(self, bench: Bench) -> None:
        bench.register("w", retention_us=0)
        bench.enqueue(ids=["freed"])
        older = bench.take("w")
        bench.settle(*older)
        bench.enqueue(ids=["freed"])
        stored = bench.snapshot()
        assert bench.settle(*older) == older
        assert bench.snapshot() == stored
        assert bench.waiting() == ["freed"]
