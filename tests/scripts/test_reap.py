"""reap.lua: a dead worker's jobs are taken back chunk by chunk, and the worker is forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from redisjobs.errors import LockLostError
from redisjobs.operations.giving_back import Reaped, reap
from redisjobs.record import LOST_TOO_OFTEN, encode_state_body
from redisjobs.states import Status
from tests.scripts.bench import DAMAGED, Bench, Steps

MIB = 2**20


@pytest.fixture
def bench(bench: Bench) -> Bench:
    return bench.staffed()


@pytest.fixture
def one_bench(one_bench: Bench) -> Bench:
    return one_bench.staffed()


def lapse_of(bench: Bench, worker: str = "w") -> str:
    """Let a worker's lease lapse, and learn of it as another worker does."""
    bench.clock.advance(timedelta(minutes=1))
    (lapsed_at,) = [one.lapsed_at for one in bench.beat("v").lapses if one.worker == worker]
    return lapsed_at


@pytest.mark.parametrize("place", ["head", "tail", "both", "alone"])
@pytest.mark.parametrize("chunk", [2, 500])
def test_what_is_no_delivery_does_not_hold_the_reaper_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, place: str, chunk: int
) -> None:
    """A human hand can have put it into the list. The jobs beside it lose their worker once."""
    monkeypatch.setattr("redisjobs.operations.giving_back.CHUNK", chunk)
    ids = bench.enqueue(number=5) if place != "alone" else []
    bench.take()
    processing = bench.keys.processing("w")
    for junk in ("junk", "", "12", ":"):
        if place != "tail":
            bench.client.lpush(processing.decode(), junk)
        if place != "head":
            bench.client.rpush(processing.decode(), junk)
    assert bench.reap(judged=lapse_of(bench)) == Reaped(len(ids), [])
    assert bench.waiting() == ids
    assert not bench.client.exists(processing)
    for id in ids:
        assert bench.client.hget(bench.keys.losses.decode(), id) == b"1"


class TestWhoIsReaped:
    def test_a_worker_whose_lease_is_the_judged_one(self, bench: Bench) -> None:
        ids = bench.enqueue(number=3)
        bench.take()
        judged = lapse_of(bench)
        assert bench.reap(judged=judged) == Reaped(3, [])
        assert bench.codes == ["ok"]
        assert bench.waiting() == ids

    def test_one_that_has_beaten_since_is_alive(self, bench: Bench) -> None:
        bench.enqueue(number=3)
        bench.take()
        judged = lapse_of(bench)
        bench.beat("w")
        stored = bench.snapshot()
        assert bench.reap(judged=judged) == Reaped(0, [])
        assert bench.codes == ["alive"]
        assert bench.snapshot() == stored

    def test_one_whose_lease_lapsed_anew_is_alive_until_it_is_judged_anew(
        self, bench: Bench
    ) -> None:
        bench.enqueue()
        bench.take()
        judged = lapse_of(bench)
        bench.beat("w")
        judged_anew = lapse_of(bench)
        assert judged_anew != judged
        bench.reap(judged=judged)
        assert bench.codes == ["alive"]
        assert bench.reap(judged=judged_anew) == Reaped(1, [])

    def test_one_that_is_not_there_is_gone(self, bench: Bench) -> None:
        stored = bench.snapshot()
        assert bench.reap("nobody", "123") == Reaped(0, [])
        assert bench.codes == ["gone"]
        assert bench.reap("nobody") == Reaped(0, [])
        assert bench.snapshot() == stored

    def test_one_whose_process_is_known_to_be_dead_needs_no_lapse(self, bench: Bench) -> None:
        ids = bench.enqueue(number=3)
        bench.take()
        assert bench.reap(judged=None) == Reaped(3, [])
        assert bench.waiting() == ids

    def test_one_that_held_nothing_is_forgotten(self, bench: Bench) -> None:
        judged = lapse_of(bench)
        assert bench.reap(judged=judged) == Reaped(0, [])
        assert bench.codes == ["ok"]
        assert bench.client.zrange(bench.keys.workers, 0, -1) == [b"v"]
        assert bench.client.hkeys(bench.keys.worker_info) == [b"v"]

    def test_others_keep_what_they_hold(self, bench: Bench) -> None:
        bench.enqueue(number=4)
        bench.take("w", limit=2)
        deliveries = bench.take("v")
        bench.reap("w")
        assert bench.held("v") == deliveries


class TestWhereJobsGo:
    def test_to_the_head_of_their_due_sets_in_their_order(self, bench: Bench) -> None:
        ids = {kind: bench.enqueue(kind, 6) for kind in ("a", "b")}
        bench.take(kinds=["a", "b"], limit=8)
        bench.reap(kinds=["a", "b"])
        assert {kind: bench.waiting(kind) for kind in ids} == ids
        assert bench.held() == []

    def test_they_are_ready_at_once_and_ring(self, bench: Bench) -> None:
        ids = bench.enqueue(number=5)
        bench.take("w")
        bench.reap("w")
        assert bench.tokens() == 3
        assert [one.id for one in bench.claim("v").claims] == ids

    def test_each_counts_a_loss(self, bench: Bench) -> None:
        first, second, waiting = bench.enqueue(number=3)
        for expected in (1, 2, 3):
            bench.register("w")
            bench.take("w", limit=2, guarded_room=9, max_losses=9)
            bench.reap("w")
            assert bench.losses() == {first: expected, second: expected}
        assert bench.waiting() == [first, second, waiting]

    def test_no_outcome_is_counted(self, bench: Bench) -> None:
        bench.enqueue(number=3)
        bench.take()
        bench.reap()
        assert bench.totals() == {}

    def test_progress_stays(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P", attempts=2)
        state = bench.state(id)
        bench.take()
        bench.reap()
        assert bench.state(id) == state

    def test_what_ended_before_is_not_taken_back(self, bench: Bench) -> None:
        ids = bench.enqueue(number=4)
        bench.settle(*bench.take()[1:3])
        assert bench.reap() == Reaped(2, [])
        assert bench.waiting() == [ids[0], ids[3]]
        assert bench.losses() == {ids[0]: 1, ids[3]: 1}

    def test_an_id_without_a_record_goes_nowhere(self, bench: Bench) -> None:
        first, gone = bench.enqueue(number=2)
        bench.take()
        bench.client.hdel(bench.keys.jobs, gone)
        assert bench.reap() == Reaped(1, [])
        assert bench.waiting() == [first]
        assert bench.losses() == {first: 1}
        assert bench.held() == []

    def test_unknown_kinds_are_asked_for_and_nothing_is_written_before(self, bench: Bench) -> None:
        bench.enqueue("a")
        bench.enqueue("b")
        bench.take(kinds=["a", "b"])
        stored = bench.snapshot()
        steps = Steps(bench, reap(bench.keys, "w", None, 3, ["a"]))
        steps.step()
        assert bench.answers == [[b"kind", b"b"]]
        assert bench.snapshot() == stored
        assert steps.finish() == Reaped(2, [])
        assert steps.codes == ["kind", "ok"]
        assert (len(bench.waiting("a")), len(bench.waiting("b"))) == (1, 1)


class TestTheCondemned:
    def test_a_job_that_lost_its_worker_too_often_ends_as_panic(self, bench: Bench) -> None:
        guilty, innocent = bench.enqueue(number=2)
        bench.set_losses(3, guilty)
        bench.set_losses(2, innocent)
        bench.take(free=2, max_losses=9, guarded_room=9)
        before = bench.clock.now_us
        assert bench.reap() == Reaped(2, [guilty])
        state = bench.state(guilty)
        assert state is not None
        assert (state.letter, state.status, state.attempts_done) == (b"L", Status.PANIC, 0)
        assert before <= state.time_us <= bench.clock.now_us
        assert bench.finished(Status.PANIC) == [guilty]
        assert bench.waiting() == [innocent]
        assert bench.losses() == {innocent: 3}
        assert bench.totals() == {"panic:email": 1}

    def test_as_many_losses_as_are_allowed_are_not_too_many(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        outcomes = []
        for _ in range(4):
            bench.register("w")
            bench.claim("w", max_losses=3)
            outcomes.append(bench.reap("w", max_losses=3).condemned)
        assert outcomes == [[], [], [], [id]]

    def test_with_none_allowed_the_first_loss_ends_it(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.take()
        assert bench.reap(max_losses=0) == Reaped(1, [id])

    def test_its_attempts_and_its_body_are_kept(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        body = encode_state_body(11, 12, "retryable-error: soon", None)
        bench.settle(*bench.take(), letter=b"P", attempts=5, body=body)
        bench.take()
        bench.reap(max_losses=0)
        state = bench.state(id)
        assert state is not None
        assert (state.letter, state.attempts_done) == (b"L", 5)
        assert (state.last_attempt_us, state.last_error) == (12, "retryable-error: soon")

    def test_it_tells_why_it_ended_and_when(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.take()
        bench.reap(max_losses=0)
        job, state = bench.get(id), bench.state(id)
        assert job is not None
        assert state is not None
        assert (job.status, job.last_error) == (Status.PANIC, LOST_TOO_OFTEN)
        assert job.updated_at.timestamp() == pytest.approx(state.time_us / 1e6)

    def test_it_is_removed_whole_where_failures_are_not_kept(self, bench: Bench) -> None:
        bench.register("w", failed_retention_us=0)
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P")
        bench.take()
        assert bench.reap(max_losses=0).condemned == [id]
        assert bench.stored_ids() == set()
        assert {"state", "losses", "finished:panic:email"}.isdisjoint(bench.snapshot())

    def test_each_kind_has_its_own(self, bench: Bench) -> None:
        ids = {kind: bench.enqueue(kind, 2) for kind in ("a", "b")}
        bench.take(kinds=["a", "b"])
        assert sorted(bench.reap(max_losses=0, kinds=["a", "b"]).condemned) == [
            *ids["a"],
            *ids["b"],
        ]
        assert {kind: sorted(bench.finished(Status.PANIC, kind)) for kind in ids} == ids
        assert bench.totals() == {"panic:a": 2, "panic:b": 2}

    def test_its_due_set_is_not_rung_for(self, bench: Bench) -> None:
        bench.enqueue()
        bench.take()
        bench.reap(max_losses=0)
        assert bench.tokens() == 0


class TestChunks:
    def test_chunks_from_the_tail_keep_the_order(self, real_bench: Bench) -> None:
        bench = real_bench.staffed()
        ids = bench.enqueue(number=1300)
        bench.take("w", limit=1200)
        assert bench.reap("w") == Reaped(1200, [])
        assert [answer[1:3] for answer in bench.answers] == [[500, 700], [500, 200], [200, 0]]
        assert bench.waiting() == ids
        assert bench.losses() == dict.fromkeys(ids[:1200], 1)
        assert bench.client.zscore(bench.keys.workers, "w") is None

    def test_large_records_go_a_few_at_a_time_in_their_order(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = bench.enqueue(number=12, payload=bytes(MIB))
        for _ in range(3):
            bench.take("w")
        assert bench.reap("w") == Reaped(12, [])
        assert bench.codes == ["ok"] * 3
        assert bench.waiting() == ids

    def test_after_the_first_chunk_the_worker_is_not_registered_any_more(
        self, one_bench: Bench
    ) -> None:
        bench = one_bench
        bench.enqueue(number=600)
        bench.take("w")
        steps = Steps(bench, reap(bench.keys, "w", None, 3, ["email"]))
        assert steps.step()
        assert bench.client.zscore(bench.keys.workers, "w") == 0
        with pytest.raises(LockLostError):
            bench.beat("w")
        with pytest.raises(LockLostError):
            bench.claim("w")
        assert bench.client.zscore(bench.keys.workers, "w") == 0
        assert steps.finish() == Reaped(600, [])

    def test_a_reaper_that_dies_half_way_is_followed_by_another(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = bench.enqueue(number=1200)
        bench.take("w", limit=1200)
        judged = lapse_of(bench)
        Steps(bench, reap(bench.keys, "w", judged, 3, ["email"])).step()
        lapses = {one.worker: one.lapsed_at for one in bench.beat("v").lapses}
        assert lapses == {"w": "0"}
        assert bench.reap("w", lapses["w"]) == Reaped(700, [])
        assert bench.waiting() == ids
        assert set(bench.losses().values()) == {1}

    def test_two_reapers_may_take_turns(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = bench.enqueue(number=1200)
        bench.take("w", limit=1200)
        judged = lapse_of(bench)
        first, second = (
            Steps(bench, reap(bench.keys, "w", judged, 3, ["email"])) for _ in range(2)
        )
        while first.step() | second.step():
            pass
        assert first.finish().moved + second.finish().moved == 1200
        assert (first.codes, second.codes) == (["ok", "ok"], ["ok", "gone"])
        assert bench.waiting() == ids
        assert bench.losses() == dict.fromkeys(ids, 1)

    def test_the_worker_may_give_back_what_is_left_of_its_list(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = bench.enqueue(number=700)
        deliveries = bench.take("w")
        steps = Steps(bench, reap(bench.keys, "w", None, 3, ["email"]))
        steps.step()
        bench.release(*deliveries[:200], worker="w")
        assert steps.finish() == Reaped(500, [])
        assert bench.waiting() == ids
        assert bench.losses() == dict.fromkeys(ids[200:], 1)

    def test_what_the_worker_still_settles_is_not_taken_back(self, one_bench: Bench) -> None:
        bench = one_bench
        ids = bench.enqueue(number=700)
        deliveries = bench.take("w")
        steps = Steps(bench, reap(bench.keys, "w", None, 3, ["email"]))
        steps.step()
        assert bench.settle(deliveries[0], deliveries[699]) == [deliveries[699]]
        assert steps.finish() == Reaped(699, [])
        assert bench.waiting() == ids[1:]


@pytest.mark.parametrize("record", DAMAGED)
def test_a_job_whose_record_is_damaged_waits_again_and_stops_no_reaper(
    bench: Bench, record: bytes
) -> None:
    damaged, whole = bench.enqueue(number=2)
    bench.take()
    bench.client.hset(bench.keys.jobs, damaged, record)
    assert bench.reap() == Reaped(2, [])
    assert bench.codes == ["kind", "ok"]
    assert bench.waiting() == [damaged, whole]
    assert [one.id for one in bench.claim("v").claims] == [damaged, whole]
