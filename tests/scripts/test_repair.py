"""repair and its scripts: where a job goes that is elsewhere, and what else is mended."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs.operations.repair import RepairReport, repair
from redisjobs.states import Status
from tests.damage import fill
from tests.scripts.bench import DAMAGED

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

HOUR_US = 3_600_000_000


def run_repair(bench: Bench, *, dry_run: bool = False) -> RepairReport:
    return bench.run(repair(bench.keys, RepairReport(dry_run=dry_run)))


def mend(bench: Bench, *, left: int = 0) -> str:
    """The sentence of a repair that does one thing, and leaves a queue that a check finds sound."""
    report = run_repair(bench)
    assert len(report.left) == left, report.left
    [sentence] = report
    assert run_repair(bench) == []
    return sentence


def evict(bench: Bench, *keys: bytes) -> None:
    assert bench.client.delete(*keys) == len(keys)


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


class TestKinds:
    def test_those_that_were_lost_are_entered(self, bench: Bench) -> None:
        bench.enqueue("waits")
        bench.end(*bench.enqueue("ended"), kind="ended")
        bench.enqueue("held")
        bench.register()
        bench.take(kinds=["held"])
        evict(bench, bench.keys.kinds)
        report = run_repair(bench)
        assert report.repaired == {"kinds": 3}
        assert bench.client.smembers(bench.keys.kinds) == {b"waits", b"ended", b"held"}

    def test_one_whose_jobs_have_no_readable_kind_is_entered(self, bench: Bench) -> None:
        bench.end(*bench.enqueue(ids=["one"]))
        bench.client.hset(bench.keys.jobs, "one", "junk")
        evict(bench, bench.keys.kinds)
        assert mend(bench, left=1) == "kinds did not have 'email': entered"
        assert bench.client.smembers(bench.keys.kinds) == {b"email"}

    def test_a_bell_that_stayed_behind_is_removed(self, bench: Bench) -> None:
        bench.client.rpush(bench.keys.bell("fax"), 1)
        assert mend(bench) == "bell:fax stayed behind: removed"
        assert "bell:fax" not in bench.snapshot()
        assert bench.client.scard(bench.keys.kinds) == 0

    def test_where_jobs_are_due_and_no_bell_has_a_token_it_rings(self, bench: Bench) -> None:
        bench.enqueue("due", 3)
        bench.enqueue("later", delay=timedelta(hours=1))
        bench.silence("due")
        bench.silence("later")
        assert run_repair(bench, dry_run=True) == []
        assert bench.tokens("due") == 0
        assert run_repair(bench) == []
        assert (bench.tokens("due"), bench.tokens("later")) == (1, 0)
        run_repair(bench)
        assert bench.tokens("due") == 1

    def test_totals_are_at_least_what_is_kept(self, bench: Bench) -> None:
        bench.end(*bench.enqueue(number=2))
        bench.client.hset(
            bench.keys.totals, mapping={"done:email": 1, "failed:email": "x", "retried:email": ""}
        )
        report = run_repair(bench)
        assert report.repaired == {"totals": 3}
        assert report.left == []
        assert bench.totals() == {"done:email": 2, "failed:email": 0, "retried:email": 0}
        assert run_repair(bench) == []

    def test_totals_above_it_stay(self, bench: Bench) -> None:
        bench.end(*bench.enqueue(number=2))
        bench.client.hset(bench.keys.totals, "done:email", 50)
        assert run_repair(bench) == []
        assert bench.totals() == {"done:email": 50}


class TestMeta:
    SETTINGS = ("retention_us", "retention_limit", "failed_retention_us", "failed_limit")

    @pytest.mark.parametrize("name", SETTINGS)
    def test_a_setting_that_is_no_number_is_forgotten(self, bench: Bench, name: str) -> None:
        bench.register()
        bench.client.hset(bench.keys.meta, mapping=dict.fromkeys(self.SETTINGS, 7) | {name: "1h"})
        assert f"setting {name} was no number" in mend(bench)
        kept = [one for one in self.SETTINGS if one != name]
        assert bench.client.hmget(bench.keys.meta, name, *kept) == [None, b"7", b"7", b"7"]

    @pytest.mark.parametrize("token", ["junk", "-5", None, 1])
    def test_a_token_counter_goes_on_beyond_all_that_it_gave(
        self, bench: Bench, token: Any
    ) -> None:
        bench.register()
        bench.enqueue(number=3)
        bench.take(limit=1)
        [delivery] = bench.take(limit=1)
        if token is None:
            bench.client.hdel(bench.keys.meta, "token")
        else:
            bench.client.hset(bench.keys.meta, "token", token)
        before_us = bench.clock.now_us
        assert "it goes on from" in mend(bench)
        [later] = bench.take(limit=1)
        assert int(delivery.partition(":")[0]) == 2
        assert before_us < int(later.partition(":")[0]) <= bench.clock.now_us + 1

    def test_a_counter_that_no_delivery_contradicts_stays(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue()
        bench.take()
        before = bench.snapshot()
        assert run_repair(bench) == []
        assert bench.snapshot() == before

    def test_data_of_a_newer_release_is_left_alone(self, bench: Bench) -> None:
        fill(bench)
        bench.client.hset(bench.keys.meta, mapping={"schema": 99, "retention_us": "x"})
        evict(bench, bench.keys.due("email"), bench.keys.kinds)
        bench.client.persist(bench.keys.request("producer"))
        before = bench.snapshot()
        report = run_repair(bench)
        assert not report
        assert any(sentence.startswith("schema:") for sentence in report.left)
        assert bench.snapshot() == before


class TestKeysAndWorkers:
    def test_keys_that_should_expire_do_so(self, bench: Bench) -> None:
        keys = bench.keys
        bench.enqueue(ids=["one"])
        bench.client.persist(keys.request("producer"))
        bench.client.hset(keys.last_chance, "one", "5 w")
        bench.client.zadd(keys.waited, {"one": 5})
        timekeeper = keys.of_kind("email")[2]
        bench.client.set(timekeeper, "5 w")
        report = run_repair(bench)
        assert report.repaired == {"keys": 4}
        for key in (keys.request("producer"), keys.last_chance, keys.waited):
            assert 50_000 < bench.client.pttl(key) <= 60_000
        assert bench.client.exists(timekeeper) == 0
        assert run_repair(bench) == []

    def test_keys_that_are_none_of_a_queue_stay(self, bench: Bench) -> None:
        bench.client.set(bench.keys.prefix + b"strange", 1)
        report = run_repair(bench)
        assert not report
        assert report.left == ["I8: key 'strange' is none of a queue's, and never expires"]
        assert "strange" in bench.snapshot()

    def test_where_a_key_has_a_wrong_type_nothing_is_touched(self, bench: Bench) -> None:
        bench.client.set(bench.keys.workers, 1)
        bench.client.zadd(bench.keys.due("email"), {"ghost": 1})
        before = bench.snapshot()
        report = run_repair(bench)
        assert not report
        assert report.left == ["keys: 'workers' is a string, but should be a zset"]
        assert bench.snapshot() == before

    def test_what_is_stored_of_workers_that_are_not_registered_is_forgotten(
        self, bench: Bench
    ) -> None:
        bench.register("w")
        bench.client.hset(bench.keys.worker_info, "ghost", "{}")
        assert mend(bench).startswith("worker 'ghost' was in worker-info")
        assert bench.client.hkeys(bench.keys.worker_info) == [b"w"]


class TestASoundQueue:
    @pytest.mark.parametrize("dry_run", [False, True])
    def test_it_is_left_as_it_is(self, bench: Bench, dry_run: bool) -> None:
        fill(bench)
        before = bench.snapshot()
        report = run_repair(bench, dry_run=dry_run)
        assert not report
        assert not report.left
        assert report.repaired == {}
        assert bench.snapshot() == before
        assert report.examined["jobs"] == 11

    def test_an_empty_one_too(self, bench: Bench) -> None:
        report = run_repair(bench)
        assert not report
        assert not report.left
        assert bench.snapshot() == {}


class TestAtOneMoment:
    """What a script is asked to mend, it looks at again before it writes."""

    def jobs(self, bench: Bench, *ids: str, kinds: tuple[str, ...] = ("email",)) -> Any:
        keys = bench.keys
        call_keys = [keys.jobs, keys.state, keys.losses, keys.meta, keys.workers, keys.kinds]
        for kind in kinds:
            call_keys += (*keys.of_kind(kind)[:2], *keys.all_finished(kind))
        workers = ["w", "idle", "ghost"]
        call_keys += map(keys.processing, workers)
        told = [text for id in ids for text in (id, "")]
        return bench.call(
            "repair_jobs", call_keys, "mend", len(kinds), 0, len(workers), b"", *kinds, *workers,
            *told,
        )  # fmt: skip

    def test_jobs_that_are_where_they_belong_fit(self, bench: Bench) -> None:
        fill(bench)
        ids = sorted(bench.stored_ids())
        before = bench.snapshot()
        code, junk, *verdicts = self.jobs(bench, *ids, kinds=("email", "sms"))
        assert (code, junk) == (b"ok", [])
        assert [verb for verb, _ in verdicts] == [b"fits"] * len(ids)
        assert bench.snapshot() == before

    def test_a_key_that_expires_by_now_keeps_its_time(self, bench: Bench) -> None:
        keys = [bench.keys.request(name) for name in ("expires", "lasts", "gone")]
        bench.client.set(keys[0], 1, ex=1000)
        bench.client.set(keys[1], 1)
        assert bench.call("repair_keys", keys, "mend", 5000, 5000, 5000) == [0, 1, 0]
        assert bench.client.pttl(keys[0]) > 900_000
        assert 0 < bench.client.pttl(keys[1]) <= 5000

    def test_a_worker_that_registered_by_now_stays(self, bench: Bench) -> None:
        bench.register("w")
        bench.client.hset(bench.keys.worker_info, "ghost", "{}")
        keys = [bench.keys.workers, bench.keys.worker_info]
        assert bench.call("repair_workers", keys, "mend", "w", "ghost", "gone") == [0, 1, 0]
        assert bench.client.hkeys(bench.keys.worker_info) == [b"w"]

    def test_a_kind_that_it_was_not_given_is_asked_for_before_anything_is_written(
        self, bench: Bench
    ) -> None:
        fill(bench)
        bench.client.zadd(bench.keys.due("sms"), {"nobody": 1})
        bench.client.rpush(bench.keys.processing("ghost"), "1:released", "junk")
        before = bench.snapshot()
        assert self.jobs(bench, "released", "scheduled") == [b"kind", b"sms"]
        bench.register("new")
        before["workers"], before["worker-info"] = (
            bench.snapshot()[name] for name in ("workers", "worker-info")
        )
        assert sorted(self.jobs(bench, "released")[1:]) == [b"idle", b"new", b"w"]
        assert bench.snapshot() == before
