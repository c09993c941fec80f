"""The crew: runs that are cancelled, withdrawn, left behind, or end in a panic."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs.context import CancelReason, Context
from redisjobs.job import Job
from redisjobs.states import Status
from redisjobs.worker import crew
from redisjobs.worker.crew import Crew, _Member
from redisjobs.worker.delivery import Delivery
from tests.crew_bench import (
    CrewBench,
    Gate,
    Watch,
    crew_benches,
    plain_async,
    plain_sync,
    statuses,
)
from tests.crew_bench import many_switches as switching_often
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crew_bench import Make


@pytest.fixture
def make() -> Iterator[Make]:
    yield from crew_benches()


@pytest.fixture
def many_switches() -> Iterator[None]:
    with switching_often():
        yield


class TestPanic:
    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
    def test_of_any_handler_ends_that_handler_only(
        self, make: Make, error: type[BaseException]
    ) -> None:
        def sync(ctx: Context, job: Job) -> None:
            raise error("stop")

        async def awaited(ctx: Context, job: Job) -> None:
            await asyncio.sleep(0)
            raise error("stop")

        bench = make(2)
        bench.add(sync, awaited, sync, awaited)
        assert statuses(bench.ended(4)) == [Status.PANIC] * 4
        bench.add(plain_sync, plain_async)
        assert statuses(bench.ended(2)) == [Status.DONE] * 2

    @pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
    def test_of_a_sub_task_does_not_end_the_loop(
        self, make: Make, error: type[BaseException], caplog: pytest.LogCaptureFixture
    ) -> None:
        began = threading.Event()
        gate = Gate("other")

        async def sub_task() -> None:
            raise error("stop")

        async def awaits_it(ctx: Context, job: Job) -> None:
            await asyncio.create_task(sub_task())

        async def does_not(ctx: Context, job: Job) -> bytes:
            task = asyncio.create_task(sub_task())
            began.set()
            await asyncio.wait([task])
            assert isinstance(task.exception(), error)
            return b"went on"

        bench = make(3)
        (other,) = bench.add(gate.awaited)
        gate.wait_begun()
        (guilty,) = bench.add(awaits_it)
        bench.ended(1)
        (bystander,) = bench.add(does_not)
        wait_for_event(began, "the sub-task was made")
        bench.ended(1)
        gate.open.set()
        bench.ended(1)
        assert statuses([guilty, bystander, other]) == [Status.PANIC, Status.DONE, Status.DONE]
        assert "the loop goes on" in caplog.text


class TestCancel:
    @pytest.mark.parametrize("reason", list(CancelReason))
    def test_tells_a_sync_handler_through_its_context(
        self, make: Make, reason: CancelReason
    ) -> None:
        began, seen = threading.Event(), list[Any]()

        def fn(ctx: Context, job: Job) -> None:
            began.set()
            seen.append(ctx.wait_cancelled(10))
            seen.append(ctx.cancel_reason)
            ctx.raise_if_cancelled()

        bench = make(1)
        (delivery,) = bench.add(fn)
        wait_for_event(began, "the handler has begun")
        bench.crew.cancel(delivery, reason)
        bench.ended(1)
        assert seen == [True, reason]
        assert delivery.outcome is not None
        assert delivery.outcome.status is None

    @pytest.mark.parametrize("reason", list(CancelReason))
    def test_cancels_the_task_of_an_async_handler(self, make: Make, reason: CancelReason) -> None:
        began, seen = threading.Event(), list[Any]()

        async def fn(ctx: Context, job: Job) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append(ctx.cancel_reason)
                raise

        bench = make(1)
        (delivery,) = bench.add(fn)
        wait_for_event(began, "the handler has begun")
        bench.crew.cancel(delivery, reason)
        bench.ended(1)
        assert seen == [reason]
        assert delivery.outcome is not None
        assert delivery.outcome.status is None

    @pytest.mark.parametrize("way", ["sync", "awaited"])
    def test_what_has_not_begun_never_begins(self, make: Make, way: str) -> None:
        bench, first, second = make(1), Gate("first"), Gate("second")
        bench.add(getattr(first, way))
        first.wait_begun()
        (delivery,) = bench.add(getattr(second, way))
        bench.crew.cancel(delivery, CancelReason.SHUTDOWN)
        first.open.set()
        bench.ended(2)
        assert not second.began.is_set()
        assert delivery.outcome is not None
        assert delivery.outcome.status is None

    def test_what_the_loop_has_and_has_not_begun_never_begins(self, make: Make) -> None:
        """A task that is cancelled before its first step would never end, and keep its slot."""
        bench, blocker, second = make(2), Gate("blocker"), Gate("second")
        bench.add(blocker.blocking)
        blocker.wait_begun()
        (delivery,) = bench.add(second.awaited)
        bench.crew.cancel(delivery, CancelReason.SHUTDOWN)
        blocker.open.set()
        bench.ended(2)
        assert not second.began.is_set()
        bench.add(plain_async, plain_sync)
        assert statuses(bench.ended(2)) == [Status.DONE] * 2

    def test_after_the_end_is_too_late_and_harms_nothing(self, make: Make) -> None:
        bench = make(1)
        for fn in (plain_async, plain_sync):
            (delivery,) = bench.add(fn)
            bench.ended(1)
            bench.crew.cancel(delivery, CancelReason.SHUTDOWN)
            assert delivery.outcome is not None
            assert delivery.outcome.status is Status.DONE
        bench.add(plain_async)
        assert statuses(bench.ended(1)) == [Status.DONE]

    @pytest.mark.parametrize("seed", range(4))
    def test_at_any_moment_keeps_every_slot(
        self, make: Make, many_switches: None, seed: int
    ) -> None:
        chance, bench = random.Random(seed), make(3)
        for _ in range(150):
            deliveries = bench.add(*(chance.choice([plain_sync, plain_async]) for _ in range(4)))
            for delivery in chance.sample(deliveries, 2):
                bench.crew.cancel(delivery, CancelReason.LEASE_LOST)
        bench.ended(600)
        gates = [Gate(str(number)) for number in range(3)]
        bench.add(*(gate.sync for gate in gates))
        for gate in gates:
            gate.wait_begun()
            gate.open.set()
        bench.ended(3)


class TestWithdraw:
    @pytest.mark.parametrize("way", ["sync", "awaited"])
    def test_takes_back_what_has_not_begun_in_its_order(self, make: Make, way: str) -> None:
        bench, gates = make(1), [Gate(str(number)) for number in range(4)]
        running, *rest = bench.add(*(getattr(gate, way) for gate in gates))
        gates[0].wait_begun()
        assert bench.crew.withdraw() == rest
        assert bench.crew.waiting == 0
        gates[0].open.set()
        assert bench.ended(1) == [running]
        assert [gate.began.is_set() for gate in gates] == [True, False, False, False]
        bench.add(plain_sync)
        bench.ended(1)

    @pytest.mark.parametrize("seed", range(4))
    def test_each_delivery_is_either_withdrawn_or_run(
        self, make: Make, many_switches: None, seed: int
    ) -> None:
        chance, bench, watch = random.Random(seed), make(3), Watch()

        def sync(ctx: Context, job: Job) -> None:
            with watch.running(job):
                pass

        async def awaited(ctx: Context, job: Job) -> None:
            with watch.running(job):
                await asyncio.sleep(0)

        withdrawn: list[Delivery] = []
        for _ in range(100):
            bench.add(*(chance.choice([sync, awaited]) for _ in range(6)))
            withdrawn += bench.crew.withdraw()
        bench.ended(600 - len(withdrawn))
        assert watch.runs.keys().isdisjoint({one.id for one in withdrawn})
        assert all(one.started_at is None for one in withdrawn)


@pytest.mark.parametrize("way", ["sync", "awaited"])
def test_past_the_lease_nothing_begins(make: Make, way: str) -> None:
    bench, gate = make(1), Gate()
    bench.current.lease_ends = time.monotonic() - 0.001
    (delivery,) = bench.add(getattr(gate, way))
    bench.ended(1)
    assert delivery.started_at is None
    assert delivery.outcome is not None
    assert delivery.outcome.status is None
    assert not gate.began.is_set()


class TestClose:
    @staticmethod
    def _threads(before: set[threading.Thread]) -> list[str]:
        return sorted(one.name for one in set(threading.enumerate()) - before)

    def test_ends_its_threads_and_the_loop(self) -> None:
        before = set(threading.enumerate())
        bench = CrewBench(4)
        bench.add(*[plain_sync, plain_async] * 8)
        bench.ended(16)
        bench.crew.close(5)
        wait_until(lambda: self._threads(before) == [], "its threads have ended")

    def test_a_handler_that_was_left_behind_takes_its_thread_along_when_it_ends(self) -> None:
        before = set(threading.enumerate())
        bench, gate = CrewBench(2), Gate()
        bench.add(gate.sync)
        gate.wait_begun()
        bench.crew.close(5)
        assert self._threads(before) == ["redisjobs-handler"]
        gate.open.set()
        wait_until(lambda: self._threads(before) == [], "its thread has ended")

    def test_does_not_wait_for_a_handler_that_blocks_the_loop(self) -> None:
        bench, gate = CrewBench(1), Gate()
        bench.add(gate.blocking)
        gate.wait_begun()
        began = time.monotonic()
        bench.crew.close(0.05)
        assert time.monotonic() - began < 5
        gate.open.set()
        bench.ended(1)

    def test_lets_an_async_handler_clean_up(self) -> None:
        began, cleaned = threading.Event(), threading.Event()

        async def fn(ctx: Context, job: Job) -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                cleaned.set()

        bench = CrewBench(1)
        bench.add(fn)
        wait_for_event(began, "the handler has begun")
        bench.crew.close(5)
        assert cleaned.is_set()
        bench.ended(1)

    def test_its_threads_hold_no_process(self, make: Make) -> None:
        bench, gates = make(2), [Gate("sync"), Gate("async")]
        before = set(threading.enumerate())
        bench.add(gates[0].sync, gates[1].awaited)
        for gate in gates:
            gate.wait_begun()
        ours = [
            one for one in set(threading.enumerate()) - before if one.name.startswith("redisjobs-")
        ]
        assert len(ours) == 2
        assert all(one.daemon for one in ours)
        for gate in gates:
            gate.open.set()
        bench.ended(2)


class _NoThreads:
    """In place of members: after the first ones no thread can be started."""

    def __init__(self, most: int) -> None:
        self._left = most

    def __call__(self, of: Crew) -> crew._Member:
        if self._left == 0:
            raise RuntimeError("can't start new thread")
        self._left -= 1
        return _Member(of)


class TestWithoutThreads:
    def test_one_thread_does_the_work_of_all(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(crew, "_Member", _NoThreads(1))
        bench = make(4)
        added = bench.add(*[plain_sync] * 20)
        assert sorted(bench.ended(20), key=lambda one: one.token) == added
        assert statuses(added) == [Status.DONE] * 20

    def test_without_any_the_line_waits_for_the_pump_to_take_it_back(
        self, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(crew, "_Member", _NoThreads(0))
        bench = make(2)
        added = bench.add(plain_sync, plain_sync)
        assert bench.crew.withdraw() == added
        assert caplog.text.count("can't start new thread") == 1
        monkeypatch.undo()
        bench.crew.add(added)
        assert sorted(bench.ended(2), key=lambda one: one.token) == added

    def test_a_sync_job_that_an_async_one_makes_room_for_waits_too(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(crew, "_Member", _NoThreads(0))
        bench = make(1)
        bench.crew.low_water = 10  # so that each end rings
        (first, second, third) = bench.add(plain_async, plain_sync, plain_async)
        assert bench.ended(1) == [first]
        wait_until(lambda: bench.crew._slots, "the slot is free again, and what it held waits")
        assert bench.crew.withdraw() == [second, third]
        bench.add(plain_async)
        bench.ended(1)


def test_a_task_that_is_cancelled_before_it_begins_is_given_back(make: Make) -> None:
    """By a handler that cancels all that it finds on its loop."""

    async def cancel_all(ctx: Context, job: Job) -> None:
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    bench = make(4)
    first, *others = bench.add(cancel_all, *[plain_async] * 3)
    ended = bench.ended(4)
    assert {one.id for one in ended} == {one.id for one in (first, *others)}
    assert first.outcome is not None
    assert first.outcome.status is Status.DONE
    assert all(one.outcome is not None for one in others)
    bench.add(*[plain_async] * 4)
    assert statuses(bench.ended(4)) == [Status.DONE] * 4, "all slots are free again"
