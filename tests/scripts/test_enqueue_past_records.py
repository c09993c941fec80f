"""enqueue.lua: records past their time count as absent and give way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.errors import JobExistsError
from redisjobs.record import decode_record

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

HOUR_US = 3_600_000_000


class TestRecordsPastTheirTime:
    @pytest.mark.parametrize("letter", [b"D", b"F", b"X", b"L", b"C"])
    def test_such_a_record_gives_way_and_leaves_nothing_behind(
        self, bench: Bench, letter: bytes
    ) -> None:
        bench.register(retention_us=HOUR_US, failed_retention_us=HOUR_US)
        (id,) = bench.enqueue()
        delivery = bench.take()[0]
        if letter == b"L":
            bench.reap(max_losses=0)
        else:
            bench.settle(delivery, letter=letter)
        bench.clock.advance(timedelta(minutes=50))
        with pytest.raises(JobExistsError):
            bench.enqueue(ids=[id])
        bench.clock.advance(timedelta(minutes=10))
        bench.enqueue(ids=[id], payload=b"new")
        assert bench.codes == ["kind", "ok"]
        assert bench.waiting() == [id]
        assert bench.state(id) is None
        assert not [key for key in bench.snapshot() if key.startswith("finished:")]
        assert decode_record(bench.client.hget(bench.keys.jobs, id)).payload == b"new"

    def test_such_a_record_of_another_kind_gives_way(self, bench: Bench) -> None:
        bench.register(retention_us=HOUR_US)
        ids = [*bench.enqueue("a", 2), *bench.enqueue("b")]
        bench.end(*ids[:2], kind="a")
        bench.end(*ids[2:], kind="b")
        bench.clock.advance(timedelta(hours=1))
        bench.enqueue("c", ids=[*ids, "new"])
        assert bench.codes == ["kind", "ok"]
        assert sorted(bench.answers[0][1:]) == [b"a", b"a", b"b"]
        assert bench.waiting("c") == [*ids, "new"]
        assert not [key for key in bench.snapshot() if key.startswith(("finished:", "state"))]

    def test_a_record_over_a_limit_of_none_gives_way(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.end(id)
        bench.register(retention_limit=0)
        bench.enqueue(ids=[id])
        assert bench.waiting() == [id]

    def test_one_that_is_not_past_its_time_refuses_the_call_for_all(self, bench: Bench) -> None:
        bench.register(retention_us=HOUR_US)
        first, second = bench.enqueue(number=2)
        bench.end(first)
        bench.clock.advance(timedelta(hours=1))
        bench.end(second)
        stored = bench.snapshot()
        with pytest.raises(JobExistsError) as refusal:
            bench.store(*bench.jobs(ids=[first, second, "new"]), producer="another")
        assert refusal.value.ids == (second,)
        assert bench.snapshot(bench.keys.request("another")) == stored

    def test_a_job_that_waits_again_is_not_past_its_time_however_old(self, bench: Bench) -> None:
        bench.register(retention_us=1, failed_retention_us=1)
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P")
        bench.clock.advance(timedelta(days=400))
        with pytest.raises(JobExistsError):
            bench.enqueue(ids=[id])

    def test_the_question_for_kinds_writes_nothing(self, bench: Bench) -> None:
        bench.register(retention_us=HOUR_US)
        (id,) = bench.enqueue()
        bench.end(id)
        bench.clock.advance(timedelta(hours=1))
        stored = bench.snapshot()
        keys = bench.keys
        fixed = [keys.jobs, keys.request("p"), keys.kinds, keys.state, keys.meta]
        (job,) = bench.jobs(ids=[id])
        reply = bench.call(
            "enqueue",
            [*fixed, keys.due("email"), keys.bell("email")],
            *(1, 1, 1, 0, "email", 1, id, job.record, job.when),
        )
        assert reply == [b"kind", b"email"]
        assert bench.snapshot() == stored
