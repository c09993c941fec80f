"""delete.lua: a job that waits or has ended is removed; one that runs stays."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations.one_job import delete
from tests.scripts.bench import DAMAGED

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


def run_delete(bench: Bench, id: str) -> bool:
    return bench.run(delete(bench.keys, id))


def traces(bench: Bench, id: str) -> list[str]:
    """The keys in which an id stands."""
    return [key for key, it in bench.snapshot().items() if id.encode() in repr(it.value).encode()]


class TestAJobThatIsRemoved:
    def test_one_that_waits_leaves_no_trace(self, bench: Bench) -> None:
        id, other = bench.enqueue(number=2)
        bench.set_losses(1, id)
        assert run_delete(bench, id)
        assert bench.codes == ["kind", "ok"]
        assert traces(bench, id) == []
        assert bench.waiting() == [other]
        assert bench.stored_ids() == {other}

    def test_one_that_waits_again_leaves_no_trace(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P", delay_us=10**9)
        assert run_delete(bench, id)
        assert traces(bench, id) == []

    @pytest.mark.parametrize("letter", [b"D", b"F", b"X", b"L", b"C"])
    def test_one_that_has_ended_leaves_no_trace(self, bench: Bench, letter: bytes) -> None:
        bench.register()
        (id,) = bench.enqueue()
        delivery = bench.take()[0]
        if letter == b"L":
            bench.reap(max_losses=0)
        else:
            bench.settle(delivery, letter=letter)
        assert traces(bench, id) != []
        assert run_delete(bench, id)
        assert traces(bench, id) == []

    def test_the_bell_goes_with_the_last_job_that_waits(self, bench: Bench) -> None:
        first, second = bench.enqueue(number=2)
        run_delete(bench, first)
        assert bench.tokens() == 2
        run_delete(bench, second)
        assert {"due:email", "bell:email"}.isdisjoint(bench.snapshot())

    def test_the_bell_of_those_that_wait_stays_when_one_that_ended_goes(self, bench: Bench) -> None:
        first, *_ = bench.enqueue(number=3)
        bench.end(first)
        bench.silence()
        bench.enqueue()
        run_delete(bench, first)
        assert bench.tokens() == 1

    def test_its_id_may_be_used_again(self, bench: Bench) -> None:
        (id,) = bench.enqueue("a")
        bench.end(id, kind="a")
        run_delete(bench, id)
        bench.enqueue("b", ids=[id])
        assert bench.waiting("b") == [id]

    def test_no_total_is_changed(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.end(id)
        run_delete(bench, id)
        assert bench.totals() == {"done:email": 1}


class TestADamagedJobThatIsRemoved:
    """An operator gets rid of it, whatever is stored of it."""

    def damage(self, bench: Bench, record: bytes, id: str = "damaged") -> str:
        bench.client.hset(bench.keys.jobs, id, record)
        bench.client.hset(bench.keys.state, id, b"junk")
        bench.set_losses(1, id)
        return id

    @pytest.mark.parametrize("record", DAMAGED)
    def test_one_that_stands_nowhere_leaves_no_trace(self, bench: Bench, record: bytes) -> None:
        assert run_delete(bench, self.damage(bench, record))
        assert traces(bench, "damaged") == []

    @pytest.mark.parametrize("record", DAMAGED)
    def test_one_that_waits_as_any_kind_leaves_no_trace(self, bench: Bench, record: bytes) -> None:
        bench.enqueue("email")
        bench.enqueue("sms")
        bench.client.zrem(bench.keys.due("sms"), *bench.waiting("sms"))
        bench.client.zadd(bench.keys.due("sms"), {self.damage(bench, record): 1})
        assert run_delete(bench, "damaged")
        assert traces(bench, "damaged") == []
        assert bench.waiting() == ["email-00001"]
        assert bench.tokens("email") == 1
        assert bench.tokens("sms") == 0

    @pytest.mark.parametrize("record", DAMAGED)
    def test_one_that_has_ended_leaves_no_trace(self, bench: Bench, record: bytes) -> None:
        bench.end(*bench.enqueue(ids=["damaged"]))
        bench.client.hset(bench.keys.jobs, "damaged", record)
        assert run_delete(bench, "damaged")
        assert traces(bench, "damaged") == []

    def test_one_whose_state_alone_cannot_be_read_leaves_no_trace(self, bench: Bench) -> None:
        bench.end(*bench.enqueue(ids=["damaged"]))
        bench.client.hset(bench.keys.state, "damaged", "junk")
        assert run_delete(bench, "damaged")
        assert bench.codes[-1] == "ok"
        assert traces(bench, "damaged") == []

    @pytest.mark.parametrize("record", [*DAMAGED, None])
    def test_one_that_a_worker_holds_stays(self, bench: Bench, record: bytes | None) -> None:
        bench.register("idle")
        bench.register()
        bench.enqueue(ids=["damaged"])
        bench.take()
        bench.client.hset(bench.keys.state, "damaged", "junk")
        if record is not None:
            bench.client.hset(bench.keys.jobs, "damaged", record)
        stored = bench.snapshot()
        assert not run_delete(bench, "damaged")
        assert bench.codes[-2:] == ["worker", "no"]
        assert bench.snapshot() == stored

    def test_one_that_was_renewed_meanwhile_stays(self, bench: Bench) -> None:
        bench.enqueue(ids=["damaged"])
        bench.client.hset(bench.keys.state, "damaged", b"junk")
        stored = bench.snapshot()
        keys = bench.keys
        fixed = [keys.jobs, keys.state, keys.losses, keys.workers, keys.waited]
        assert bench.call("delete_damaged", fixed, "damaged", "", 1, 0) == [b"no"]
        assert bench.call("delete_damaged", fixed, "damaged", "sms", 1, 0) == [b"no"]
        assert bench.snapshot() == stored
        bench.client.hset(keys.state, "damaged", b"P1:5:")
        assert bench.call("delete_damaged", fixed, "damaged", "email", 0, 0) == [b"no"]
        assert bench.waiting() == ["damaged"]


class TestNothingHappens:
    def refuse(self, bench: Bench, id: str) -> None:
        stored = bench.snapshot()
        assert not run_delete(bench, id)
        assert bench.codes[-1] == "no"
        assert bench.snapshot() == stored

    def test_to_an_id_that_is_not_there(self, bench: Bench) -> None:
        self.refuse(bench, "nobody")

    @pytest.mark.parametrize("attempts", [0, 1])
    def test_to_a_job_that_runs(self, bench: Bench, attempts: int) -> None:
        bench.register()
        (id,) = bench.enqueue()
        for _ in range(attempts):
            bench.settle(*bench.take(), letter=b"P")
        bench.take()
        self.refuse(bench, id)

    @pytest.mark.parametrize("letter", [b"D", b"F"])
    def test_to_a_record_past_its_time(self, bench: Bench, letter: bytes) -> None:
        bench.register("w", retention_us=60_000_000, failed_retention_us=60_000_000)
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=letter)
        bench.clock.advance(timedelta(minutes=1))
        self.refuse(bench, id)

    def test_a_second_time(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        assert run_delete(bench, id)
        self.refuse(bench, id)

    def test_while_the_kind_is_asked_for(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        keys = bench.keys
        stored = bench.snapshot()
        fixed = [keys.jobs, keys.state, keys.losses, keys.meta]
        assert bench.call("delete", fixed, id, "") == [b"kind", b"email"]
        assert bench.snapshot() == stored
