"""repair after random damage: what had ended stays so, and what had not runs once."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from redisjobs.states import Status
from tests.damage import run_repair
from tests.scripts.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

EMAIL, SMS = "email", "sms"
KINDS = (EMAIL, SMS)
WORKERS = ("w", "v")
LATER = timedelta(minutes=10)
STATUSES = (Status.DONE, Status.FAILED, Status.PANIC, Status.CANCELLED)


class Known:
    """A queue with jobs in all places, and what is known of them: what a repair has to heed.

    Attributes:
        open: ids that have not ended.
        ended: ids that have, with their states as they are stored.
    """

    def __init__(self, bench: Bench, random: Random) -> None:
        self.bench = bench
        self.random = random
        self.kind_of: dict[str, str] = {}
        for kind in KINDS:
            self._fill(kind)
        self.open = self._stored() - self._stored_states()
        self.ended: dict[str, bytes | None] = {}
        for id in self._stored_states():
            state: bytes = bench.client.hget(bench.keys.state, id)
            if state[:1] == b"P":
                self.open.add(id)
            else:
                self.ended[id] = state

    def _fill(self, kind: str) -> None:
        bench = self.bench
        for letter in (b"D", b"F", b"X", b"C", b"D", b"F"):
            bench.end(*self._enqueue(kind, 1), letter=letter, kind=kind)
        for worker in WORKERS:
            bench.register(worker)
            self._enqueue(kind, 6)
            held = bench.take(worker, [kind])
            bench.settle(*held[:2], worker=worker, letter=b"P", kind=kind, delay_us=1)
            bench.settle(held[2], worker=worker, letter=b"P", kind=kind, delay_us=LATER_US)
        self._enqueue(kind, 3)
        self._enqueue(kind, 3, delay=LATER)

    def _enqueue(self, kind: str, number: int, **more: timedelta) -> list[str]:
        ids = self.bench.enqueue(kind, number, **more)
        self.kind_of |= dict.fromkeys(ids, kind)
        return ids

    def _stored(self) -> set[str]:
        return self.bench.stored_ids()

    def _stored_states(self) -> set[str]:
        return {id.decode() for id in self.bench.client.hkeys(self.bench.keys.state)}

    # Hands that damage it.

    def a_job(self) -> str:
        return self.random.choice(sorted(self.kind_of))

    def an_open_job(self) -> str:
        return self.random.choice(sorted(self.open))

    def lose_record(self) -> None:
        id = self.a_job()
        self.bench.client.hdel(self.bench.keys.jobs, id)
        self.open.discard(id)
        self.ended.pop(id, None)
        del self.kind_of[id]

    def lose_place(self) -> None:
        id = self.a_job()
        kind = self.kind_of[id]
        for key in (self.bench.keys.due(kind), *self.bench.keys.all_finished(kind)):
            if id in self.open or self.ended[id] is not None:
                self.bench.client.zrem(key, id)

    def lose_lock(self) -> None:
        self.bench.client.lpop(self.bench.keys.processing(self.random.choice(WORKERS)))

    def wait_too(self) -> None:
        id = self.an_open_job() if self.random.random() < 0.7 else self.a_job()
        if self.ended.get(id, b"") is not None:
            kind = self.random.choice([*KINDS, "fax"])
            self.bench.client.zadd(self.bench.keys.due(kind), {id: self.bench.clock.now_us})

    def hold_too(self) -> None:
        id, worker = self.a_job(), self.random.choice([*WORKERS, "ghost", "phantom"])
        if self.ended.get(id, b"") is not None:
            token = self.random.randint(0, 40)
            self.bench.client.rpush(self.bench.keys.processing(worker), f"{token}:{id}")

    def end_too(self) -> None:
        if self.ended:
            id = self.random.choice(sorted(self.ended))
            finished = self.bench.keys.finished(self.random.choice(STATUSES), EMAIL)
            self.bench.client.zadd(finished, {id: self.bench.clock.now_us})

    def bring_strangers(self) -> None:
        keys = self.bench.keys
        for key in (keys.due(EMAIL), keys.finished(Status.DONE, SMS)):
            self.bench.client.zadd(key, {"stranger": 1})
        self.bench.client.rpush(keys.processing("w"), "1:stranger", "no delivery")
        self.bench.client.hset(keys.state, "stranger", b"P1:5:")
        self.bench.client.hset(keys.losses, "stranger", 1)

    def abandon(self) -> None:
        lists = self.bench.keys.processing("w"), self.bench.keys.processing("phantom")
        if self.bench.client.exists(lists[0]):
            self.bench.client.rename(*lists)

    def forget_worker(self) -> None:
        self.bench.client.zrem(self.bench.keys.workers, self.random.choice(WORKERS))

    def count_wrong(self) -> None:
        keys, client = self.bench.keys, self.bench.client
        client.hset(keys.losses, mapping={self.a_job(): self.random.choice(["junk", "1", "-1"])})
        client.hset(keys.totals, mapping={"done:email": "x", "failed:sms": 0, "retried:sms": ""})
        client.hset(keys.meta, mapping={"retention_us": "1h", "failed_limit": "-3"})

    def set_token_back(self) -> None:
        self.bench.client.hset(self.bench.keys.meta, "token", self.random.choice(["junk", 0, 2]))

    def leave_keys(self) -> None:
        keys, client = self.bench.keys, self.bench.client
        client.persist(keys.request("producer"))
        client.set(keys.of_kind("sms")[2], "5 w")
        client.rpush(keys.bell("telex"), 1)
        client.hset(keys.worker_info, "phantom", "{}")

    def evict(self) -> None:
        keys = self.bench.keys
        kind = self.random.choice(KINDS)
        self.bench.client.delete(
            self.random.choice(
                [
                    keys.due(kind), keys.bell(kind), keys.kinds, keys.totals, keys.workers,
                    keys.losses, keys.meta, keys.request("producer"), keys.processing("w"),
                ]
            )
        )  # fmt: skip

    def evict_states(self) -> None:
        """Only the finished sets tell then what has ended, so nothing else may be wrong there."""
        keys = self.bench.keys
        for id in self.ended:
            finished = keys.all_finished(self.kind_of[id])
            if not any(self.bench.client.zscore(key, id) for key in finished):
                return
            if any(self.bench.client.zscore(keys.due(kind), id) for kind in (*KINDS, "fax")):
                return
        every = [*WORKERS, "ghost", "phantom"]
        if {one.partition(":")[2] for worker in every for one in self.bench.held(worker)} & set(
            self.ended
        ):
            return
        self.bench.client.delete(keys.state)
        self.ended = dict.fromkeys(self.ended, None)

    def evict_finished(self) -> None:
        """Only the states tell then what has ended."""
        if None not in self.ended.values():
            keys = self.bench.keys
            finished = keys.finished(self.random.choice(STATUSES), self.random.choice(KINDS))
            self.bench.client.delete(finished)

    @property
    def hands(self) -> list[Callable[[], None]]:
        return [
            self.lose_record, self.lose_place, self.lose_lock, self.wait_too, self.hold_too,
            self.end_too, self.bring_strangers, self.abandon, self.forget_worker,
            self.count_wrong, self.set_token_back, self.leave_keys, self.evict,
            self.evict_states, self.evict_finished, self.lose_place, self.wait_too, self.hold_too,
        ]  # fmt: skip


LATER_US = LATER // timedelta(microseconds=1)


@pytest.fixture
def bench(client: redis.Redis, queue_name: str) -> Iterator[Bench]:
    made = Bench(client, queue_name)
    yield made
    made.close()


def settled(bench: Bench, worker: str, kind_of: dict[str, str]) -> list[str]:
    """The ids of what a worker holds, all of which end now."""
    ids = []
    for delivery in bench.held(worker):
        id = delivery.partition(":")[2]
        assert bench.settle(delivery, worker=worker, kind=kind_of[id]) == []
        ids.append(id)
    return ids


def drain(bench: Bench, kind_of: dict[str, str]) -> list[str]:
    """Has all jobs run to an end. The ids in the order in which they did."""
    ran: list[str] = []
    for worker in WORKERS:
        ran += settled(bench, worker, kind_of)
    bench.clock.advance(LATER + timedelta(minutes=1))
    bench.register("last")
    while bench.take("last", [*KINDS, "fax"]):
        ran += settled(bench, "last", kind_of)
    return ran


@pytest.mark.parametrize("seed", range(60))
def test_after_random_damage_and_a_repair_all_is_sound_and_what_was_open_runs_once(
    bench: Bench, seed: int
) -> None:
    random = Random(seed)
    known = Known(bench, random)
    for _ in range(random.randint(1, 12)):
        random.choice(known.hands)()

    report = run_repair(bench)
    # Who a worker is that is registered without info, nobody knows but itself.
    assert [one for one in report.left if not one.startswith("workers:")] == []
    mended = bench.snapshot()
    assert list(run_repair(bench)) == []
    assert bench.snapshot() == mended

    assert bench.stored_ids() == set(known.kind_of) == known.open | set(known.ended)
    for id, state in known.ended.items():
        job = bench.get(id)
        assert job is not None
        assert job.status is not Status.PENDING
        assert state is None or bench.client.hget(bench.keys.state, id) == state
        assert id in bench.finished(job.status, known.kind_of[id])
    assert sorted(drain(bench, known.kind_of)) == sorted(known.open)
