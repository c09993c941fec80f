"""repair and its scripts: what it mends beside jobs, and that it looks again before it writes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.damage import evict, fill, mend, run_repair

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


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
