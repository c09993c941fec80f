"""retry.lua: a FAILED, PANIC or CANCELLED job waits again, as if it had never run."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations.one_job import cancel, retry
from redisjobs.record import encode_state_body
from redisjobs.states import Status
from tests.scripts.bench import DAMAGED

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


def run_retry(bench: Bench, id: str) -> bool:
    return bench.run(retry(bench.keys, id))


class TestAJobThatFailed:
    @pytest.mark.parametrize("letter", [b"F", b"X", b"C"])
    def test_it_waits_again_due_now_with_no_attempts(self, bench: Bench, letter: bytes) -> None:
        bench.register()
        (id,) = bench.enqueue()
        body = encode_state_body(11, 12, "why", None)
        bench.settle(*bench.take(), letter=letter, attempts=3, body=body)
        bench.clock.advance(timedelta(hours=1))
        before = bench.clock.now_us
        assert run_retry(bench, id)
        assert bench.codes == ["kind", "ok"]
        state, score = bench.state(id), bench.score(id)
        assert state is not None
        assert score is not None
        assert (state.letter, state.attempts_done, state.last_error) == (b"P", 0, "why")
        assert before <= score <= bench.clock.now_us
        assert state.time_us == score
        assert not [key for key in bench.snapshot() if key.startswith("finished:")]

    def test_one_that_lost_its_worker_too_often_has_no_losses_again(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        bench.take()
        bench.reap(max_losses=0)
        bench.set_losses(2, id, "another")
        assert run_retry(bench, id)
        assert bench.losses() == {"another": 2}
        assert bench.finished(Status.PANIC) == []
        job = bench.get(id)
        assert job is not None
        assert (job.status, job.last_error) == (Status.PENDING, None)

    def test_one_that_was_cancelled_while_it_waited_waits_again(self, bench: Bench) -> None:
        (id,) = bench.enqueue(delay=timedelta(hours=1))
        bench.run(cancel(bench.keys, id))
        assert run_retry(bench, id)
        bench.register()
        assert [one.id for one in bench.claim().claims] == [id]

    def test_it_waits_behind_what_waits_already(self, bench: Bench) -> None:
        failed, *waiting = bench.enqueue(number=4)
        bench.end(failed, letter=b"F")
        assert run_retry(bench, failed)
        assert bench.waiting() == [*waiting, failed]

    def test_it_rings(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.end(id, letter=b"F")
        assert bench.tokens() == 0
        run_retry(bench, id)
        assert bench.tokens() == 1

    def test_it_can_be_run_and_end(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"F")
        run_retry(bench, id)
        assert bench.settle(*bench.take()) == []
        assert bench.finished(Status.DONE) == [id]


class TestNothingHappens:
    def refuse(self, bench: Bench, id: str) -> None:
        stored = bench.snapshot()
        assert not run_retry(bench, id)
        assert bench.codes[-1] == "no"
        assert bench.snapshot() == stored

    def test_to_an_id_that_is_not_there(self, bench: Bench) -> None:
        self.refuse(bench, "nobody")

    def test_to_a_job_that_waits(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        self.refuse(bench, id)

    def test_to_a_job_that_waits_again(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P", delay_us=10**9)
        self.refuse(bench, id)

    def test_to_a_job_that_runs(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        bench.take()
        self.refuse(bench, id)

    def test_to_a_job_that_is_done(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.end(id)
        self.refuse(bench, id)

    def test_a_second_time(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.end(id, letter=b"F")
        assert run_retry(bench, id)
        self.refuse(bench, id)

    @pytest.mark.parametrize("letter", [b"F", b"X", b"L", b"C"])
    def test_to_a_record_past_its_time(self, bench: Bench, letter: bytes) -> None:
        bench.register("w", failed_retention_us=60_000_000)
        (id,) = bench.enqueue()
        delivery = bench.take()[0]
        if letter == b"L":
            bench.reap(max_losses=0)
        else:
            bench.settle(delivery, letter=letter)
        bench.clock.advance(timedelta(minutes=1))
        self.refuse(bench, id)

    @pytest.mark.parametrize("record", DAMAGED)
    def test_to_a_record_that_is_damaged(self, bench: Bench, record: bytes) -> None:
        bench.client.hset(bench.keys.jobs, "damaged", record)
        bench.client.hset(bench.keys.state, "damaged", b"F1:9000000000000000:")
        stored = bench.snapshot()
        assert not run_retry(bench, "damaged")
        assert bench.snapshot() == stored

    def test_to_a_state_that_is_damaged(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.client.hset(bench.keys.state, id, b"junk")
        self.refuse(bench, id)

    def test_while_the_kind_is_asked_for(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.end(id, letter=b"F")
        keys = bench.keys
        stored = bench.snapshot()
        fixed = [keys.jobs, keys.state, keys.losses, keys.meta]
        assert bench.call("retry", fixed, id, "") == [b"kind", b"email"]
        assert bench.snapshot() == stored
