"""enqueue.lua: jobs are stored, all of a call or none, and wait in the due sets of their kinds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from redisjobs.errors import IncompatibleQueueError, InvalidJobError, JobExistsError
from tests.scripts.bench import DAMAGED

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

LATER = datetime(2035, 5, 17, 12, 30, 15, 123457, tzinfo=UTC)
LATER_US = 2_063_017_815_123_457


class TestWhatIsStored:
    def test_a_job_has_its_record_and_waits_in_the_due_set_of_its_kind(self, bench: Bench) -> None:
        (job,) = bench.jobs("email", payload=b"hello")
        before = bench.clock.now_us
        bench.store(job)
        assert bench.codes == ["ok"]
        stored = bench.snapshot()
        assert set(stored) == {"jobs", "due:email", "kinds", "bell:email", "request:producer"}
        assert stored["jobs"].value == {job.id.encode(): job.record}
        assert stored["kinds"].value == {b"email"}
        [(member, score)] = stored["due:email"].value
        assert member == job.id.encode()
        assert before <= score <= bench.clock.now_us

    def test_only_the_number_of_the_call_expires_within_a_minute(self, bench: Bench) -> None:
        bench.enqueue()
        assert [key for key, it in bench.snapshot().items() if it.expires] == ["request:producer"]
        assert 50 < bench.client.ttl(bench.keys.request("producer")) <= 60

    def test_a_call_of_several_kinds_goes_to_several_due_sets(self, bench: Bench) -> None:
        jobs = [*bench.jobs("a", 2), *bench.jobs("b", 3), *bench.jobs("c", 1)]
        bench.store(*jobs)
        assert [len(bench.waiting(kind)) for kind in ("a", "b", "c")] == [2, 3, 1]
        assert bench.client.smembers(bench.keys.kinds) == {b"a", b"b", b"c"}
        assert bench.stored_ids() == {job.id for job in jobs}

    @pytest.mark.parametrize("id", ["1:2", "line\nbreak", "ключ", " {x} ", "%s*[", "'\"\\"])
    def test_an_id_may_be_any_text(self, bench: Bench, id: str) -> None:
        bench.register()
        bench.enqueue(ids=[id])
        assert bench.settle(*bench.take()) == []
        with pytest.raises(JobExistsError) as refusal:
            bench.enqueue(ids=[id])
        assert refusal.value.ids == (id.strip(),)


class TestAllOrNothing:
    @pytest.mark.parametrize("place", [0, 63, 64, 299])
    def test_one_id_that_waits_refuses_the_whole_call(self, bench: Bench, place: int) -> None:
        (there,) = bench.enqueue()
        stored = bench.snapshot()
        jobs = [*bench.jobs(number=300), *bench.jobs("other")]
        jobs[place] = jobs[place]._replace(id=there)
        with pytest.raises(JobExistsError) as refusal:
            bench.store(*jobs, producer="another")
        assert refusal.value.ids == (there,)
        assert bench.snapshot(bench.keys.request("another")) == stored

    def test_an_id_of_another_kind_refuses_the_call(self, bench: Bench) -> None:
        (there,) = bench.enqueue("a")
        stored = bench.snapshot()
        with pytest.raises(JobExistsError):
            bench.store(*bench.jobs("b", ids=["new", there]), producer="another")
        assert bench.snapshot(bench.keys.request("another")) == stored

    def test_an_id_that_is_held_refuses_the_call(self, bench: Bench) -> None:
        bench.register()
        (there,) = bench.enqueue()
        bench.take()
        stored = bench.snapshot()
        with pytest.raises(JobExistsError):
            bench.store(*bench.jobs(ids=["new", there]), producer="another")
        assert bench.snapshot(bench.keys.request("another")) == stored

    @pytest.mark.parametrize("letter", [b"D", b"F", b"X", b"C"])
    def test_an_id_that_has_ended_and_is_kept_refuses_the_call(
        self, bench: Bench, letter: bytes
    ) -> None:
        (there,) = bench.enqueue()
        bench.end(there, letter=letter)
        stored = bench.snapshot()
        with pytest.raises(JobExistsError):
            bench.store(*bench.jobs(ids=["new", there]), producer="another")
        assert bench.snapshot(bench.keys.request("another")) == stored

    @pytest.mark.parametrize("record", DAMAGED)
    def test_a_record_that_is_damaged_refuses_the_call(self, bench: Bench, record: bytes) -> None:
        bench.client.hset(bench.keys.jobs, "damaged", record)
        with pytest.raises(JobExistsError):
            bench.enqueue(ids=["new", "damaged"])
        assert bench.stored_ids() == {"damaged"}

    @pytest.mark.parametrize("record", DAMAGED)
    def test_a_record_past_its_time_that_is_damaged_refuses_the_call(
        self, bench: Bench, record: bytes
    ) -> None:
        (id,) = bench.enqueue()
        bench.end(id)
        bench.client.hset(bench.keys.jobs, id, record)
        bench.clock.advance(timedelta(days=1))
        stored = bench.snapshot()
        with pytest.raises((JobExistsError, InvalidJobError)):
            bench.store(*bench.jobs(ids=["new", id]), producer="another")
        assert bench.snapshot(bench.keys.request("another")) == stored

    def test_all_ids_that_exist_are_named(self, bench: Bench) -> None:
        there = bench.enqueue(number=150)
        jobs = [*bench.jobs(number=100), *bench.jobs(ids=there)]
        with pytest.raises(JobExistsError) as refusal:
            bench.store(*jobs)
        assert refusal.value.ids == tuple(there)

    def test_data_of_a_newer_release_is_not_touched(self, bench: Bench) -> None:
        bench.client.hset(bench.keys.meta, "schema", 2)
        stored = bench.snapshot()
        with pytest.raises(IncompatibleQueueError, match="schema 2"):
            bench.enqueue()
        assert bench.codes == ["schema"]
        assert bench.snapshot() == stored

    def test_data_of_this_or_an_older_release_is_welcome(self, bench: Bench) -> None:
        for version in (0, 1):
            bench.client.hset(bench.keys.meta, "schema", version)
            bench.enqueue()
        assert len(bench.waiting()) == 2


class TestWhenAJobIsDue:
    def test_a_run_at_in_the_past_counts_as_now(self, bench: Bench) -> None:
        before = bench.clock.now_us
        (id,) = bench.enqueue(run_at=datetime(1955, 11, 5, tzinfo=UTC))
        score = bench.score(id)
        assert score is not None
        assert before <= score <= bench.clock.now_us

    def test_a_run_at_in_the_past_does_not_jump_the_line(self, bench: Bench) -> None:
        first = bench.enqueue()
        late = bench.enqueue(run_at=datetime(2001, 1, 1, tzinfo=UTC))
        last = bench.enqueue()
        assert bench.waiting() == first + late + last

    def test_a_run_at_is_kept_to_the_microsecond(self, bench: Bench) -> None:
        (id,) = bench.enqueue(run_at=LATER)
        assert bench.score(id) == LATER_US

    def test_a_delay_counts_from_the_servers_clock(self, bench: Bench) -> None:
        bench.clock.advance(timedelta(hours=-7))
        before = bench.clock.now_us
        (id,) = bench.enqueue(delay=timedelta(seconds=90))
        score = bench.score(id)
        assert score is not None
        assert before <= score - 90_000_000 <= bench.clock.now_us

    def test_no_job_is_due_before_its_run_at(self, bench: Bench) -> None:
        ids = bench.enqueue(number=100, run_at=LATER)
        assert min(bench.score(id) or 0 for id in ids) >= LATER_US

    def test_jobs_of_many_calls_are_due_in_the_order_of_the_calls(self, bench: Bench) -> None:
        ids = [f"{number:03}" for number in range(100, 0, -1)]
        for id in ids:
            bench.enqueue(ids=[id])
        assert bench.waiting() == ids

    def test_jobs_of_large_calls_are_due_in_the_order_of_the_calls(self, one_bench: Bench) -> None:
        bench = one_bench
        first = bench.enqueue(ids=[f"b-{number:04}" for number in range(2000)])
        second = bench.enqueue(ids=[f"a-{number:04}" for number in range(2000)])
        assert bench.waiting() == first + second

    def test_jobs_of_one_call_are_due_in_its_order_whatever_their_ids(self, bench: Bench) -> None:
        ids = [f"{number:03}" for number in range(300, 0, -1)]
        assert bench.enqueue(ids=ids) == bench.waiting()

    def test_jobs_of_one_call_for_one_later_instant_are_due_in_its_order(
        self, bench: Bench
    ) -> None:
        ids = [f"{number:03}" for number in range(300, 0, -1)]
        assert bench.enqueue(ids=ids, run_at=LATER) == bench.waiting()

    def test_the_places_in_a_call_are_a_quarter_of_a_microsecond_apart(self, bench: Bench) -> None:
        ids = bench.enqueue(number=5, run_at=LATER)
        scores = [bench.score(id) for id in ids]
        assert scores == [LATER_US + place / 4 for place in range(5)]

    def test_the_order_of_a_call_holds_across_its_kinds(self, bench: Bench) -> None:
        jobs = [
            *bench.jobs("a", ids=["3", "2"], run_at=LATER),
            *bench.jobs("b", ids=["1", "0"], run_at=LATER),
        ]
        bench.store(*jobs)
        scores = [bench.score(job.id, job.kind) or 0 for job in jobs]
        assert all(earlier < later for earlier, later in pairwise(scores))

    def test_ten_thousand_jobs_of_one_call_are_all_ready_at_once(self, real_bench: Bench) -> None:
        bench = real_bench
        bench.register()
        ids = bench.enqueue(number=10_000)
        claimed = [one.id for _ in range(10) for one in bench.claim(limit=1000).claims]
        assert claimed == ids


class TestBells:
    @pytest.mark.parametrize(("ready", "tokens"), [(1, 1), (2, 2), (3, 3), (4, 3), (100, 3)])
    def test_ready_jobs_ring_once_each_but_three_times_at_most(
        self, bench: Bench, ready: int, tokens: int
    ) -> None:
        bench.enqueue(number=ready)
        assert bench.tokens() == tokens

    def test_tokens_do_not_pile_up_over_calls(self, bench: Bench) -> None:
        for _ in range(10):
            bench.enqueue()
        assert bench.tokens() == 3

    def test_each_kind_has_its_own_bell(self, bench: Bench) -> None:
        bench.store(*bench.jobs("a", 2), *bench.jobs("b", delay=timedelta(hours=1)))
        bench.enqueue("c", delay=timedelta(hours=2))
        assert [bench.tokens(kind) for kind in ("a", "b", "c", "d")] == [2, 1, 1, 0]

    def test_a_job_that_becomes_the_earliest_rings(self, bench: Bench) -> None:
        bench.enqueue(delay=timedelta(hours=2))
        bench.silence()
        bench.enqueue(delay=timedelta(hours=1))
        assert bench.tokens() == 1

    def test_the_earliest_of_a_call_rings_wherever_it_stands(self, bench: Bench) -> None:
        bench.enqueue(delay=timedelta(hours=2))
        bench.silence()
        bench.store(
            *bench.jobs(delay=timedelta(hours=3)),
            *bench.jobs(delay=timedelta(hours=1)),
            *bench.jobs(delay=timedelta(hours=4)),
        )
        assert bench.tokens() == 1

    def test_a_later_job_does_not_ring(self, bench: Bench) -> None:
        bench.enqueue(delay=timedelta(hours=1))
        bench.silence()
        bench.enqueue(delay=timedelta(hours=2))
        assert bench.tokens() == 0

    def test_a_later_job_does_not_ring_behind_one_that_is_ready(self, bench: Bench) -> None:
        bench.enqueue()
        bench.silence()
        bench.enqueue(delay=timedelta(hours=1))
        assert bench.tokens() == 0

    def test_a_ready_job_rings_behind_others(self, bench: Bench) -> None:
        bench.enqueue(number=5)
        bench.silence()
        bench.enqueue()
        assert bench.tokens() == 1
