"""list.lua, list_held.lua and read_jobs.lua: the jobs of a queue, a page at a time."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs.errors import ConfigurationError, InvalidJobError
from redisjobs.operations import sections
from redisjobs.operations.listing import JobPage, list_jobs
from redisjobs.record import encode_state_body
from redisjobs.states import Status

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

HOUR = timedelta(hours=1)


def page(
    bench: Bench,
    status: str | None = None,
    kind: str | None = None,
    limit: int = 100,
    after: str | None = None,
) -> JobPage:
    return bench.run(list_jobs(bench.keys, status, kind, limit, after))


def listed(bench: Bench, *, limit: int = 1000, **chosen: Any) -> list[str]:
    """The ids on all pages."""
    ids: list[str] = []
    after = None
    while True:
        found = page(bench, limit=limit, after=after, **chosen)
        assert len(found.jobs) == len(found.standings) <= limit
        ids += [job.id for job in found.jobs]
        after = found.after
        if after is None:
            return ids


def standings(bench: Bench, **chosen: Any) -> list[tuple[str, str]]:
    found = page(bench, **chosen)
    return [(job.id, standing) for job, standing in zip(found.jobs, found.standings, strict=True)]


def run(bench: Bench, number: int, kind: str = "email", worker: str = "w") -> list[str]:
    """The ids of as many jobs that a worker holds from now on."""
    bench.register(worker)
    bench.enqueue(kind, number)
    taken = bench.take(worker, [kind], number)
    return [delivery.partition(":")[2] for delivery in taken]


def test_an_empty_queue_has_one_empty_page(bench: Bench) -> None:
    assert page(bench) == JobPage((), None, ())


def test_running_ones_come_first_then_waiting_ones_then_those_that_ended(bench: Bench) -> None:
    for letter in (b"D", b"F", b"X", b"C"):
        bench.end(*bench.enqueue(ids=[f"ended-{letter.decode()}"]), letter=letter)
    bench.register()
    bench.enqueue(ids=["runs"])
    bench.take()
    bench.enqueue(ids=["later"], delay=HOUR)
    bench.enqueue(ids=["now"])
    assert standings(bench) == [
        ("runs", "running"), ("now", "ready"), ("later", "scheduled"),
        ("ended-C", "cancelled"), ("ended-X", "panic"), ("ended-F", "failed"), ("ended-D", "done"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "ids"),
    [
        ("running", ["runs"]), ("ready", ["now"]), ("scheduled", ["later"]),
        ("pending", ["runs", "now", "later"]), (Status.PENDING, ["runs", "now", "later"]),
        (Status.DONE, ["done"]), (Status.FAILED, ["failed"]), (Status.PANIC, ["panic"]),
        (Status.CANCELLED, ["cancelled"]), ("Failed", ["failed"]),
    ],
)  # fmt: skip
def test_one_status_is_listed_alone(one_bench: Bench, status: str, ids: list[str]) -> None:
    bench = one_bench
    for name, letter in (("done", b"D"), ("failed", b"F"), ("panic", b"X"), ("cancelled", b"C")):
        bench.end(*bench.enqueue(ids=[name]), letter=letter)
    bench.register()
    bench.enqueue(ids=["runs"])
    bench.take()
    bench.enqueue(ids=["later"], delay=HOUR)
    bench.enqueue(ids=["now"])
    assert listed(bench, status=status) == ids


def test_a_scheduled_job_is_ready_when_its_time_has_come(bench: Bench) -> None:
    ids = bench.enqueue(number=2, delay=HOUR)
    assert (listed(bench, status="ready"), listed(bench, status="scheduled")) == ([], ids)
    assert listed(bench, status="scheduled", limit=1) == ids
    bench.clock.advance(HOUR)
    assert (listed(bench, status="ready"), listed(bench, status="scheduled")) == (ids, [])


def test_a_job_has_all_that_get_tells_of_it(bench: Bench) -> None:
    bench.register()
    [failed] = bench.enqueue(payload=b"\xff")
    body = encode_state_body(1, 2, "why", b"result")
    bench.settle(*bench.take(), letter=b"F", attempts=3, body=body)
    [waits] = bench.enqueue(payload=b"hello", delay=HOUR)
    assert page(bench).jobs == (bench.get(waits), bench.get(failed))


class TestPages:
    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_waiting_jobs_of_all_kinds_come_in_the_order_in_which_they_come_due(
        self, bench: Bench, limit: int
    ) -> None:
        first = bench.enqueue("sms", 3)
        second = bench.enqueue("email", 3)
        later = bench.enqueue("sms", 2, delay=2 * HOUR)
        sooner = bench.enqueue("fax", 2, delay=HOUR)
        assert listed(bench, limit=limit) == [*first, *second, *sooner, *later]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    def test_those_that_ended_come_the_latest_first(self, bench: Bench, limit: int) -> None:
        ended = []
        for kind, letter in (("sms", b"D"), ("email", b"F"), ("sms", b"F"), ("email", b"D")):
            for _ in range(2):
                [id] = bench.enqueue(kind)
                bench.end(id, letter=letter, kind=kind)
                ended.append(id)
                bench.clock.advance(timedelta(milliseconds=1))
        assert listed(bench, limit=limit) == ended[::-1]

    @pytest.mark.parametrize("limit", [1, 3, 7])
    def test_what_many_workers_hold_is_listed_once(self, bench: Bench, limit: int) -> None:
        held = [run(bench, 3, worker=worker) for worker in ("a", "b", "c")]
        held[0] += run(bench, 2, worker="a")
        assert listed(bench, limit=limit) == [id for of_one in held for id in of_one]

    @pytest.mark.parametrize("limit", [1, 3, 7])
    def test_jobs_that_ended_in_one_instant_are_listed_once(self, bench: Bench, limit: int) -> None:
        ids = bench.enqueue(ids=[f"{number:x}é" for number in range(20)])
        bench.end(*ids)
        assert listed(bench, limit=limit) == sorted(ids, reverse=True)

    def test_the_last_page_says_so_though_it_is_full(self, bench: Bench) -> None:
        bench.enqueue(number=4)
        first = page(bench, limit=2)
        assert first.after is not None
        assert page(bench, limit=2, after=first.after).after is None

    def test_a_page_goes_on_across_sections(self, bench: Bench) -> None:
        ended = bench.enqueue(number=2)
        bench.end(*ended)
        running, waiting = run(bench, 2), bench.enqueue(number=2)
        found = page(bench, limit=3)
        assert [job.id for job in found.jobs] == [*running, waiting[0]]
        rest = page(bench, limit=3, after=found.after)
        assert [job.id for job in rest.jobs] == [waiting[1], *ended[::-1]]
        assert rest.after is None

    def test_one_kind_is_listed_alone(self, bench: Bench) -> None:
        bench.end(*(ended := bench.enqueue("sms")), kind="sms")
        bench.end(*bench.enqueue("email"))
        running = run(bench, 2, "sms")
        run(bench, 2, "email", "v")
        waiting = bench.enqueue("sms", 2)
        bench.enqueue("email")
        for limit in (1, 2, 100):
            assert listed(bench, kind=" SMS ", limit=limit) == [*running, *waiting, *ended]
        assert listed(bench, kind="fax") == []

    def test_large_jobs_make_short_pages(self, one_bench: Bench) -> None:
        ids = one_bench.enqueue(number=12, payload=bytes(2**20))
        found = page(one_bench)
        assert 1 < len(found.jobs) < 12
        assert found.after is not None
        assert listed(one_bench) == ids

    def test_thousands_of_jobs_of_hundreds_of_kinds_take_few_calls(self, one_bench: Bench) -> None:
        expected = []
        for number in range(250):
            expected += one_bench.enqueue(f"kind-{number:03}", 2)
        expected += one_bench.enqueue("kind-007", 3000)
        assert listed(one_bench, limit=1000) == expected
        page(one_bench, limit=100)
        assert len(one_bench.calls) < 30

    def test_one_call_reads_so_many_ids_at_most(self, one_bench: Bench) -> None:
        for number in range(120):
            one_bench.enqueue(f"kind-{number:03}", 40, delay=timedelta(hours=1))
        assert len(page(one_bench, limit=1000).jobs) == 1000
        for answer in one_bench.answers:
            sets = [ids for ids in answer[1:] if isinstance(answer[0], bytes)]
            assert sum(len(ids) // 2 for ids in sets) <= sections.MOST_IDS


class TestWhileTheQueueMoves:
    def test_the_place_of_a_job_that_has_vanished_is_kept(self, bench: Bench) -> None:
        ids = bench.enqueue(number=6)
        found = page(bench, limit=3)
        bench.client.zrem(bench.keys.due("email"), *ids[:4])
        bench.client.hdel(bench.keys.jobs, *ids[:4])
        assert [job.id for job in page(bench, after=found.after).jobs] == ids[4:]

    def test_also_among_those_that_ended_in_one_instant(self, bench: Bench) -> None:
        ids = bench.enqueue(number=10)
        bench.end(*ids)
        found = page(bench, limit=4)
        bench.client.zrem(bench.keys.finished(Status.DONE, "email"), *ids[5:8])
        assert [job.id for job in page(bench, after=found.after).jobs] == ids[4::-1]

    def test_and_in_a_workers_list(self, bench: Bench) -> None:
        held = run(bench, 6)
        found = page(bench, limit=3)
        for delivery in bench.held()[:4]:
            bench.client.lrem(bench.keys.processing("w"), 1, delivery)
        assert [job.id for job in page(bench, after=found.after).jobs] == held[4:]

    def test_also_where_one_claim_took_them_in_another_order(self, bench: Bench) -> None:
        bench.register()
        bench.enqueue(ids=["d", "c", "a", "b"])
        [*_, last] = bench.take()
        found = page(bench, limit=2)
        assert [job.id for job in found.jobs] == ["a", "b"]
        bench.client.lrem(bench.keys.processing("w"), 1, last)
        assert [job.id for job in page(bench, after=found.after).jobs] == ["c", "d"]

    def test_what_ends_meanwhile_shifts_nothing(self, bench: Bench) -> None:
        first, second, third = (bench.enqueue(ids=[name]) for name in "abc")
        for ids in (first, second, third):
            bench.end(*ids)
            bench.clock.advance(timedelta(seconds=1))
        found = page(bench, limit=2)
        bench.end(*bench.enqueue(ids=["new"]))
        assert [job.id for job in page(bench, after=found.after).jobs] == ["a"]

    def test_a_job_that_moved_between_two_looks_is_passed(self, bench: Bench) -> None:
        [id] = bench.enqueue()
        bench.client.hset(bench.keys.state, id, b"D1:99999999999999999:")
        assert page(bench) == JobPage((), None, ())

    def test_random_moves_lose_and_repeat_nothing_that_stays(self, one_bench: Bench) -> None:
        bench, random_ = one_bench, random.Random(7)
        bench.register()
        for seed in range(20):
            kind = f"kind-{seed}"
            ids = bench.enqueue(kind, 40)
            stay = set(random_.sample(ids, 20))
            found: list[str] = []
            after = None
            while True:
                part = page(bench, "ready", kind, random_.randint(1, 7), after)
                found += [job.id for job in part.jobs]
                after = part.after
                if after is None:
                    break
                moved = random_.sample(sorted(set(ids) - stay), 3)
                bench.client.zadd(
                    bench.keys.due(kind), {id: random_.randint(0, 2**50) for id in moved}, xx=True
                )
                bench.client.zrem(bench.keys.due(kind), moved[0])
            assert [id for id in found if id in stay] == [id for id in ids if id in stay]


class TestALongList:
    def test_it_is_read_in_parts_that_end_between_claims(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sections, "MOST_DELIVERIES", 5)
        held = [id for _ in range(4) for id in run(bench, 3)]
        other = run(bench, 2, worker="x")
        for limit in (1, 4, 100):
            assert listed(bench, status="running", limit=limit) == held + other

    def test_what_is_no_delivery_in_it_is_passed(self, bench: Bench) -> None:
        held = run(bench, 2)
        bench.client.lpush(bench.keys.processing("w"), "junk")
        bench.client.rpush(bench.keys.processing("w"), "junk")
        assert listed(bench) == held


class TestRecords:
    def test_those_past_their_time_are_left_out(self, bench: Bench) -> None:
        bench.end(*bench.enqueue(), letter=b"D")
        failed = bench.enqueue()
        bench.end(*failed, letter=b"F")
        bench.clock.advance(2 * HOUR)
        done = bench.enqueue()
        bench.end(*done, letter=b"D")
        assert listed(bench) == done + failed
        bench.register(failed_limit=0, retention_limit=0)
        assert listed(bench) == []

    def test_those_that_lost_their_worker_too_often_ended_as_panic(self, bench: Bench) -> None:
        [id] = run(bench, 1)
        bench.reap(max_losses=0)
        found = page(bench, "panic")
        assert [job.id for job in found.jobs] == [id]
        assert found.jobs[0].last_error == "panic: lost its worker too often"

    def test_what_cannot_be_read_is_told_beside_the_rest(self, bench: Bench) -> None:
        bench.register()
        waits, runs, newer, fine = bench.enqueue(number=4)
        ended = bench.enqueue("sms")
        bench.end(*ended, kind="sms", letter=b"F")
        for id in (waits, *ended):
            bench.client.hset(bench.keys.jobs, id, b"junk")
        bench.client.hset(bench.keys.state, waits, b"junk")
        bench.client.hset(bench.keys.jobs, newer, b"9email\0\0new")
        bench.client.hset(bench.keys.jobs, runs, b"\xff\xff\0\0junk")
        bench.client.zrem(bench.keys.due("email"), runs)
        bench.client.rpush(bench.keys.processing("w"), f"1:{runs}")
        jobs = {job.id: job for job in page(bench).jobs}
        assert list(jobs) == [runs, waits, newer, fine, *ended]
        assert (jobs[waits].kind, jobs[waits].payload) == ("email", b"")
        assert "cannot be read" in str(jobs[waits].last_error)
        assert "upgrade" in str(jobs[newer].last_error)
        assert jobs[runs].status is Status.PENDING
        assert (jobs[ended[0]].kind, jobs[ended[0]].status) == ("sms", Status.FAILED)
        assert jobs[fine].last_error is None

    def test_ids_that_are_no_text_are_escaped_and_paged_over(self, bench: Bench) -> None:
        [id] = bench.enqueue()
        record = bench.client.hget(bench.keys.jobs, id)
        for name in (b"\xff\xfe", b"\xff\xff"):
            bench.client.hset(bench.keys.jobs, name, record)
            bench.client.zadd(bench.keys.due("email"), {name: 1})
        assert listed(bench, limit=1) == ["\\xff\\xfe", "\\xff\\xff", id]


class TestWhatIsRefused:
    @pytest.mark.parametrize("limit", [0, 1001, True, 1.5])
    def test_a_limit_that_cannot_be(self, one_bench: Bench, limit: Any) -> None:
        with pytest.raises(ConfigurationError, match="limit must be from 1 to 1,000"):
            page(one_bench, limit=limit)

    @pytest.mark.parametrize("status", ["lost", "", 7])
    def test_an_unknown_status_and_the_known_ones_are_named(
        self, one_bench: Bench, status: Any
    ) -> None:
        with pytest.raises(ConfigurationError, match="pending, running, ready, scheduled, done"):
            page(one_bench, status)

    def test_a_kind_that_no_job_can_have(self, one_bench: Bench) -> None:
        with pytest.raises(InvalidJobError):
            page(one_bench, kind=" ")

    @pytest.mark.parametrize("after", ["", "junk", "é", "gaF4", 7, b"x"])
    def test_an_after_that_no_page_had(self, one_bench: Bench, after: Any) -> None:
        with pytest.raises(ConfigurationError, match="after must be"):
            page(one_bench, after=after)

    def test_an_after_of_another_listing(self, one_bench: Bench) -> None:
        one_bench.enqueue(number=2)
        after = page(one_bench, limit=1).after
        with pytest.raises(ConfigurationError, match="the same listing"):
            page(one_bench, "done", after=after)
