"""RedisQueue.dequeue: one job, locked while a function of the caller's runs."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import (
    Context,
    InvalidJobError,
    Job,
    LockLostError,
    QueueUnavailableError,
    RedisQueue,
    Status,
)
from redisjobs.context import CancelReason
from redisjobs.dequeue import dequeue
from redisjobs.line import Line
from redisjobs.operations.giving_back import reap
from redisjobs.operations.operation import Calls
from redisjobs.patience import LineError
from tests import drivers
from tests.drivers import DRIVERS
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import redis

    from tests.drivers import Driver


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """These tests run over both queues."""
    with drivers.driver(request.param) as made:
        yield made


def ended(status: Status, **fields: Any) -> Callable[[Context, Job], Job]:
    def fn(_: Context, job: Job) -> Job:
        job.status = status
        for name, value in fields.items():
            setattr(job, name, value)
        return job

    return fn


def attempt(handler: Callable[[Context, Job], bytes | None]) -> Callable[[Context, Job], Job]:
    def fn(ctx: Context, job: Job) -> Job:
        job.attempt(ctx, datetime.now(UTC), handler)
        return job

    return fn


def stored(queue: RedisQueue, id: str) -> Job:
    job = queue.get(id)
    assert job is not None
    return job


def test_nothing_ready_is_false_and_leaves_nothing_behind(
    queue: RedisQueue, client: redis.Redis
) -> None:
    queue.enqueue(Job("other"), Job("a", delay=timedelta(hours=1)))
    assert queue.dequeue(["a"], ended(Status.DONE)) is False
    assert queue.stats().workers == ()
    assert not client.exists(queue.keys.of_kind("a")[2]), "it minds a due time and is gone"


def test_no_kinds_find_nothing(queue: RedisQueue) -> None:
    queue.enqueue(Job("a"))
    assert queue.dequeue([], ended(Status.DONE)) is False


def test_one_str_is_not_several_kinds(queue: RedisQueue) -> None:
    with pytest.raises(InvalidJobError, match="several kinds"):
        queue.dequeue("ab", ended(Status.DONE))


def test_kinds_are_normalised(queue: RedisQueue) -> None:
    queue.enqueue(Job("email"))
    assert queue.dequeue([" EMail "], ended(Status.DONE)) is True


def test_what_an_attempt_came_to_is_stored(queue: RedisQueue) -> None:
    queue.enqueue(Job("a", b"in", id="x"))
    assert queue.dequeue(["a"], attempt(lambda ctx, job: b"out of " + job.payload)) is True
    job = stored(queue, "x")
    assert (job.status, job.result, job.attempts_done) == (Status.DONE, b"out of in", 1)
    assert queue.stats().workers == ()
    assert queue.check() == []


@pytest.mark.parametrize("status", [Status.FAILED, Status.PANIC, Status.CANCELLED])
def test_each_end_is_stored(queue: RedisQueue, status: Status) -> None:
    queue.enqueue(Job("a", id="x"))
    queue.dequeue(["a"], ended(status, last_error="why", attempts_done=4))
    job = stored(queue, "x")
    assert (job.status, job.last_error, job.attempts_done) == (status, "why", 4)
    assert queue.check() == []


def test_a_job_that_waits_again_comes_due_when_it_says(queue: RedisQueue) -> None:
    queue.enqueue(Job("a", id="x"))
    later = datetime.now(UTC) + timedelta(hours=1)
    queue.dequeue(["a"], ended(Status.PENDING, run_at=later))
    again = stored(queue, "x").run_at
    assert again is not None
    assert abs(again - later) < timedelta(seconds=5)
    assert queue.dequeue(["a"], ended(Status.DONE)) is False


def test_what_fn_raises_is_raised_and_the_job_given_back_without_a_loss(queue: RedisQueue) -> None:
    queue.enqueue(Job("a", id="x"))

    def fn(_: Context, job: Job) -> Job:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        queue.dequeue(["a"], fn)
    job = stored(queue, "x")
    assert (job.status, job.attempts_done) == (Status.PENDING, 0)
    seen: list[int] = []

    def look(ctx: Context, job: Job) -> Job:
        seen.append(ctx.losses)
        return ended(Status.DONE)(ctx, job)

    assert queue.dequeue(["a"], look) is True
    assert seen == [0]
    assert queue.stats().workers == ()


@pytest.mark.parametrize(
    "returned",
    [None, Job("a"), "job"],
    ids=["nothing", "another job", "no job"],
)
def test_what_is_not_that_job_is_refused_and_the_job_given_back(
    queue: RedisQueue, returned: Any
) -> None:
    queue.enqueue(Job("a", id="x"))
    with pytest.raises(InvalidJobError, match="must return that Job"):
        queue.dequeue(["a"], lambda ctx, job: returned)
    assert stored(queue, "x").status is Status.PENDING
    assert queue.stats().kinds["a"].ready == 1


@pytest.mark.parametrize("result", ["text", b"x" * (2**20 + 1)], ids=["not bytes", "too large"])
def test_a_result_that_cannot_be_stored_is_refused_and_the_job_given_back(
    queue: RedisQueue, result: Any
) -> None:
    queue.enqueue(Job("a", id="x"))
    with pytest.raises(InvalidJobError, match="result"):
        queue.dequeue(["a"], ended(Status.DONE, result=result))
    assert queue.stats().kinds["a"].ready == 1


def test_a_record_that_cannot_be_read_fails_and_the_next_job_is_taken(
    queue: RedisQueue, client: redis.Redis
) -> None:
    queue.enqueue(Job("a", id="broken"), Job("a", id="x"))
    client.hset(queue.keys.jobs.decode(), "broken", b"1a\0\0junk")
    assert queue.dequeue(["a"], ended(Status.DONE)) is True
    assert stored(queue, "x").status is Status.DONE
    assert queue.stats().kinds["a"].failed == 1


def test_the_lock_is_kept_for_longer_than_a_lease(queue: RedisQueue, client: redis.Redis) -> None:
    queue.enqueue(Job("a", id="x"))
    workers = queue.keys.workers.decode()

    def fn(ctx: Context, job: Job) -> Job:
        first = client.zscore(workers, ctx.worker_id)
        assert first is not None
        beyond = float(first) + 2 * 0.3e6
        wait_until(
            lambda: float(client.zscore(workers, ctx.worker_id) or 0) > beyond,
            "beats that prolong the lease by two leases",
        )
        assert not ctx.cancelled
        return ended(Status.DONE)(ctx, job)

    assert dequeue(queue.source, ["a"], fn, lease_s=0.3) is True
    assert stored(queue, "x").status is Status.DONE


def test_a_lost_lock_cancels_the_context_and_stores_nothing(queue: RedisQueue) -> None:
    queue.enqueue(Job("a", id="x"))
    reasons: list[Any] = []

    def fn(ctx: Context, job: Job) -> Job:
        queue.lines.run(lambda: reap(queue.keys, ctx.worker_id, None, 3, ["a"]))
        assert ctx.wait_cancelled(10.0), "the heartbeat did not tell"
        reasons.append(ctx.cancel_reason)
        return ended(Status.DONE)(ctx, job)

    with pytest.raises(LockLostError, match="'x'"):
        dequeue(queue.source, ["a"], fn, lease_s=0.3)
    assert reasons == [CancelReason.LEASE_LOST]
    assert stored(queue, "x").status is Status.PENDING
    assert queue.stats().kinds["a"].ready == 1


def test_what_fn_raises_after_the_lock_is_lost_is_a_lost_lock(queue: RedisQueue) -> None:
    queue.enqueue(Job("a", id="x"))

    def fn(ctx: Context, job: Job) -> Job:
        queue.lines.run(lambda: reap(queue.keys, ctx.worker_id, None, 3, ["a"]))
        ctx.wait_cancelled(10.0)
        ctx.raise_if_cancelled()
        raise AssertionError("the heartbeat did not tell")

    with pytest.raises(LockLostError, match="'x'"):
        dequeue(queue.source, ["a"], fn, lease_s=0.3)


class ReplyLost:
    """Has the reply of the first calls of one script lost, after they ran."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, script: str, times: int = 1) -> None:
        self.left = times
        exchange = Line.exchange

        def lossy(line: Line, calls: Calls) -> Sequence[Any]:
            replies = exchange(line, calls)
            if self.left and any(call.script == script for call in calls):
                self.left -= 1
                line.close()
                raise LineError("the reply is lost", sent=True)
            return replies

        monkeypatch.setattr(Line, "exchange", lossy)


def test_a_settle_whose_reply_is_lost_counts(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.enqueue(Job("a", id="x"))
    lost = ReplyLost(monkeypatch, "settle")
    assert queue.dequeue(["a"], ended(Status.DONE)) is True
    assert lost.left == 0
    assert stored(queue, "x").status is Status.DONE
    assert queue.stats().workers == ()


def test_a_claim_whose_reply_is_lost_gives_its_job_back(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.enqueue(Job("a", id="x"))
    ReplyLost(monkeypatch, "claim")
    with pytest.raises(QueueUnavailableError, match="the reply is lost"):
        queue.dequeue(["a"], ended(Status.DONE))
    assert queue.stats().kinds["a"].ready == 1
    assert queue.stats().workers == ()
    assert queue.dequeue(["a"], ended(Status.DONE)) is True


def test_many_threads_take_each_job_once(queue: RedisQueue) -> None:
    queue.enqueue(*(Job("a", id=f"j{number}") for number in range(60)))
    taken: list[str] = []

    def fn(ctx: Context, job: Job) -> Job:
        taken.append(job.id)
        return ended(Status.DONE)(ctx, job)

    def work() -> None:
        while queue.dequeue(["a"], fn):
            pass

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert sorted(taken) == sorted(f"j{number}" for number in range(60))
    assert queue.check() == []
