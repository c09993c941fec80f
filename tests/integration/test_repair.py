"""repair: each kind of damage is mended, also where jobs move; what moves is not touched."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, RedisQueue, RetryableError
from redisjobs.operations.membership import unregister
from redisjobs.operations.repair import RepairReport, repair
from redisjobs.operations.verdicts import MOST_SENTENCES
from tests.damage import CONTENTS, KEYS, PLACES, Damage, fill, run_repair
from tests.drivers import DRIVERS, driver
from tests.moving import Mover, run_while
from tests.running import Ledger, assert_sound, running
from tests.scripts.bench import Bench
from tests.waiting import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer

GHOST = "processing:ghost"
# What a repair only tells: it cannot know what should be there instead.
LEFT_ALONE = {
    "a record is junk", "a record names no kind", "a record names what no kind can be",
    "a record is of a newer release", "a record of an ended job is junk", "a state is junk",
    "a state has a letter of a newer release", "a state's body is junk",
    "a worker is registered but has no info", "a key is none of a queue's",
    "a key is of a wrong type", "the schema is newer",
}  # fmt: skip


@pytest.fixture
def bench(every_client: redis.Redis, queue_name: str) -> Iterator[Bench]:
    made = Bench(every_client, queue_name)
    yield made
    made.close()


@pytest.mark.parametrize("damage", [*PLACES, *CONTENTS, *KEYS], ids=lambda damage: damage.name)
def test_damage_is_mended(bench: Bench, damage: Damage) -> None:
    damage.do(fill(bench))
    damaged = bench.snapshot()
    told = run_repair(bench, dry_run=True)
    assert bench.snapshot() == damaged
    assert len(told.left) == len(damage.says)
    report = run_repair(bench)
    mended = bench.snapshot()
    if damage.name in LEFT_ALONE:
        assert list(report) == list(told) == []
        assert list(report.left) == list(told.left)
        assert mended == damaged
    else:
        assert report
        assert set(report.repaired) <= set(told.repaired)
        assert report.left == []
        again = run_repair(bench)
        assert list(again) == []
        assert bench.snapshot() == mended


def test_much_damage_is_mended_whole_and_told_in_part(bench: Bench) -> None:
    number = 2 * MOST_SENTENCES
    bench.enqueue(number=number)
    bench.client.delete(bench.keys.due("email"))
    report = run_repair(bench)
    assert len(report) == MOST_SENTENCES
    assert report.repaired == {"jobs": number}
    assert report.left == []
    assert len(bench.waiting()) == number


class TestAQueueThatMoves:
    @pytest.mark.parametrize("seed", range(3))
    def test_jobs_that_move_meanwhile_are_not_touched(self, bench: Bench, seed: int) -> None:
        # The mover fails if a job that it holds is taken from it.
        mover = Mover(bench, seed)
        mover.enqueue("email", 900)
        mover.enqueue("sms", 400)
        for _ in range(10):
            mover.step()
        report = run_while(bench, repair(bench.keys, RepairReport()), mover.step)
        assert list(report) == []
        assert report.left == []

    @pytest.mark.parametrize("seed", range(3))
    def test_damage_is_mended_while_jobs_move(self, bench: Bench, seed: int) -> None:
        mover = Mover(bench, seed)
        mover.enqueue("email", 900)
        bench.enqueue("fax", ids=["placeless", "abandoned", "ended"])
        bench.client.zrem(bench.keys.due("fax"), "placeless", "abandoned")
        bench.client.rpush(bench.keys.processing("ghost"), "0:abandoned")
        bench.end("ended", kind="fax")
        bench.client.zadd(bench.keys.due("fax"), {"ended": 1})
        report = run_while(bench, repair(bench.keys, RepairReport()), mover.step)
        assert sorted(report) == [
            f"job 'abandoned' was not where it belongs: put in due:fax, taken out of {GHOST}",
            "job 'ended' stays in finished:done:fax: taken out of due:fax",
            "job 'placeless' was not where it belongs: put in due:fax",
        ]
        assert report.left == []
        assert bench.waiting("fax") == ["abandoned", "placeless"]

    def test_a_job_that_goes_to_a_new_worker_at_every_step_is_not_touched(
        self, bench: Bench
    ) -> None:
        bench.enqueue(ids=["hopping"])
        left = count()
        holder = delivery = ""

        def hop() -> None:
            nonlocal holder, delivery
            if holder:
                bench.release(delivery, worker=holder)
                bench.run(unregister(bench.keys, holder))
            holder = bench.register(f"w{next(left)}")
            [delivery] = bench.take(holder)

        hop()
        assert list(run_while(bench, repair(bench.keys, RepairReport()), hop)) == []
        assert bench.held(holder) == [delivery]

    def test_what_is_mended_by_somebody_else_meanwhile_is_not_mended_again(
        self, bench: Bench
    ) -> None:
        bench.enqueue(number=50)
        bench.client.delete(bench.keys.due("email"))
        other: list[RepairReport] = []
        steps = count()

        def somebody_else() -> None:
            # Late enough that all are suspects, and before any of them is mended.
            if next(steps) == self.steps_of_a_repair(bench, "repair_jobs"):
                other.append(run_repair(bench))

        report = run_while(bench, repair(bench.keys, RepairReport()), somebody_else)
        assert list(report) == []
        assert other[0].repaired == {"jobs": 50}
        assert len(bench.waiting()) == 50

    @staticmethod
    def steps_of_a_repair(bench: Bench, script: str) -> int:
        """How many round trips a dry run needs before it asks this script."""
        operation = repair(bench.keys, RepairReport(dry_run=True))
        line = bench.lines.new_line(10)
        steps = 0
        calls = next(operation)
        while calls[0].script != script:
            steps += 1
            calls = operation.send(line.exchange(calls))
        line.close()
        operation.close()
        return steps


class Dying:
    """Workers that claim jobs, run them, and are never heard of again."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._names = count()

    def claim(self) -> None:
        worker = self._bench.register(
            f"dying-{next(self._names)}", lease_us=200_000, info=b'{"lease_ms":200}'
        )
        self._bench.take(worker, ["note", "later"], 5)


class Producer:
    """Enqueues jobs on a thread of its own until it is stopped."""

    def __init__(self, queue: RedisQueue) -> None:
        self.ids: list[str] = []
        self._queue = queue
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(0.01):
            jobs = [Job(kind) for kind in ("note", "note", "later")]
            self.ids += self._queue.enqueue(*jobs).created

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.mark.timeout(180)
def test_repairs_in_a_loop_touch_nothing_while_workers_reapers_and_producers_run(
    bench: Bench, every_server: EmbeddedServer
) -> None:
    queue = RedisQueue.from_url(every_server.url, bench.keys.name)
    ledger, dying = Ledger(), Dying(bench)

    def later(ctx: Context, job: Job) -> bytes:
        if ctx.attempt == 1:
            raise RetryableError("busy")
        return ledger.note(ctx, job)

    producer = Producer(queue)
    settings: dict[str, Any] = {"lease": 1.0, "min_retry_backoff": 0.05, "concurrency": 4}
    handlers = {"note": ledger.note, "later": later}
    done: list[str] = []
    broken: list[str] = []
    with running(queue, handlers, **settings), running(queue, handlers, **settings):
        deadline = Deadline(60)
        for repairs in count():
            if len(producer.ids) > 600 and repairs > 20:
                break
            if repairs % 5 == 0:
                dying.claim()
            report = queue.repair()
            done += report
            broken += report.left
            assert deadline.left_s, "600 jobs were enqueued in 60 s"
        producer.stop()
        deadline.until(lambda: set(producer.ids) <= ledger.runs.keys(), "all jobs have run")
        deadline.until(lambda: not queue.stats().kinds["note"].running, "nothing runs")
        deadline.until(lambda: len(queue.stats().workers) == 2, "the dead are forgotten")
    assert done == []
    assert broken == []
    assert set(ledger.runs) == set(producer.ids)
    assert set(ledger.runs.values()) == {1}
    assert_sound(bench.client, queue)


@pytest.mark.parametrize("name", DRIVERS)
def test_both_queues_repair(
    client: redis.Redis, redis_server: Any, queue_name: str, name: str
) -> None:
    with driver(name) as make:
        queue = make.from_url(redis_server.url, queue_name)
        queue.enqueue(Job("mail", id="lost"))
        client.delete(queue.keys.due("mail"))
        for dry_run in (True, False):
            report = queue.repair(dry_run=dry_run)
            assert report.dry_run is dry_run
            assert list(report)[:1] == ["job 'lost' was not where it belongs: put in due:mail"]
            assert report.repaired["jobs"] == report.examined["jobs"] == 1
            assert bool(report.left) is dry_run
        assert list(queue.repair()) == []
