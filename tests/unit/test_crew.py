"""The crew: who runs when, on threads and on a loop, met by events."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs.context import Context
from redisjobs.job import Job
from redisjobs.states import Status
from redisjobs.worker.delivery import Delivery
from tests.crew_bench import (
    MAX_RESULT,
    Gate,
    Watch,
    crew_benches,
    plain_async,
    plain_sync,
    statuses,
)
from tests.crew_bench import many_switches as switching_often
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.crew_bench import Make


@pytest.fixture
def make() -> Iterator[Make]:
    yield from crew_benches()


@pytest.fixture
def many_switches() -> Iterator[None]:
    with switching_often():
        yield


class TestRunning:
    @pytest.mark.parametrize("fn", [plain_sync, plain_async])
    def test_what_came_of_it_is_told(self, make: Make, fn: Callable[..., Any]) -> None:
        bench = make(1)
        before = time.monotonic()
        (delivery,) = bench.add(fn)
        assert bench.ended(1) == [delivery]
        assert delivery.outcome is not None
        assert delivery.outcome.status is Status.DONE
        assert delivery.outcome.result in (b"sync", b"async")
        assert delivery.started_at is not None
        assert before <= delivery.started_at == bench.crew.last_start
        assert 0 <= delivery.seconds <= time.monotonic() - before

    def test_a_handler_gets_its_context_and_its_job(self, make: Make) -> None:
        seen: list[Any] = []

        def fn(ctx: Context, job: Job) -> None:
            seen.append((ctx.job_id, ctx.token, job.id))

        bench = make(1)
        (delivery,) = bench.add(fn)
        bench.ended(1)
        assert seen == [(delivery.id, delivery.token, delivery.id)]

    def test_a_result_over_the_limit_is_refused(self, make: Make) -> None:
        bench = make(1)
        bench.add(lambda ctx, job: b"x" * (MAX_RESULT + 1))
        assert statuses(bench.ended(1)) == [Status.FAILED]

    def test_sync_and_async_run_side_by_side(self, make: Make) -> None:
        bench, gates = make(4), [Gate(str(number)) for number in range(4)]
        bench.add(gates[0].sync, gates[1].awaited, gates[2].sync, gates[3].awaited)
        for gate in gates:
            gate.wait_begun()
        for gate in gates:
            gate.open.set()
        assert statuses(bench.ended(4)) == [Status.DONE] * 4

    def test_threads_are_used_again(self, make: Make) -> None:
        bench, threads = make(2), set[int]()
        for _ in range(50):
            bench.add(lambda ctx, job: threads.add(threading.get_ident()))
            bench.ended(1)
        assert len(threads) <= 2

    def test_async_handlers_share_one_loop_beside_the_callers(self, make: Make) -> None:
        bench, seen = make(3), set[Any]()

        async def fn(ctx: Context, job: Job) -> None:
            seen.add((threading.current_thread().name, id(asyncio.get_running_loop())))

        bench.add(fn, fn, fn)
        bench.ended(3)
        assert [name for name, _ in seen] == ["redisjobs-loop"]


class TestOrder:
    @pytest.mark.parametrize("seed", range(5))
    def test_with_one_slot_all_begin_in_the_order_of_the_line(
        self, make: Make, many_switches: None, seed: int
    ) -> None:
        chance, bench, order = random.Random(seed), make(1), list[str]()

        def sync(ctx: Context, job: Job) -> None:
            order.append(job.id)

        async def awaited(ctx: Context, job: Job) -> None:
            order.append(job.id)
            await asyncio.sleep(0)

        expected: list[str] = []
        while len(expected) < 200:
            fns = [chance.choice([sync, awaited]) for _ in range(chance.randint(1, 20))]
            expected += [one.id for one in bench.add(*fns)]
        bench.ended(len(expected))
        assert order == expected

    @pytest.mark.parametrize("ways", ["ssssss", "aaaaaa", "sasasa", "aassaa", "ssaass"])
    def test_the_first_of_the_line_gets_the_slot_that_is_free(self, make: Make, ways: str) -> None:
        bench, begun = make(2), list[str]()
        gates = [Gate(str(number), begun) for number in range(len(ways))]
        bench.add(
            *(
                gate.sync if way == "s" else gate.awaited
                for gate, way in zip(gates, ways, strict=True)
            )
        )
        for number, gate in enumerate(gates):
            gate.wait_begun()
            assert bench.crew.waiting >= len(gates) - number - 2
            if number >= 1:
                gates[number - 1].open.set()
        gates[-1].open.set()
        bench.ended(len(gates))
        assert sorted(begun[:2]) == ["0", "1"]
        assert begun[2:] == ["2", "3", "4", "5"]


class _RiggedLine(deque[Delivery]):
    """A line in which something happens when it is first found empty."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens: Callable[[], object] | None = happens

    def popleft(self) -> Delivery:
        if not self and self._happens is not None:
            happens, self._happens = self._happens, None
            happens()
            raise IndexError
        return super().popleft()


class _RobbedLine(deque[Delivery]):
    """A line whose first delivery is gone when somebody reaches for it."""

    _robbed = False

    def popleft(self) -> Delivery:
        delivery = super().popleft()
        if not self._robbed:
            self._robbed = True
            raise IndexError
        return delivery


class TestSlots:
    @pytest.mark.parametrize("seed", range(12))
    def test_are_never_exceeded_and_nothing_is_forgotten(
        self, make: Make, many_switches: None, seed: int
    ) -> None:
        """High contention: sync and async mixed, added in batches while others end."""
        chance = random.Random(seed)
        slots, watch = chance.randint(1, 6), Watch()

        def sync(ctx: Context, job: Job) -> None:
            with watch.running(job):
                if job.id.endswith("7"):
                    time.sleep(0.0002)

        async def awaited(ctx: Context, job: Job) -> None:
            with watch.running(job):
                for _ in range(int(job.id[-1]) % 3):
                    await asyncio.sleep(0)

        bench = make(slots)
        added = 0
        awaited_share = chance.choice([0.1, 0.5, 0.9])
        while added < 600:
            fns = [
                awaited if chance.random() < awaited_share else sync
                for _ in range(chance.choice([1, 1, 2, 5, 40]))
            ]
            bench.add(*fns)
            added += len(fns)
        ended = bench.ended(added)
        assert watch.most <= slots
        assert watch.runs == {one.id: 1 for one in ended}
        assert bench.crew.waiting == 0

    @pytest.mark.parametrize("slots", [1, 3])
    def test_no_wake_up_is_lost_when_jobs_come_one_by_one(
        self, make: Make, many_switches: None, slots: int
    ) -> None:
        """Thousands of times the line empties just as something is added to it."""
        bench, number = make(slots), 3000
        chance = random.Random(slots)

        def add() -> None:
            for _ in range(number):
                bench.add(chance.choice([plain_sync, plain_async]))

        adder = threading.Thread(target=add)
        adder.start()
        bench.ended(number)
        adder.join()

    @pytest.mark.parametrize("first", [plain_sync, plain_async])
    @pytest.mark.parametrize("second", [plain_sync, plain_async])
    def test_what_comes_just_when_the_line_was_found_empty_is_run(
        self, make: Make, first: Callable[..., Any], second: Callable[..., Any]
    ) -> None:
        """Who adds it finds no slot free, so who frees the slot has to look again."""
        bench = make(1)
        line = _RiggedLine(lambda: bench.add(second))
        bench.crew._line = line
        bench.add(first)
        assert [one.batch.fn for one in bench.ended(2)] == [first, second]

    def test_what_another_took_just_before_leaves_the_slot_free(self, make: Make) -> None:
        bench = make(1)
        bench.crew._line = _RobbedLine()
        bench.add(plain_async)
        wait_until(lambda: bench.crew.waiting == 0, "the delivery was taken by another")
        (delivery,) = bench.add(plain_sync)
        assert bench.ended(1) == [delivery]

    def test_all_of_them_are_used(self, make: Make) -> None:
        bench, gates = make(5), [Gate(str(number)) for number in range(5)]
        for number, gate in enumerate(gates):
            bench.add(gate.awaited if number % 2 else gate.sync)
        for gate in gates:
            gate.wait_begun()
        for gate in gates:
            gate.open.set()
        bench.ended(5)


class TestRinging:
    def test_with_enough_in_the_line_an_end_wakes_nobody(self, make: Make) -> None:
        bench, gates = make(1), [Gate(str(number)) for number in range(4)]
        bench.crew.low_water = 1
        bench.wakeup.armed = True
        bench.add(*(gate.sync for gate in gates))
        rung = []
        for gate, following in pairwise(gates):
            gate.open.set()
            following.wait_begun()
            rung.append(bench.rings(0))
        gates[-1].open.set()
        assert rung == [False, False, True], "it rings when one is left in the line"
        bench.ended(4)

    def test_a_sleeper_that_did_not_arm_it_is_not_woken(self, make: Make) -> None:
        bench, gate = make(1), Gate()
        bench.add(plain_sync)
        wait_until(lambda: bench.crew.ended, "the handler has ended")
        bench.add(gate.sync)
        gate.wait_begun()
        assert not bench.rings(0)
        gate.open.set()
        bench.ended(2)


class TestBlockedHandlers:
    def test_a_sync_handler_stops_no_other(self, make: Make) -> None:
        bench, gate = make(2), Gate()
        (stuck,) = bench.add(gate.sync)
        gate.wait_begun()
        others = bench.add(*[plain_sync, plain_async] * 10)
        assert set(bench.ended(20)) == set(others)
        gate.open.set()
        assert bench.ended(1) == [stuck]

    def test_an_async_handler_that_waits_stops_no_other(self, make: Make) -> None:
        bench, gate = make(2), Gate()
        (stuck,) = bench.add(gate.awaited)
        gate.wait_begun()
        others = bench.add(*[plain_sync, plain_async] * 10)
        assert set(bench.ended(20)) == set(others)
        gate.open.set()
        assert bench.ended(1) == [stuck]

    @pytest.mark.parametrize("together", [True, False])
    def test_an_async_handler_that_blocks_the_loop_stops_no_sync_one(
        self, make: Make, together: bool
    ) -> None:
        bench, gate = make(4), Gate()
        (stuck,) = bench.add(gate.blocking)
        gate.wait_begun()
        fns = [plain_async, plain_sync, plain_sync, plain_sync]
        if together:
            behind, *others = bench.add(*fns)
        else:
            behind, *others = [bench.add(fn)[0] for fn in fns]
        assert set(bench.ended(3)) == set(others)
        gate.open.set()
        assert set(bench.ended(2)) == {stuck, behind}
