"""enqueue.lua: a call whose reply was lost may be repeated, and may arrive late."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from redisjobs.errors import JobExistsError
from redisjobs.record import decode_record

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


class TestRepetition:
    def test_a_repeated_call_writes_nothing(self, bench: Bench) -> None:
        jobs = bench.jobs(number=3)
        bench.store(*jobs, number=1)
        stored = bench.snapshot()
        bench.store(*jobs, number=1)
        assert bench.codes == ["again"]
        assert bench.snapshot() == stored

    def test_a_repeated_call_runs_nothing_twice_after_its_jobs_are_gone(self, bench: Bench) -> None:
        bench.register(retention_us=0)
        jobs = bench.jobs(number=3)
        bench.store(*jobs, number=1)
        bench.settle(*bench.take())
        assert bench.stored_ids() == set()
        bench.store(*jobs, number=1)
        assert bench.codes == ["again"]
        assert bench.stored_ids() == set()

    def test_a_call_that_arrives_after_a_later_one_writes_nothing(self, bench: Bench) -> None:
        bench.store(*bench.jobs(), number=10)
        stored = bench.snapshot()
        bench.store(*bench.jobs(), number=9)
        assert bench.codes == ["again"]
        assert bench.snapshot() == stored

    def test_the_next_call_of_a_producer_is_carried_out(self, bench: Bench) -> None:
        bench.store(*bench.jobs(), number=9)
        bench.store(*bench.jobs(), number=10)
        assert bench.codes == ["ok"]
        assert len(bench.waiting()) == 2

    def test_a_refusal_stands_when_its_call_arrives_again_after_the_way_is_free(
        self, bench: Bench
    ) -> None:
        there = bench.enqueue(ids=["1\n2", "3"])
        jobs = bench.jobs(ids=["new", *there])
        for _ in range(2):
            with pytest.raises(JobExistsError) as refusal:
                bench.store(*jobs, producer="another", number=7)
            assert refusal.value.ids == tuple(there)
            bench.client.delete(bench.keys.jobs, bench.keys.due("email"))
        assert bench.stored_ids() == set()

    def test_a_call_before_a_refused_one_writes_nothing(self, bench: Bench) -> None:
        there = bench.enqueue()
        with pytest.raises(JobExistsError):
            bench.store(*bench.jobs(ids=there), producer="another", number=7)
        bench.store(*bench.jobs(ids=["late"]), producer="another", number=6)
        assert bench.codes == ["again"]
        assert bench.stored_ids() == set(there)

    def test_the_call_after_a_refused_one_is_carried_out(self, bench: Bench) -> None:
        there = bench.enqueue()
        with pytest.raises(JobExistsError):
            bench.store(*bench.jobs(ids=there), producer="another", number=7)
        bench.store(*bench.jobs(ids=["new"]), producer="another", number=8)
        assert bench.codes == ["ok"]

    def test_a_remembered_refusal_names_a_hundred_ids(self, bench: Bench) -> None:
        there = bench.enqueue(number=150)
        jobs = bench.jobs(ids=there)
        for named in (150, 100):
            with pytest.raises(JobExistsError) as refusal:
                bench.store(*jobs, producer="another", number=1)
            assert refusal.value.ids == tuple(there[:named])

    def test_a_refusal_is_remembered_for_a_minute_only(self, bench: Bench) -> None:
        there = bench.enqueue()
        with pytest.raises(JobExistsError):
            bench.store(*bench.jobs(ids=there), producer="another")
        assert 50 < bench.client.ttl(bench.keys.request("another")) <= 60

    def test_a_call_knows_its_own_jobs_by_their_mark_when_its_number_is_forgotten(
        self, bench: Bench
    ) -> None:
        jobs = bench.jobs(number=3)
        bench.store(*jobs)
        bench.client.delete(bench.keys.request("producer"))
        stored = bench.snapshot()
        bench.store(*jobs)
        assert bench.codes == ["again"]
        assert bench.snapshot() == stored

    def test_a_call_knows_itself_by_the_last_of_its_jobs_that_is_left(self, bench: Bench) -> None:
        bench.register(retention_us=0)
        jobs = bench.jobs(number=3)
        bench.store(*jobs)
        bench.settle(*bench.take(limit=2))
        bench.client.delete(bench.keys.request("producer"))
        bench.store(*jobs)
        assert bench.codes == ["again"]
        assert bench.stored_ids() == {jobs[2].id}

    def test_equal_jobs_of_two_producers_are_told_apart(self, bench: Bench) -> None:
        created = datetime(2026, 1, 1, tzinfo=UTC)
        mine, theirs = (
            bench.jobs(ids=["invoice-7"], created_at=created, mark=mark)[0] for mark in (1, 2)
        )
        assert decode_record(mine.record) == decode_record(theirs.record)
        bench.store(mine, producer="mine", number=1)
        with pytest.raises(JobExistsError):
            bench.store(theirs, producer="theirs", number=1)
