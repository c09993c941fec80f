"""On a server at its memory limit jobs are refused whole, and all that drains the queue works.

Each test makes its call the first one that the full server sees: a write that passed before could
hide that a script's own first write is refused.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import redis

from redisjobs.embedded import EmbeddedServer
from redisjobs.errors import JobExistsError, QueueFullError
from redisjobs.operations import membership, one_job
from redisjobs.operations.repair import RepairReport, repair
from redisjobs.operations.settle import settle
from redisjobs.operations.sweep import sweep
from redisjobs.states import Status
from tests.scripts.bench import Bench
from tests.servers import KINDS, WHERE_FROM

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=list(KINDS))
def server(request: pytest.FixtureRequest) -> Iterator[EmbeddedServer]:
    executable = KINDS[request.param]()
    if executable is None:
        pytest.skip(WHERE_FROM[request.param])
    with EmbeddedServer(
        executable=executable, options={"maxmemory-policy": "noeviction"}
    ) as started:
        yield started


class FillableBench(Bench):
    """A queue on a server of its own, which can be full."""

    def fill(self, *, spare_bytes: int = 0, forget_scripts: bool = False) -> None:
        """From now on every write is over the limit, or what needs more than the spare bytes."""
        if forget_scripts:
            self.client.script_flush()
        used = self.client.info("memory")["used_memory"]
        self.client.config_set("maxmemory", used + spare_bytes if spare_bytes else 1)

    def relieve(self) -> None:
        self.client.config_set("maxmemory", 0)


@pytest.fixture
def bench(server: EmbeddedServer, queue_name: str) -> Iterator[FillableBench]:
    with redis.Redis.from_url(server.url) as client:
        made = FillableBench(client, queue_name)
        made.register("w")
        yield made
        made.relieve()
        made.close()


def enqueue_until_it_is_full(bench: Bench) -> set[str]:
    """Calls of 20 jobs of 5 kB. Returns the ids of those that were acknowledged."""
    acknowledged: set[str] = set()
    for _ in range(1000):
        try:
            acknowledged.update(bench.enqueue(number=20, payload=bytes(5000)))
        except QueueFullError:
            return acknowledged
    raise AssertionError("100 MB fit in a server with room for 2 MB")


@pytest.fixture(params=[False, True], ids=["known-scripts", "forgotten-scripts"])
def forget(request: pytest.FixtureRequest) -> bool:
    """Whether the server has to be sent the script, too."""
    return bool(request.param)


class TestEnqueue:
    def test_jobs_are_refused_and_nothing_is_written(
        self, bench: FillableBench, forget: bool
    ) -> None:
        bench.enqueue()
        stored = bench.snapshot()
        jobs = [*bench.jobs("a", 3), *bench.jobs("b", 3)]
        bench.fill(forget_scripts=forget)
        with pytest.raises(QueueFullError, match="memory limit"):
            bench.store(*jobs, producer="another")
        assert bench.snapshot() == stored

    def test_jobs_that_exist_are_refused_and_nothing_is_written(
        self, bench: FillableBench, forget: bool
    ) -> None:
        ids = bench.enqueue()
        stored = bench.snapshot()
        bench.fill(forget_scripts=forget)
        with pytest.raises((QueueFullError, JobExistsError)):
            bench.store(*bench.jobs(ids=[*ids, "new"]), producer="another")
        assert bench.snapshot() == stored

    def test_records_past_their_time_are_not_touched(
        self, bench: FillableBench, forget: bool
    ) -> None:
        (id,) = bench.enqueue()
        bench.end(id)
        bench.clock.advance(timedelta(days=1))
        stored = bench.snapshot()
        bench.fill(forget_scripts=forget)
        with pytest.raises(QueueFullError):
            bench.store(*bench.jobs(ids=[id]), producer="another")
        assert bench.snapshot() == stored

    def test_a_call_that_was_carried_out_before_is_still_recognised(
        self, bench: FillableBench, forget: bool
    ) -> None:
        jobs = bench.jobs(number=3)
        bench.store(*jobs, number=7)
        bench.fill(forget_scripts=forget)
        bench.store(*jobs, number=7)
        assert bench.codes == ["again"]

    def test_the_call_that_reaches_the_limit_is_stored_whole_or_not_at_all(
        self, bench: FillableBench
    ) -> None:
        bench.fill(spare_bytes=2_000_000)
        acknowledged = enqueue_until_it_is_full(bench)
        assert acknowledged
        assert bench.stored_ids() == acknowledged
        assert set(bench.waiting()) == acknowledged


class TestAWorkerOnAFullServer:
    def test_registers(self, bench: FillableBench, forget: bool) -> None:
        bench.set_losses(2, "id")
        bench.fill(forget_scripts=forget)
        bench.register("new", info=b"info", held_before=["id"], retention_us=5)
        assert bench.client.zscore(bench.keys.workers, "new")
        assert bench.client.hget(bench.keys.worker_info, "new") == b"info"
        assert bench.client.hget(bench.keys.meta, "retention_us") == b"5"
        assert bench.losses() == {"id": 1}

    def test_registers_as_the_first_of_its_queue(self, bench: FillableBench, forget: bool) -> None:
        bench.run(membership.unregister(bench.keys, "w"))
        bench.client.delete(bench.keys.meta)
        bench.fill(forget_scripts=forget)
        bench.register("w")
        assert bench.client.hget(bench.keys.meta, "schema") == b"1"

    def test_claims(self, bench: FillableBench, forget: bool) -> None:
        ids = bench.enqueue(number=5)
        bench.enqueue(delay=timedelta(hours=1))
        bench.fill(forget_scripts=forget)
        claimed = bench.claim()
        assert [one.id for one in claimed.claims] == ids
        assert len(bench.held()) == 5
        assert claimed.next_due_us is not None

    def test_claims_nothing_and_minds_the_next_due_time(
        self, bench: FillableBench, forget: bool
    ) -> None:
        bench.enqueue(delay=timedelta(hours=1))
        bench.fill(forget_scripts=forget)
        assert bench.claim().next_due_us is not None

    def test_puts_back_a_token_that_it_cannot_use(self, bench: FillableBench, forget: bool) -> None:
        bench.enqueue()
        bench.client.delete(bench.keys.bell("email"))
        bench.fill(forget_scripts=forget)
        assert bench.claim(limit=0).claims == []
        assert bench.tokens() == 1

    def test_marks_a_last_chance(self, bench: FillableBench, forget: bool) -> None:
        bench.enqueue()
        bench.take()
        (id,) = bench.enqueue()
        bench.set_losses(3, id)
        bench.fill(forget_scripts=forget)
        assert bench.claim().emptying == ("email", id)

    @pytest.mark.parametrize("letter", [b"D", b"F", b"X", b"P"])
    def test_settles_what_is_kept(self, bench: FillableBench, forget: bool, letter: bytes) -> None:
        ids = bench.enqueue(number=5)
        deliveries = bench.take()
        bench.fill(forget_scripts=forget)
        assert bench.settle(*deliveries[1:], letter=letter, delay_us=1000) == []
        assert bench.held() == deliveries[:1]
        assert all(bench.state(id) for id in ids[1:])

    def test_settles_what_is_not_kept(self, bench: FillableBench, forget: bool) -> None:
        bench.register("w", retention_us=0)
        bench.enqueue(number=5)
        deliveries = bench.take()
        bench.fill(forget_scripts=forget)
        assert bench.settle(*deliveries) == []
        assert bench.stored_ids() == set()

    @pytest.mark.parametrize("retention_us", [0, 10**9])
    def test_settles_many_while_the_first_still_runs(
        self, bench: FillableBench, forget: bool, retention_us: int
    ) -> None:
        bench.register("w", retention_us=retention_us)
        bench.enqueue(number=60)
        deliveries = bench.take()
        bench.fill(forget_scripts=forget)
        done = {"email": dict.fromkeys(deliveries[1:41], b"body" if retention_us else b"")}
        assert bench.run(settle(bench.keys, "w", (), done)) == []
        assert bench.held() == [deliveries[0], *deliveries[41:]]
        assert len(bench.finished(Status.DONE)) == (40 if retention_us else 0)

    def test_is_refused_what_it_does_not_hold(self, bench: FillableBench, forget: bool) -> None:
        bench.fill(forget_scripts=forget)
        assert bench.settle("1:id", letter=b"F") == ["1:id"]

    def test_keeps_its_lease_and_its_info(self, bench: FillableBench, forget: bool) -> None:
        bench.clock.advance(timedelta(seconds=10))
        before = bench.clock.now_us
        bench.fill(forget_scripts=forget)
        bench.beat("w", info=b"new")
        assert bench.client.zscore(bench.keys.workers, "w") >= before + 15_000_000
        assert bench.client.hget(bench.keys.worker_info, "w") == b"new"

    def test_releases(self, bench: FillableBench, forget: bool) -> None:
        ids = bench.enqueue(number=5)
        deliveries = bench.take()
        bench.fill(forget_scripts=forget)
        bench.release(*deliveries)
        assert bench.waiting() == ids
        assert bench.tokens() == 3

    @pytest.mark.parametrize("max_losses", [0, 3])
    def test_reaps(self, bench: FillableBench, forget: bool, max_losses: int) -> None:
        ids = bench.enqueue(number=5)
        bench.take()
        bench.fill(forget_scripts=forget)
        assert bench.reap(max_losses=max_losses).moved == 5
        if max_losses:
            assert bench.waiting() == ids
            assert bench.losses() == dict.fromkeys(ids, 1)
        else:
            assert bench.finished(Status.PANIC) == ids

    def test_sweeps(self, bench: FillableBench, forget: bool) -> None:
        (id,) = bench.enqueue()
        bench.end(id)
        bench.clock.advance(timedelta(days=1))
        bench.fill(forget_scripts=forget)
        assert bench.run(sweep(bench.keys, ["email"])) == 1

    def test_leaves(self, bench: FillableBench, forget: bool) -> None:
        bench.fill(forget_scripts=forget)
        assert bench.run(membership.unregister(bench.keys, "w")) == 0
        assert bench.client.exists(bench.keys.workers) == 0


class TestAnOperatorOnAFullServer:
    def test_cancels(self, bench: FillableBench, forget: bool) -> None:
        (id,) = bench.enqueue()
        bench.fill(forget_scripts=forget)
        assert bench.run(one_job.cancel(bench.keys, id))
        assert bench.finished(Status.CANCELLED) == [id]

    def test_retries(self, bench: FillableBench, forget: bool) -> None:
        (id,) = bench.enqueue()
        bench.end(id, letter=b"F")
        bench.fill(forget_scripts=forget)
        assert bench.run(one_job.retry(bench.keys, id))
        assert bench.waiting() == [id]

    @pytest.mark.parametrize("has_ended", [False, True])
    def test_deletes(self, bench: FillableBench, forget: bool, has_ended: bool) -> None:
        (id,) = bench.enqueue()
        if has_ended:
            bench.end(id)
        bench.fill(forget_scripts=forget)
        assert bench.run(one_job.delete(bench.keys, id))
        assert bench.stored_ids() == set()

    @pytest.mark.parametrize("lost", ["due:email", "kinds", "meta", "totals"])
    def test_repairs(self, bench: FillableBench, forget: bool, lost: str) -> None:
        bench.end(*bench.enqueue(), letter=b"F")
        bench.enqueue(number=2)
        bench.take(limit=1)
        bench.client.delete(bench.keys.prefix + lost.encode())
        bench.fill(forget_scripts=forget)
        report = bench.run(repair(bench.keys, RepairReport()))
        assert len(report) == 1
        assert report.left == []

    def test_reads(self, bench: FillableBench, forget: bool) -> None:
        (id,) = bench.enqueue()
        bench.fill(forget_scripts=forget)
        assert bench.get(id) is not None


def test_a_full_server_drains_and_takes_jobs_again(bench: FillableBench) -> None:
    bench.register("w", retention_us=0)
    bench.fill(spare_bytes=2_000_000)
    stored = enqueue_until_it_is_full(bench)
    while deliveries := bench.take(limit=50):
        assert bench.settle(*deliveries) == []
        stored -= {delivery.partition(":")[2] for delivery in deliveries}
    assert stored == set()
    assert bench.stored_ids() == set()
    assert len(bench.enqueue(number=20, payload=bytes(5000))) == 20
