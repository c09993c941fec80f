"""register.lua: a worker enters, says how long records are kept, and is forgiven a lapse."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.errors import IncompatibleQueueError, LockLostError
from redisjobs.operations import membership

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


class TestEntering:
    def test_a_worker_has_a_lease_and_its_info(self, bench: Bench) -> None:
        before = bench.clock.now_us
        bench.register("w", lease_us=7_000_000, info=b'{"pid": 1}')
        assert bench.codes == ["ok"]
        lease = bench.client.zscore(bench.keys.workers, "w")
        assert before + 7_000_000 <= lease <= bench.clock.now_us + 7_000_000
        assert bench.client.hgetall(bench.keys.worker_info) == {b"w": b'{"pid": 1}'}

    def test_it_leaves_nothing_else_but_the_schema(self, bench: Bench) -> None:
        bench.register()
        stored = bench.snapshot()
        assert set(stored) == {"workers", "worker-info", "meta"}
        assert stored["meta"].value == {b"schema": b"1"}

    def test_it_may_enter_twice(self, bench: Bench) -> None:
        bench.register(info=b"old")
        bench.clock.advance(timedelta(seconds=5))
        before = bench.clock.now_us
        bench.register(info=b"new")
        assert bench.client.zscore(bench.keys.workers, "w") >= before + 15_000_000
        assert bench.client.hgetall(bench.keys.worker_info) == {b"w": b"new"}

    def test_one_that_arrives_after_the_worker_has_left_lapses_and_is_reaped(
        self, bench: Bench
    ) -> None:
        bench.register("w")
        bench.run(membership.unregister(bench.keys, "w"))
        bench.register("w")
        bench.clock.advance(timedelta(minutes=1))
        bench.register("v")
        (lapse,) = bench.beat("v").lapses
        bench.reap("w", lapse.lapsed_at)
        assert bench.client.zrange(bench.keys.workers, 0, -1) == [b"v"]

    def test_one_that_arrives_while_the_worker_is_reaped_changes_nothing(
        self, bench: Bench
    ) -> None:
        bench.register()
        bench.set_losses(2, "id")
        bench.client.zadd(bench.keys.workers, {"w": 0})
        stored = bench.snapshot()
        bench.register(info=b"new", held_before=["id"], retention_us=5)
        assert bench.codes == ["ok"]
        assert bench.snapshot() == stored
        with pytest.raises(LockLostError):
            bench.beat()

    def test_data_of_a_newer_release_is_not_touched(self, bench: Bench) -> None:
        bench.client.hset(bench.keys.meta, "schema", 2)
        bench.set_losses(1, "id")
        stored = bench.snapshot()
        with pytest.raises(IncompatibleQueueError, match="schema 2"):
            bench.register(held_before=["id"], retention_us=1)
        assert bench.codes == ["schema"]
        assert bench.snapshot() == stored

    def test_the_schema_of_an_older_release_stays(self, bench: Bench) -> None:
        bench.client.hset(bench.keys.meta, "schema", 0)
        bench.register()
        assert bench.client.hget(bench.keys.meta, "schema") == b"0"


class TestSettings:
    def test_only_what_was_given_is_written(self, bench: Bench) -> None:
        bench.register(retention_us=5, failed_limit=7)
        assert bench.client.hgetall(bench.keys.meta) == {
            b"schema": b"1",
            b"retention_us": b"5",
            b"failed_limit": b"7",
        }

    def test_the_last_writer_wins_and_leaves_the_other_settings(self, bench: Bench) -> None:
        bench.register("w", retention_us=5, failed_limit=7)
        bench.register("v", retention_us=6)
        meta = bench.client.hgetall(bench.keys.meta)
        assert (meta[b"retention_us"], meta[b"failed_limit"]) == (b"6", b"7")

    def test_a_retention_of_a_thousand_years_is_written_exactly(self, bench: Bench) -> None:
        bench.register(retention_us=31_622_400_000_000_001)
        assert bench.client.hget(bench.keys.meta, "retention_us") == b"31622400000000001"


class TestALapseIsForgiven:
    def test_the_losses_of_what_it_held_are_lowered_by_one(self, bench: Bench) -> None:
        for losses in (1, 2, 3):
            bench.set_losses(losses, f"lost-{losses}")
        bench.set_losses(2, "another")
        bench.register("new", held_before=["lost-1", "lost-2", "lost-3", "without"])
        assert bench.losses() == {"lost-2": 1, "lost-3": 2, "another": 2}

    def test_no_other_argument_is_taken_for_an_id(self, bench: Bench) -> None:
        others = ["new", "{}", "1", "retention_us", "5", "15000000"]
        bench.set_losses(2, *others)
        bench.register("new", held_before=["id"], retention_us=5)
        assert bench.losses() == dict.fromkeys(others, 2)

    def test_the_hash_is_gone_with_the_last_loss(self, bench: Bench) -> None:
        bench.set_losses(1, "a", "b")
        bench.register("new", held_before=["a", "b"])
        assert "losses" not in bench.snapshot()

    def test_a_repeated_registration_takes_nothing_back(self, bench: Bench) -> None:
        bench.set_losses(3, "id")
        for _ in range(3):
            bench.register("new", held_before=["id"], retention_us=1)
        assert bench.losses() == {"id": 2}

    def test_what_has_ended_meanwhile_stays_as_it_is(self, bench: Bench) -> None:
        bench.register("w")
        (id,) = bench.enqueue()
        bench.take("w")
        bench.reap("w", max_losses=0)
        state = bench.state(id)
        bench.register("new", held_before=[id])
        assert bench.state(id) == state
        assert bench.losses() == {}

    def test_the_reap_of_a_lapsed_worker_is_taken_back_whole(self, bench: Bench) -> None:
        bench.register("w")
        ids = bench.enqueue(number=3)
        bench.take("w")
        bench.reap("w")
        bench.register("new", held_before=ids)
        assert bench.losses() == {}
        assert bench.take("new", free=0, ahead=[3]) != []

    def test_many_ids_are_forgiven_in_one_call(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = [f"id-{number}" for number in range(5000)]
        bench.set_losses(2, *ids)
        bench.register("new", held_before=ids)
        assert bench.losses() == dict.fromkeys(ids, 1)
