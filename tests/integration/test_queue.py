"""What `RedisQueue` promises: enqueue, enqueue_many, get, cancel, retry and delete."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Context, Job, RedisQueue, RetryableError, Status
from redisjobs.errors import InvalidJobError, JobExistsError
from redisjobs.operations.claim import ClaimRequest, claim
from redisjobs.operations.membership import register
from tests import drivers
from tests.drivers import DRIVERS
from tests.running import snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from redisjobs.embedded import EmbeddedServer
    from tests.drivers import Driver


ENDS = (Status.DONE, Status.FAILED, Status.PANIC, Status.CANCELLED)
EARLY, LATE = datetime(2024, 2, 29, 12, 0, 0, 7, tzinfo=UTC), datetime(2199, 12, 31, tzinfo=UTC)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """These tests run over both queues."""
    with drivers.driver(request.param) as made:
        yield made


def _raise(err: BaseException) -> Callable[..., Any]:
    def fn(ctx: Context, job: Job) -> None:
        raise err

    return fn


def _attempt(queue: RedisQueue, fn: Callable[..., Any]) -> None:
    """Runs the first job of the kind once."""

    def attempt(ctx: Context, job: Job) -> Job:
        job.attempt(ctx, datetime.now(UTC), fn, min_backoff=timedelta(0))
        return job

    assert queue.dequeue(["kind"], attempt)


def _stored(queue: RedisQueue, id: str) -> Job:
    job = queue.get(id)
    assert job is not None
    return job


def _bring_to(queue: RedisQueue, state: str) -> Job:
    """A job that waits, is scheduled, waits again, runs, or has ended."""
    delay = timedelta(hours=1) if state == "scheduled" else None
    job = Job("kind", b"payload", delay=delay)
    queue.enqueue(job)
    match state:
        case "retried":
            _attempt(queue, _raise(RetryableError("once")))
        case "running":
            queue.lines.run(lambda: register(queue.keys, "holder", 60_000_000, b"{}", {}))
            request = ClaimRequest("holder", ["kind"], 1, 1, 3, 1)
            assert queue.lines.run(lambda: claim(queue.keys, request)).claims
        case Status.DONE:
            _attempt(queue, lambda ctx, job: b"result")
        case Status.FAILED:
            _attempt(queue, _raise(ValueError("no order")))
        case Status.PANIC:
            _attempt(queue, _raise(SystemExit("stop")))
        case Status.CANCELLED:
            assert queue.cancel(job.id)
    return job


class TestEnqueue:
    def test_stores_all_and_tells_their_ids(self, queue: RedisQueue) -> None:
        jobs = [Job("email", b"1"), Job("report", b"2"), Job("email", b"3", id="mine")]
        assert queue.enqueue(*jobs).created == tuple(job.id for job in jobs)
        for job in jobs:
            stored = _stored(queue, job.id)
            assert (stored.id, stored.kind, stored.payload) == (job.id, job.kind, job.payload)
            assert (stored.status, stored.attempts_done) == (Status.PENDING, 0)
            assert stored.created_at == stored.updated_at == job.created_at
            assert stored.run_at == job.created_at
            assert (stored.result, stored.last_error, stored.last_attempt_at) == (None,) * 3

    def test_changes_no_job_that_it_is_given(self, queue: RedisQueue) -> None:
        job = Job("  EMAIL ", b"1", id=" id ")
        before = (job.id, job.kind, job.run_at, job.delay, job.created_at)
        assert queue.enqueue(job).created == ("id",)
        assert (job.id, job.kind, job.run_at, job.delay, job.created_at) == before
        assert _stored(queue, "id").kind == "email"

    def test_of_nothing_is_no_call(self, queue: RedisQueue, client: redis.Redis) -> None:
        assert queue.enqueue().created == ()
        assert client.keys(queue.keys.prefix.replace(b"{", b"\\{") + b"*") == []

    @pytest.mark.parametrize(
        "run_at",
        [
            EARLY,
            LATE,
            datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            datetime(1969, 1, 1, tzinfo=UTC),
        ],
        ids=["past", "far", "another-zone", "before-1970"],
    )
    def test_run_at_is_what_was_given(self, queue: RedisQueue, run_at: datetime) -> None:
        job = Job("email", run_at=run_at)
        queue.enqueue(job)
        assert _stored(queue, job.id).run_at == run_at

    def test_a_delay_counts_from_created_at_for_people(self, queue: RedisQueue) -> None:
        job = Job("email", delay=timedelta(minutes=5))
        queue.enqueue(job)
        stored = _stored(queue, job.id)
        assert stored.run_at == stored.created_at + timedelta(minutes=5)
        assert queue.stats().kinds["email"].scheduled == 1

    def test_as_many_as_10_000_in_one_call(self, queue: RedisQueue) -> None:
        jobs = [Job("email", b"%d" % number) for number in range(10_000)]
        assert len(queue.enqueue(*jobs).created) == 10_000
        assert queue.stats().kinds["email"].ready == 10_000

    @pytest.mark.parametrize("state", ["waiting", "scheduled", "retried", "running", *ENDS])
    def test_an_id_that_exists_is_refused_and_nothing_written(
        self, queue: RedisQueue, client: redis.Redis, state: str
    ) -> None:
        there = _bring_to(queue, state)
        before = snapshot(client, queue)
        with pytest.raises(JobExistsError) as caught:
            queue.enqueue(Job("email"), Job("other", id=there.id), Job("email"))
        assert caught.value.ids == (there.id,)
        assert repr(there.id) in str(caught.value)
        assert snapshot(client, queue) == before

    def test_every_id_that_exists_is_named(self, queue: RedisQueue) -> None:
        jobs = [Job("email") for _ in range(30)]
        queue.enqueue(*jobs[10:])
        with pytest.raises(JobExistsError, match="and 10 more") as caught:
            queue.enqueue(*jobs)
        assert caught.value.ids == tuple(job.id for job in jobs[10:])

    def test_an_id_is_free_again_when_its_record_is_past_its_time(
        self, queue: RedisQueue, client: redis.Redis
    ) -> None:
        job = _bring_to(queue, Status.DONE)
        client.hset(queue.keys.meta, "retention_us", 1)
        assert queue.get(job.id) is None
        queue.enqueue(Job("other", b"again", id=job.id))
        client.hdel(queue.keys.meta, "retention_us")
        stored = _stored(queue, job.id)
        assert (stored.kind, stored.payload, stored.status) == ("other", b"again", Status.PENDING)
        assert queue.check() == []


class TestJobs:
    @pytest.mark.parametrize("limit", [1, 7, 100])
    def test_all_pages_together_have_every_job_once(self, queue: RedisQueue, limit: int) -> None:
        """Also where the sets that they come from are of very different lengths."""
        ids = list[str]()
        for status, number in ((Status.DONE, 60), (Status.FAILED, 1), (Status.DONE, 70)):
            for _ in range(number):
                ids.append(_bring_to(queue, status).id)
        waiting = [Job("kind", delay=timedelta(hours=place + 1)) for place in range(40)]
        queue.enqueue(*waiting)
        listed, after = list[str](), None
        while True:
            page = queue.jobs(limit=limit, after=after)
            listed += [job.id for job in page.jobs]
            after = page.after
            if after is None:
                break
        assert listed == [job.id for job in waiting] + ids[::-1]
        failed = queue.jobs(status="failed")
        assert [job.id for job in failed.jobs] == [ids[60]]


class TestEnqueueMany:
    @pytest.mark.parametrize(
        ("number", "chunk"), [(0, 10), (1, 10), (10, 10), (11, 10), (95, 10), (3, 1)]
    )
    def test_stores_any_number(self, queue: RedisQueue, number: int, chunk: int) -> None:
        jobs = (Job("email", b"%d" % place) for place in range(number))
        assert queue.enqueue_many(jobs, chunk=chunk) == number
        assert queue.check() == []
        ready = queue.stats().kinds["email"].ready if number else 0
        assert ready == number

    def test_streams(self, queue: RedisQueue, redis_server: EmbeddedServer) -> None:
        """What comes later may depend on what was stored."""
        seen: list[int] = []
        near = RedisQueue.from_url(redis_server.url, queue.name)

        def jobs() -> Iterator[Job]:
            for place in range(30):
                if place % 10 == 5:
                    seen.append(near.stats().kinds["email"].ready if place > 10 else 0)
                yield Job("email")

        queue.enqueue_many(jobs(), chunk=10)
        assert seen == [0, 10, 20]

    def test_splits_also_by_size(self, queue: RedisQueue) -> None:
        jobs = [Job("email", b"x" * 2**20) for _ in range(70)]
        assert queue.enqueue_many(jobs, chunk=10_000) == 70
        assert queue.stats().kinds["email"].ready == 70

    @pytest.mark.parametrize("chunk", [0, -1, 10_001])
    def test_a_chunk_that_cannot_be_is_refused(self, queue: RedisQueue, chunk: int) -> None:
        with pytest.raises(InvalidJobError, match="from 1 to 10,000"):
            queue.enqueue_many([Job("email")], chunk=chunk)
        assert queue.check() == []

    @pytest.mark.parametrize("bad", [Job(""), Job("email", b"x", id="twice")])
    def test_its_error_says_what_was_stored(self, queue: RedisQueue, bad: Job) -> None:
        queue.enqueue(Job("other", id="twice"))
        jobs = [*(Job("email") for _ in range(25)), bad, *(Job("email") for _ in range(10))]
        with pytest.raises((InvalidJobError, JobExistsError)) as caught:
            queue.enqueue_many(jobs, chunk=10)
        assert caught.value.stored == 20
        assert "(20 jobs of this enqueue_many were stored before)" in str(caught.value)
        assert queue.stats().kinds["email"].ready == 20, "each chunk whole, or not at all"

    def test_an_error_of_the_iterable_passes(self, queue: RedisQueue) -> None:
        def jobs() -> Iterator[Job]:
            yield from [Job("email") for _ in range(15)]
            raise OSError("the file is torn")

        with pytest.raises(OSError, match="torn"):
            queue.enqueue_many(jobs(), chunk=10)
        assert queue.stats().kinds["email"].ready == 10


class TestGet:
    def test_of_no_job_is_none(self, queue: RedisQueue) -> None:
        assert queue.get("nobody") is None

    def test_trims_the_id_as_enqueue_does(self, queue: RedisQueue) -> None:
        queue.enqueue(Job("email", id="mine"))
        assert queue.get(" mine\n") is not None

    def test_tells_each_end(self, queue: RedisQueue) -> None:
        seen = {state: _stored(queue, _bring_to(queue, state).id) for state in ENDS}
        assert {state: job.status for state, job in seen.items()} == {one: one for one in ENDS}
        assert seen[Status.DONE].result == b"result"
        assert seen[Status.FAILED].last_error == "ValueError: no order"
        assert seen[Status.PANIC].last_error == "panic: SystemExit: stop"
        assert [job.attempts_done for job in seen.values()] == [1, 1, 1, 0]

    def test_a_record_past_its_time_is_gone_also_where_no_worker_sweeps(
        self, queue: RedisQueue, client: redis.Redis
    ) -> None:
        jobs = {state: _bring_to(queue, state) for state in ENDS}
        client.hset(queue.keys.meta, mapping={"retention_us": 1, "failed_retention_us": 1})
        assert [queue.get(job.id) for job in jobs.values()] == [None] * 4
        assert not any(queue.retry(job.id) for job in jobs.values())
        assert not any(queue.delete(job.id) for job in jobs.values())


CASES = [
    ("cancel", {"waiting", "scheduled", "retried"}),
    ("retry", {Status.FAILED, Status.PANIC, Status.CANCELLED}),
    ("delete", {"waiting", "scheduled", "retried", *ENDS}),
]


@pytest.mark.parametrize(("call", "works_in"), CASES, ids=[call for call, _ in CASES])
@pytest.mark.parametrize("state", ["absent", "waiting", "scheduled", "retried", "running", *ENDS])
def test_what_is_done_to_one_job_works_where_it_should_and_else_changes_nothing(
    queue: RedisQueue, client: redis.Redis, call: str, works_in: set[str], state: str
) -> None:
    bystander = Job("kind", delay=timedelta(hours=2))
    queue.enqueue(bystander)
    job = Job("kind", id="absent") if state == "absent" else _bring_to(queue, state)
    before = snapshot(client, queue)
    assert getattr(queue, call)(f" {job.id} ") is (state in works_in)
    if state not in works_in:
        assert snapshot(client, queue) == before
    assert _stored(queue, bystander.id).status is Status.PENDING
    assert [one for one in queue.check() if "holder" not in one] == []


class TestCancel:
    def test_ends_a_job_that_waits_and_nobody_runs_it(self, queue: RedisQueue) -> None:
        job = _bring_to(queue, Status.CANCELLED)
        stored = _stored(queue, job.id)
        assert (stored.status, stored.attempts_done, stored.last_error) == ("CANCELLED", 0, None)
        assert not queue.dequeue(["kind"], lambda ctx, job: job)
        assert not queue.cancel(job.id), "only the first call took it there"

    def test_keeps_the_attempts_of_before(self, queue: RedisQueue) -> None:
        job = _bring_to(queue, "retried")
        assert queue.cancel(job.id)
        stored = _stored(queue, job.id)
        assert (stored.attempts_done, stored.last_error) == (1, "retryable-error: once")


class TestRetry:
    @pytest.mark.parametrize("state", [Status.FAILED, Status.PANIC, Status.CANCELLED])
    def test_begins_anew_due_now(self, queue: RedisQueue, client: Any, state: Status) -> None:
        job = _bring_to(queue, state)
        client.hset(queue.keys.losses, job.id, 2)
        seconds, microseconds = client.time()
        assert queue.retry(job.id)
        assert not queue.retry(job.id), "it waits already"
        stored = _stored(queue, job.id)
        assert (stored.status, stored.attempts_done) == (Status.PENDING, 0)
        assert stored.run_at is not None
        now = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
        assert now <= stored.run_at <= now + timedelta(seconds=5)
        assert client.hget(queue.keys.losses, job.id) is None
        _attempt(queue, lambda ctx, job: b"%d" % ctx.attempt)
        assert _stored(queue, job.id).result == b"1"


class TestDelete:
    @pytest.mark.parametrize("state", ["waiting", "scheduled", "retried", *ENDS])
    def test_removes_all_of_it(self, queue: RedisQueue, client: Any, state: str) -> None:
        job = _bring_to(queue, state)
        client.hset(queue.keys.losses, job.id, 1)
        assert queue.delete(job.id)
        assert queue.get(job.id) is None
        members = {b"hash": client.hkeys, b"zset": lambda key: client.zrange(key, 0, -1)}
        for key in snapshot(client, queue):
            read = members.get(client.type(key))
            assert read is None or job.id.encode() not in read(key), key
        queue.enqueue(Job("kind", id=job.id))


def test_many_threads_share_one_queue(queue: RedisQueue) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for place in range(40):
                job = Job("kind", os.urandom(8), id=f"{number}-{place}")
                assert queue.enqueue(job).created == (job.id,)
                assert _stored(queue, job.id).payload == job.payload
                with pytest.raises(JobExistsError, match=job.id):
                    queue.enqueue(Job("kind", id=job.id))
                assert queue.cancel(job.id)
                assert _stored(queue, job.id).status is Status.CANCELLED
        except BaseException as err:  # noqa: BLE001 - the test looks at it
            errors.append(err)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert queue.check() == []
    assert queue.stats().kinds["kind"].cancelled == 12 * 40
