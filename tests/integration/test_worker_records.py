"""Records that a worker cannot run: damaged ones, and those of a newer release."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from redisjobs import Job, JobExistsError, RedisQueue, Status
from redisjobs.record import encode_state_body
from tests.running import Ledger, assert_sound, held, running, wait_for_end
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    import redis

    from redisjobs.context import Context


@pytest.fixture
def job(queue: RedisQueue) -> Job:
    """A job that waits, whose record the test damages, in front of another one."""
    stored = Job("kind", b"payload")
    queue.enqueue(stored)
    return stored


def _run_beside(queue: RedisQueue) -> Ledger:
    """Has a worker meet what waits, and run another job after it."""
    ledger, after = Ledger(), Job("kind")
    queue.enqueue(after)
    with running(queue, {"kind": ledger.note}, concurrency=1):
        ledger.wait_for([after.id])
        wait_for_end(queue, after.id)
    del ledger.runs[after.id]
    return ledger


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", "no record at all"),
        (b"rubbish", "no record at all"),
        (b"1kind\0\0", "cannot be read"),
        (b"1kind\0\0\xc1", "cannot be read"),
        (b"1kind\0\0" + msgpack.packb([b"payload", 1, None, 0])[:-1], "cannot be read"),
        (b"1kind\0\0" + msgpack.packb([b"payload"]), "cannot be read"),
        (b"1kind\0\0" + msgpack.packb(["text", 1, None, 0]), "a field has a wrong type"),
        (b"1other\0\0" + msgpack.packb([b"payload", 1, None, 0]), "waited as 'kind'"),
    ],
    ids=["empty", "rubbish", "no-body", "no-msgpack", "torn", "short", "text", "other-kind"],
)
def test_a_damaged_record_ends_as_failed_with_the_reason(
    queue: RedisQueue, client: redis.Redis, job: Job, record: bytes, reason: str
) -> None:
    client.hset(queue.keys.jobs, job.id, record)
    assert not _run_beside(queue).runs
    failed = queue.get(job.id)
    assert failed is not None
    assert failed.status is Status.FAILED
    assert failed.last_error is not None
    assert reason in failed.last_error
    assert held(client, queue) == {}
    assert queue.stats().workers == ()


@pytest.mark.parametrize("state", [b"rubbish", b"P:1:", b"P1:1:\xc1", b"?1:1:"])
def test_a_damaged_state_ends_as_failed_with_the_reason(
    queue: RedisQueue, client: redis.Redis, job: Job, state: bytes
) -> None:
    client.hset(queue.keys.state, job.id, state)
    assert not _run_beside(queue).runs
    failed = queue.get(job.id)
    assert failed is not None
    assert failed.status is Status.FAILED
    assert failed.last_error is not None
    assert "state cannot be read" in failed.last_error
    assert_sound(client, queue)


def test_an_id_without_a_record_is_no_job(queue: RedisQueue, client: redis.Redis, job: Job) -> None:
    client.hdel(queue.keys.jobs, job.id)
    assert not _run_beside(queue).runs
    assert client.zscore(queue.keys.due("kind"), job.id) is None
    assert_sound(client, queue)


def test_many_damaged_ones_hold_no_worker_up(queue: RedisQueue, client: redis.Redis) -> None:
    bad = [Job("kind") for _ in range(300)]
    good = [Job("kind") for _ in range(300)]
    mixed = [one for pair in zip(bad, good, strict=True) for one in pair]
    queue.enqueue(*mixed)
    for job in bad:
        client.hset(queue.keys.jobs, job.id, b"1kind\0\0\xc1")
    ledger = Ledger()
    with running(queue, {"kind": ledger.note}, concurrency=3):
        ledger.wait_for(job.id for job in good)
        wait_until(lambda: queue.stats().kinds["kind"].failed == 300, "the others have failed")
    assert ledger.runs == {job.id: 1 for job in good}
    assert held(client, queue) == {}


def test_one_that_would_be_given_back_unread_ends_instead(
    queue: RedisQueue, client: redis.Redis
) -> None:
    """Its record would have to say where it is to wait again, and cannot be read, or is of another
    kind. What is behind a long job is given back soon.
    """
    began, gate = threading.Event(), threading.Event()

    def handler(ctx: Context, job: Job) -> None:
        if job.payload == b"long":
            began.set()
            wait_for_event(gate, "the test lets it end")

    with running(queue, {"kind": handler}, concurrency=1, prefetch=50):
        first = Job("kind")
        queue.enqueue(first)
        wait_for_end(queue, first.id)  # the kind is known to be short, and prefetched
        torn, other, good = (Job("kind", delay=1.0) for _ in range(3))
        queue.enqueue(Job("kind", b"long", delay=1.0), torn, other, good)
        client.hset(queue.keys.jobs, torn.id, b"1kind\0\0\xc1")
        body = msgpack.packb([b"payload", 1, None, 0, 7])
        client.hset(queue.keys.jobs, other.id, b"1other\0\0" + body)
        wait_for_event(began, "the long one has begun")
        wait_until(lambda: queue.stats().kinds["kind"].failed == 2, "both have failed")
        gate.set()
        wait_for_end(queue, good.id)
    assert not client.exists(queue.keys.due("other"))
    assert held(client, queue) == {}


class TestOfANewerRelease:
    @pytest.mark.parametrize(
        "state",
        [None, b"P2:5000000:" + encode_state_body(1, 1, "once", None), b"P7:5000000:\xc1 newer"],
        ids=["new", "retried", "unknown-body"],
    )
    def test_it_waits_unchanged_for_a_worker_that_can_run_it(
        self, queue: RedisQueue, client: Any, job: Job, state: bytes | None
    ) -> None:
        record = b"2kind\0priority=9\0what only a newer release can read"
        client.hset(queue.keys.jobs, job.id, record)
        if state is not None:
            client.hset(queue.keys.state, job.id, state)
        now_s, _ = client.time()
        assert not _run_beside(queue).runs

        assert client.hget(queue.keys.jobs, job.id) == record
        due_s = client.zscore(queue.keys.due("kind"), job.id) / 1e6
        assert now_s + 10 < due_s < now_s + 60, "it is not met again in a busy loop"
        letter_and_attempts, _, body = client.hget(queue.keys.state, job.id).split(b":", 2)
        before = (state or b"P0:0:").split(b":", 2)
        assert (letter_and_attempts, body) == (before[0], before[2])
        assert held(client, queue) == {}

    @pytest.mark.parametrize(
        "record",
        [
            b"1kind\0expires=99 priority=3\0" + msgpack.packb([b"payload", 1, None, 0, 5]),
            b"1kind\0\0" + msgpack.packb([b"payload", 1, None, 0, 5, {"more": [1]}, "and more"]),
        ],
        ids=["unknown-header", "more-fields"],
    )
    def test_what_it_can_read_it_runs(
        self, queue: RedisQueue, client: redis.Redis, job: Job, record: bytes
    ) -> None:
        client.hset(queue.keys.jobs, job.id, record)
        assert _run_beside(queue).runs == {job.id: 1}
        done = queue.get(job.id)
        assert done is not None
        assert (done.status, done.payload) == (Status.DONE, b"payload")
        assert client.hget(queue.keys.jobs, job.id) == record, "carried unchanged"
        assert_sound(client, queue)


class TestOfAnOlderRelease:
    @pytest.mark.parametrize(
        ("state", "attempts_before"), [(None, 0), (b"P2:1:", 2)], ids=["new", "bodiless"]
    )
    def test_fields_that_it_did_not_have_yet_are_not_missed(
        self,
        queue: RedisQueue,
        client: redis.Redis,
        job: Job,
        state: bytes | None,
        attempts_before: int,
    ) -> None:
        record = b"1kind\0\0" + msgpack.packb([b"payload", 1, None, 0])  # without a mark
        client.hset(queue.keys.jobs, job.id, record)
        if state is not None:
            client.hset(queue.keys.state, job.id, state)
        with pytest.raises(JobExistsError):
            queue.enqueue(Job("kind", b"payload", id=job.id))
        assert _run_beside(queue).runs == {job.id: 1}
        done = queue.get(job.id)
        assert done is not None
        assert (done.status, done.payload) == (Status.DONE, b"payload")
        assert done.attempts_done == attempts_before + 1
        assert client.hget(queue.keys.jobs, job.id) == record, "carried unchanged"
        assert_sound(client, queue)
