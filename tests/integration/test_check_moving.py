"""check of a queue that is in use: what moves meanwhile is no damage."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations import inspect
from redisjobs.operations.membership import unregister
from redisjobs.operations.one_job import delete
from tests.scripts.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from redisjobs.operations.inspect import CheckReport


@pytest.fixture
def bench(every_client: redis.Redis, queue_name: str) -> Iterator[Bench]:
    made = Bench(every_client, queue_name)
    yield made
    made.close()


class Mover:
    """Workers that take, settle, give back and lose jobs at random."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.random = Random(seed)
        self.kinds = ["email", "sms"]
        self.held: dict[str, list[str]] = {}
        self.kind_of: dict[str, str] = {}

    def enqueue(self, kind: str, number: int) -> None:
        self.kind_of |= dict.fromkeys(self.bench.enqueue(kind, number), kind)

    def step(self) -> None:
        moves = [self.new_worker, self.new_kind, self.claim, self.claim, self.settle, self.release]
        for move in self.random.choices([*moves, self.die], k=4):
            move()

    def new_worker(self) -> None:
        worker = f"w{len(self.held)}"
        self.bench.register(worker)
        self.held[worker] = []
        self._claim(worker)

    def new_kind(self) -> None:
        kind = f"kind-{len(self.kinds)}"
        self.kinds.append(kind)
        self.enqueue(kind, 5)

    def claim(self) -> None:
        self._claim(self._somebody())

    def settle(self) -> None:
        worker = self._somebody()
        letter = self.random.choice([b"D", b"F", b"X", b"P"])
        for delivery in self._some_of(worker):
            kind = self.kind_of[delivery.partition(":")[2]]
            assert not self.bench.settle(delivery, worker=worker, letter=letter, kind=kind)

    def release(self) -> None:
        worker = self._somebody()
        self.bench.release(*self._some_of(worker), worker=worker, kinds=self.kinds)

    def die(self) -> None:
        worker = self._somebody()
        if self.held[worker]:
            self.bench.reap(worker, kinds=self.kinds, max_losses=2)
            self.held[worker] = []
            self.bench.register(worker)

    def _claim(self, worker: str) -> None:
        kinds = self.random.sample(self.kinds, 2)
        limit = self.random.choice([1, 10, 60])
        self.held[worker] += self.bench.take(worker, kinds, limit, max_losses=9)

    def _somebody(self) -> str:
        if not self.held:
            self.new_worker()
        return self.random.choice(list(self.held))

    def _some_of(self, worker: str) -> list[str]:
        held = self.held[worker]
        number = self.random.randint(0, len(held))
        self.held[worker], some = held[number:], held[:number]
        return some


def check_while(bench: Bench, move: Callable[[], object]) -> CheckReport:
    """A check, with a move before each of its round trips."""
    line = bench.lines.new_line(10)
    operation = inspect.check(bench.keys)
    calls = next(operation)
    while True:
        move()
        try:
            calls = operation.send(line.exchange(calls))
        except StopIteration as end:
            line.close()
            report: CheckReport = end.value
            return report


@pytest.mark.parametrize("seed", range(5))
def test_jobs_that_move_meanwhile_are_no_damage(bench: Bench, seed: int) -> None:
    mover = Mover(bench, seed)
    mover.enqueue("email", 1500)
    mover.enqueue("sms", 700)
    for _ in range(10):
        mover.step()
    assert check_while(bench, mover.step) == []


@pytest.mark.parametrize("seed", range(3))
def test_damage_is_found_while_jobs_move(bench: Bench, seed: int) -> None:
    mover = Mover(bench, seed)
    mover.enqueue("email", 1500)
    bench.enqueue("fax", ids=["broken"])
    bench.client.zrem(bench.keys.due("fax"), "broken")
    bench.silence("fax")
    [sentence] = check_while(bench, mover.step)
    assert sentence.startswith("I1: job 'broken' of kind 'fax' has not ended, but is in no due")


def test_a_job_that_goes_to_a_new_worker_at_every_step_is_no_damage(bench: Bench) -> None:
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
    assert check_while(bench, hop) == []
    assert bench.held(holder) == [delivery]


def test_a_job_that_changes_its_kind_meanwhile_is_no_damage(bench: Bench) -> None:
    left = count()

    def renew() -> None:
        for id in ("one", "two"):
            bench.run(delete(bench.keys, id))
        bench.enqueue(f"kind-{next(left)}", ids=["one", "two"])

    renew()
    assert check_while(bench, renew) == []
