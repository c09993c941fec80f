"""A queue that moves: workers that take, settle, give back and lose jobs, and an operation between
their moves.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from redisjobs.operations.operation import Operation
    from tests.scripts.bench import Bench

T = TypeVar("T")


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


def run_while(bench: Bench, operation: Operation[T], move: Callable[[], object]) -> T:
    """What an operation returns, with a move before each of its round trips."""
    line = bench.lines.new_line(10)
    try:
        calls = next(operation)
        while True:
            move()
            calls = operation.send(line.exchange(calls))
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        line.close()
