"""cancel.lua: a job that waits ends as CANCELLED."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations.one_job import cancel
from redisjobs.record import encode_state_body
from redisjobs.states import Status
from tests.scripts.bench import DAMAGED

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


def run_cancel(bench: Bench, id: str) -> bool:
    return bench.run(cancel(bench.keys, id))


class TestAJobThatWaits:
    @pytest.mark.parametrize("delay", [timedelta(0), timedelta(hours=1)])
    def test_it_ends_as_cancelled(self, bench: Bench, delay: timedelta) -> None:
        id, other = bench.enqueue(number=2, delay=delay)
        before = bench.clock.now_us
        assert run_cancel(bench, id)
        assert bench.codes == ["kind", "ok"]
        state = bench.state(id)
        assert state is not None
        assert (state.letter, state.status, state.attempts_done) == (b"C", Status.CANCELLED, 0)
        assert before <= state.time_us <= bench.clock.now_us
        assert bench.waiting() == [other]
        assert bench.finished(Status.CANCELLED) == [id]
        assert bench.totals() == {"cancelled:email": 1}

    def test_it_can_be_read(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        run_cancel(bench, id)
        job, state = bench.get(id), bench.state(id)
        assert job is not None
        assert state is not None
        assert (job.status, job.last_error, job.result) == (Status.CANCELLED, None, None)
        assert job.updated_at.timestamp() == pytest.approx(state.time_us / 1e6)

    def test_it_keeps_its_attempts_and_its_last_error(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        body = encode_state_body(11, 12, "retryable-error: soon", None)
        bench.settle(*bench.take(), letter=b"P", attempts=4, delay_us=10**9, body=body)
        assert run_cancel(bench, id)
        state = bench.state(id)
        assert state is not None
        assert (state.letter, state.attempts_done, state.last_error) == (
            *(b"C", 4, "retryable-error: soon"),
        )

    def test_its_losses_go(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.set_losses(2, id, "another")
        run_cancel(bench, id)
        assert bench.losses() == {"another": 2}

    def test_the_bell_goes_with_the_last_job_that_waits(self, bench: Bench) -> None:
        first, second = bench.enqueue(number=2)
        run_cancel(bench, first)
        assert bench.tokens() == 2
        run_cancel(bench, second)
        assert bench.tokens() == 0
        assert {"due:email", "bell:email"}.isdisjoint(bench.snapshot())

    def test_it_is_removed_whole_where_failures_are_not_kept(self, bench: Bench) -> None:
        bench.register("w", failed_retention_us=0)
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P")
        assert run_cancel(bench, id)
        assert bench.stored_ids() == set()
        assert {"state", "finished:cancelled:email"}.isdisjoint(bench.snapshot())

    def test_cancelled_records_are_bounded_by_their_limit(self, bench: Bench) -> None:
        bench.register("w", failed_limit=2)
        ids = bench.enqueue(number=4)
        for id in ids:
            assert run_cancel(bench, id)
        assert bench.finished(Status.CANCELLED) == ids[2:]
        assert bench.stored_ids() == set(ids[2:])

    def test_no_other_kind_is_touched(self, bench: Bench) -> None:
        bench.enqueue("a")
        (id,) = bench.enqueue("b")
        waiting = bench.waiting("a")
        run_cancel(bench, id)
        assert (bench.waiting("a"), bench.waiting("b")) == (waiting, [])


class TestNothingHappens:
    def refuse(self, bench: Bench, id: str) -> None:
        stored = bench.snapshot()
        assert not run_cancel(bench, id)
        assert bench.codes[-1] == "no"
        assert bench.snapshot() == stored

    def test_to_an_id_that_is_not_there(self, bench: Bench) -> None:
        bench.enqueue()
        self.refuse(bench, "nobody")

    def test_to_a_job_that_runs(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        bench.take()
        self.refuse(bench, id)

    def test_to_a_job_that_runs_again(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P")
        bench.take()
        self.refuse(bench, id)

    @pytest.mark.parametrize("letter", [b"D", b"F", b"X", b"C"])
    def test_to_a_job_that_has_ended(self, bench: Bench, letter: bytes) -> None:
        (id,) = bench.enqueue()
        bench.end(id, letter=letter)
        self.refuse(bench, id)

    def test_a_second_time(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        assert run_cancel(bench, id)
        self.refuse(bench, id)

    @pytest.mark.parametrize("record", DAMAGED)
    def test_to_a_record_that_is_damaged(self, bench: Bench, record: bytes) -> None:
        bench.client.hset(bench.keys.jobs, "damaged", record)
        stored = bench.snapshot()
        assert not run_cancel(bench, "damaged")
        assert bench.snapshot() == stored

    def test_while_the_kind_is_asked_for(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        keys = bench.keys
        stored = bench.snapshot()
        fixed = [keys.jobs, keys.state, keys.losses, keys.totals, keys.meta]
        assert bench.call("cancel", fixed, id, "", b"") == [b"kind", b"email"]
        assert bench.snapshot() == stored
