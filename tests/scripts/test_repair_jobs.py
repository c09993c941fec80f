"""repair_jobs.lua: where a job goes that is not where it belongs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.states import Status
from tests.damage import evict, mend, run_repair
from tests.scripts.bench import DAMAGED

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

HOUR_US = 3_600_000_000


class TestDeliveriesThatNobodyMinds:
    def abandon(self, bench: Bench, worker: str = "w") -> None:
        bench.client.zrem(bench.keys.workers, worker)
        bench.client.hdel(bench.keys.worker_info, worker)

    def test_they_are_given_back_in_their_order_before_what_waits(self, bench: Bench) -> None:
        ids = bench.enqueue(number=3)
        bench.register()
        bench.take()
        others = bench.enqueue(number=2)
        bench.silence()
        self.abandon(bench)
        report = run_repair(bench)
        assert sorted(report) == [
            f"job '{id}' was not where it belongs: put in due:email, taken out of processing:w"
            for id in ids
        ]
        assert report.repaired == {"jobs": 3}
        assert report.left == []
        assert bench.waiting() == [*ids, *others]
        assert bench.tokens() == 3
        assert bench.losses() == {}
        assert run_repair(bench) == []

    def test_any_number_of_them_keep_their_order(self, real_bench: Bench) -> None:
        bench = real_bench
        ids = bench.enqueue(number=1201)
        bench.register()
        bench.take(limit=1201)
        assert len(bench.held()) == 1201
        self.abandon(bench)
        assert run_repair(bench).repaired == {"jobs": 1201}
        assert bench.waiting() == ids

    def test_an_id_that_waits_too_stays_there(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"], delay=timedelta(hours=1))
        score = bench.score("one")
        bench.client.rpush(bench.keys.processing("ghost"), "0:one")
        assert mend(bench) == "job 'one' stays in due:email: taken out of processing:ghost"
        assert bench.score("one") == score

    def test_an_id_that_a_worker_holds_stays_with_it(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.register()
        held = bench.take()
        bench.client.rpush(bench.keys.processing("ghost"), "9:one")
        assert mend(bench) == "job 'one' stays in processing:w: taken out of processing:ghost"
        assert bench.held() == held

    def test_those_of_a_worker_that_is_being_reaped_are_left_to_its_reaper(
        self, bench: Bench
    ) -> None:
        bench.enqueue(ids=["one"])
        bench.staffed()
        held = bench.take("w")
        bench.client.zadd(bench.keys.workers, {"w": 0})
        assert run_repair(bench) == []
        assert bench.held("w") == held

    @pytest.mark.parametrize("record", DAMAGED)
    def test_one_of_no_kind_waits_as_a_kind_that_there_is(
        self, bench: Bench, record: bytes
    ) -> None:
        bench.enqueue("sms")
        bench.client.hset(bench.keys.jobs, "one", record)
        bench.client.rpush(bench.keys.processing("ghost"), "0:one")
        mend(bench, left=1)
        assert bench.waiting("sms")[0] == "one"

    def test_one_of_no_kind_waits_as_a_kind_of_its_own_where_there_is_none(
        self, bench: Bench
    ) -> None:
        bench.client.hset(bench.keys.jobs, "one", "junk")
        bench.client.rpush(bench.keys.processing("ghost"), "0:one")
        mend(bench, left=1)
        assert bench.waiting("unreadable") == ["one"]
        assert bench.client.smembers(bench.keys.kinds) == {b"unreadable"}

    def test_one_of_no_kind_that_has_ended_does_not_wait_again(self, bench: Bench) -> None:
        bench.end(*bench.enqueue(ids=["one"]))
        bench.client.hset(bench.keys.jobs, "one", "junk")
        evict(bench, bench.keys.finished(Status.DONE, "email"))
        bench.client.rpush(bench.keys.processing("ghost"), "0:one")
        assert mend(bench, left=1) == "job 'one': taken out of processing:ghost"
        assert bench.waiting() == []
        assert bench.state("one") is not None

    def test_one_of_no_kind_stays_with_all_workers_that_hold_it(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.staffed()
        bench.take("w")
        for worker in ("v", "ghost"):
            bench.client.rpush(bench.keys.processing(worker), "0:one")
        bench.client.hset(bench.keys.jobs, "one", "junk")
        mend(bench, left=1)
        assert [bench.held(worker) for worker in ("w", "v")] == [["1:one"], ["0:one"]]

    def test_one_whose_state_cannot_be_read_waits_again(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.client.hset(bench.keys.state, "one", "junk")
        bench.register()
        bench.take()
        self.abandon(bench)
        mend(bench, left=1)
        assert bench.waiting() == ["one"]


class TestJobsWithoutAPlace:
    def test_those_of_a_lost_due_set_wait_for_their_own_times(self, bench: Bench) -> None:
        in_an_hour = bench.clock.now_us + HOUR_US
        bench.enqueue(ids=["due"])
        bench.enqueue(ids=["scheduled"], delay=timedelta(hours=1))
        bench.register()
        bench.enqueue(ids=["retried"])
        bench.take(limit=1)
        assert bench.settle(*bench.take(), letter=b"P", delay_us=HOUR_US) == []
        bench.release(*bench.held())
        assert bench.waiting() == ["due", "scheduled", "retried"]
        evict(bench, bench.keys.due("email"), bench.keys.bell("email"))
        assert run_repair(bench).repaired == {"jobs": 3}
        assert bench.waiting()[0] == "due"
        assert bench.score("due", "email") <= bench.clock.now_us  # type: ignore[operator]
        for id in ("scheduled", "retried"):
            assert bench.score(id) == pytest.approx(in_an_hour, abs=60_000_000)
        assert bench.tokens() == 1
        assert bench.take() == ["3:due"]

    def test_one_whose_record_cannot_be_read_waits_from_now_on(self, bench: Bench) -> None:
        bench.client.hset(bench.keys.jobs, "one", b"1email\0\0junk")
        mend(bench, left=1)
        assert bench.waiting() == ["one"]
        assert bench.client.smembers(bench.keys.kinds) == {b"email"}

    def test_one_of_no_kind_is_left_alone(self, bench: Bench) -> None:
        bench.client.hset(bench.keys.jobs, "one", "junk")
        before = bench.snapshot()
        report = run_repair(bench)
        assert not report
        assert len(report.left) == 1
        assert bench.snapshot() == before

    @pytest.mark.parametrize(
        ("letter", "status"),
        [
            (b"D", Status.DONE), (b"F", Status.FAILED), (b"X", Status.PANIC),
            (b"C", Status.CANCELLED),
        ],
    )  # fmt: skip
    def test_one_that_ended_goes_to_its_finished_set_by_when(
        self, bench: Bench, letter: bytes, status: Status
    ) -> None:
        bench.end(*bench.enqueue(ids=["one"]), letter=letter)
        before = bench.snapshot()
        evict(bench, bench.keys.finished(status, "email"))
        assert mend(bench).startswith("job 'one' was not where it belongs: put in finished:")
        assert bench.snapshot() == before

    def test_one_past_its_time_is_found_by_the_next_sweep(self, bench: Bench) -> None:
        bench.end(*bench.enqueue(ids=["one", "two"]))
        bench.client.zrem(bench.keys.finished(Status.DONE, "email"), "one")
        bench.clock.advance(timedelta(hours=2))
        mend(bench)
        assert bench.finished(Status.DONE) == ["one", "two"]


class TestJobsInSeveralPlaces:
    def test_the_lock_wins_over_the_due_set(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.register()
        held = bench.take()
        bench.client.zadd(bench.keys.due("email"), {"one": 1})
        bench.client.rpush(bench.keys.bell("email"), 1)
        assert mend(bench) == "job 'one' stays in processing:w: taken out of due:email"
        assert bench.held() == held
        assert bench.tokens() == 0
        assert bench.settle(*held) == []

    def test_of_two_locks_the_later_one_wins(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.staffed()
        bench.release(*bench.take("w"), worker="w")
        later = bench.take("v")
        bench.client.rpush(bench.keys.processing("w"), "1:one")
        assert mend(bench) == "job 'one' stays in processing:v: taken out of processing:w"
        assert bench.held("w") == []
        assert bench.settle(*later, worker="v") == []

    def test_a_token_that_was_never_given_is_no_later_lock(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.staffed()
        held = bench.take("w")
        bench.client.rpush(bench.keys.processing("v"), "99:one")
        assert mend(bench) == "job 'one' stays in processing:w: taken out of processing:v"
        assert bench.settle(*held, worker="w") == []

    def test_of_twice_the_same_lock_one_stays(self, bench: Bench) -> None:
        bench.enqueue(ids=["one", "two"])
        bench.register()
        held = bench.take()
        bench.client.rpush(bench.keys.processing("w"), held[0])
        mend(bench)
        assert sorted(bench.held()) == held

    def test_its_own_kind_wins_over_another(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"], delay=timedelta(hours=1))
        score = bench.score("one")
        bench.client.zadd(bench.keys.due("sms"), {"one": 1})
        assert mend(bench) == "job 'one' stays in due:email: taken out of due:sms"
        assert bench.score("one") == score

    def test_from_another_kind_it_keeps_its_time(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"], delay=timedelta(hours=1))
        score = bench.score("one")
        bench.client.zadd(bench.keys.due("sms"), {"one": score})
        evict(bench, bench.keys.due("email"))
        mend(bench)
        assert bench.score("one") == score
        assert bench.waiting("sms") == []

    @pytest.mark.parametrize("where", ["due", "processing"])
    def test_an_end_wins_over_all_else(self, bench: Bench, where: str) -> None:
        bench.end(*bench.enqueue(ids=["one"]))
        before = bench.snapshot()
        bench.register("w")
        bench.client.zadd(bench.keys.finished(Status.FAILED, "email"), {"one": 1})
        if where == "due":
            bench.client.zadd(bench.keys.due("email"), {"one": 1})
            bench.client.rpush(bench.keys.bell("email"), 1)
        else:
            bench.client.rpush(bench.keys.processing("w"), "1:one")
        mend(bench)
        bench.client.zrem(bench.keys.workers, "w")
        bench.client.hdel(bench.keys.worker_info, "w")
        assert bench.snapshot() == before

    def test_what_waits_is_taken_out_of_a_finished_set(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.client.zadd(bench.keys.finished(Status.DONE, "email"), {"one": 1})
        mend(bench)
        assert bench.waiting() == ["one"]
        assert bench.state("one") is None

    def test_what_is_to_run_again_is_taken_out_of_a_finished_set(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.register()
        bench.settle(*bench.take(), letter=b"P", delay_us=HOUR_US)
        bench.client.zadd(bench.keys.finished(Status.DONE, "email"), {"one": 1})
        evict(bench, bench.keys.due("email"))
        mend(bench)
        state = bench.state("one")
        assert state is not None
        assert bench.score("one") == state.time_us


class TestLostStates:
    @pytest.mark.parametrize(
        ("letter", "status"),
        [
            (b"D", Status.DONE), (b"F", Status.FAILED), (b"X", Status.PANIC),
            (b"C", Status.CANCELLED),
        ],
    )  # fmt: skip
    def test_a_job_ended_as_its_finished_set_says(
        self, bench: Bench, letter: bytes, status: Status
    ) -> None:
        bench.end(*bench.enqueue(ids=["one"]), letter=letter)
        before = bench.state("one")
        evict(bench, bench.keys.state)
        name = f"finished:{status.lower()}:email"
        assert mend(bench) == f"job 'one' had lost its state: it ended as {name} says"
        state = bench.state("one")
        assert before is not None
        assert state is not None
        assert (state.letter, state.time_us) == (letter, before.time_us)
        assert bench.finished(status) == ["one"]
        job = bench.get("one")
        assert job is not None
        assert job.status is status

    def test_of_several_finished_sets_the_last_is_believed(self, bench: Bench) -> None:
        bench.end(*bench.enqueue(ids=["one"]))
        bench.client.zadd(bench.keys.finished(Status.FAILED, "email"), {"one": 1})
        bench.client.zadd(bench.keys.finished(Status.PANIC, "sms"), {"one": 2})
        evict(bench, bench.keys.state)
        mend(bench)
        assert bench.finished(Status.DONE) == ["one"]
        assert bench.finished(Status.FAILED) == bench.finished(Status.PANIC, "sms") == []

    def test_its_losses_go(self, bench: Bench) -> None:
        bench.end(*bench.enqueue(ids=["one"]))
        bench.set_losses(2, "one")
        evict(bench, bench.keys.state)
        mend(bench)
        assert bench.losses() == {}


class TestLostRecords:
    def test_nothing_is_left_of_such_a_job(self, bench: Bench) -> None:
        bench.enqueue(ids=["waits", "held"])
        bench.register()
        bench.release(bench.take()[0])
        bench.set_losses(1, "waits", "held")
        evict(bench, bench.keys.jobs)
        report = run_repair(bench)
        assert sorted(report) == [
            "job 'held' has no record: taken out of losses, processing:w",
            "job 'waits' has no record: taken out of losses, due:email",
        ]
        assert report.left == []
        assert {"due:email", "bell:email", "processing:w", "losses"}.isdisjoint(bench.snapshot())

    def test_one_that_ended_leaves_its_state_and_its_set(self, bench: Bench) -> None:
        bench.end(*bench.enqueue(ids=["one"]))
        evict(bench, bench.keys.jobs)
        mend(bench)
        assert {"state", "finished:done:email"}.isdisjoint(bench.snapshot())


class TestLosses:
    @pytest.mark.parametrize("count", ["many", "0", "-1", "1.5", ""])
    def test_what_is_no_count_is_forgotten(self, bench: Bench, count: str) -> None:
        bench.enqueue(ids=["one"])
        bench.client.hset(bench.keys.losses, "one", count)
        assert mend(bench) == "job 'one' stays in due:email: taken out of losses"
        assert bench.losses() == {}
        bench.register()
        assert bench.take() == ["1:one"]

    def test_a_count_stays(self, bench: Bench) -> None:
        bench.enqueue(ids=["one"])
        bench.set_losses(10, "one")
        bench.client.zadd(bench.keys.due("sms"), {"one": 1})
        mend(bench)
        assert bench.losses() == {"one": 10}


class TestWhatIsNoDelivery:
    @pytest.mark.parametrize("entry", ["one", "x:one", "1:", ":", "", "1" * 17 + ":one"])
    def test_it_is_dropped(self, bench: Bench, entry: str) -> None:
        bench.enqueue(ids=["one", "two"])
        bench.register()
        held = bench.take()
        bench.client.lpush(bench.keys.processing("w"), entry)
        assert mend(bench) == f"{entry!r} in processing:w was no delivery: dropped"
        assert bench.held() == held
