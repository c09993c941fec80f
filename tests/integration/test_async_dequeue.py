"""`AsyncRedisQueue.dequeue`: the function runs on the caller's loop, and a cancelled call gives the
job back.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from redisjobs import AsyncRedisQueue, Context, Job, LockLostError, Status
from redisjobs.operations.giving_back import reap
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from redisjobs.embedded import EmbeddedServer


class TestDequeue:
    @pytest.fixture
    def short_lease(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of 0.3 s, where the call names none."""
        monkeypatch.setattr("redisjobs.dequeue.dequeue.__defaults__", (0.3,))

    def test_awaits_an_async_function_on_the_callers_loop(
        self, open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None]
    ) -> None:
        async def application() -> None:
            loop = asyncio.get_running_loop()

            async def fn(ctx: Context, job: Job) -> Job:
                assert asyncio.get_running_loop() is loop
                await asyncio.sleep(0)
                job.status, job.result = Status.DONE, b"out"
                return job

            async with open_queue() as queue:
                assert not await queue.dequeue(["kind"], fn)
                await queue.enqueue(Job("kind", id="x"))
                assert await queue.dequeue(["kind"], fn)
                done = await queue.get("x")
                assert done is not None
                assert (done.status, done.result) == (Status.DONE, b"out")
                assert await queue.check() == []

        run(application())

    @pytest.mark.parametrize("steps", [0, 1, 2, 50])
    def test_cancelled_gives_the_job_back_before_it_returns(
        self, open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None], steps: int
    ) -> None:
        async def application() -> None:
            began = asyncio.Event()

            async def fn(ctx: Context, job: Job) -> Job:
                began.set()
                await asyncio.Event().wait()
                raise AssertionError

            async with open_queue() as queue:
                await queue.enqueue(Job("kind", id="x"))
                holding = asyncio.create_task(queue.dequeue(["kind"], fn))
                if steps == 50:
                    await began.wait()
                for _ in range(steps):
                    await asyncio.sleep(0)
                holding.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await holding
                stats = await queue.stats()
                assert (stats.kinds["kind"].ready, stats.workers) == (1, ())
                job = await queue.get("x")
                assert job is not None
                assert (job.status, job.attempts_done) == (Status.PENDING, 0)
                assert await queue.check() == []

        run(application())

    def test_cancelled_it_waits_until_the_function_has_cleaned_up(
        self, open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None]
    ) -> None:
        async def application() -> None:
            began, steps = asyncio.Event(), list[str]()

            async def fn(ctx: Context, job: Job) -> Job:
                began.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(0.05)
                    steps.append("cleaned up")
                raise AssertionError

            async with open_queue() as queue:
                await queue.enqueue(Job("kind", id="x"))
                holding = asyncio.create_task(queue.dequeue(["kind"], fn))
                await began.wait()
                holding.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await holding
                steps.append("returned")
                assert (await queue.stats()).kinds["kind"].ready == 1
            assert steps == ["cleaned up", "returned"]

        run(application())

    def test_cancelled_during_the_claim_it_does_not_call_the_function(
        self, redis_server: EmbeddedServer, queue_name: str, run: Callable[..., None]
    ) -> None:
        called: list[str] = []

        def fn(ctx: Context, job: Job) -> Job:
            called.append(job.id)
            return job

        async def application(proxy: Proxy) -> None:
            async with AsyncRedisQueue.from_url(proxy.url, queue_name) as queue:
                await queue.enqueue(Job("kind", id="x"))
                proxy.hold_new_connections()
                holding = asyncio.create_task(queue.dequeue(["kind"], fn))
                await asyncio.sleep(0.05)
                holding.cancel()
                for _ in range(10):  # it has heard of it
                    await asyncio.sleep(0)
                proxy.let_through()
                with pytest.raises(asyncio.CancelledError):
                    await holding
                job = await queue.get("x")
                assert job is not None
                assert (job.status, job.attempts_done) == (Status.PENDING, 0)
                assert (await queue.stats()).kinds["kind"].ready == 1

        with Proxy(redis_server.url) as proxy:
            run(application(proxy))
        assert called == []

    def test_a_stop_iteration_is_an_error_as_in_any_coroutine(
        self, open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None]
    ) -> None:
        async def application() -> None:
            async with open_queue() as queue:
                await queue.enqueue(Job("kind"))
                with pytest.raises(RuntimeError, match="StopIteration"):
                    await queue.dequeue(["kind"], lambda ctx, job: next(iter(())))
                assert (await queue.stats()).kinds["kind"].ready == 1

        run(application())

    def test_a_lost_lock_cancels_what_runs(
        self, open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None], short_lease: None
    ) -> None:
        async def application() -> None:
            cancelled = asyncio.Event()

            async def fn(ctx: Context, job: Job) -> Job:
                await queue.lines.run(lambda: reap(queue.keys, ctx.worker_id, None, 3, ["kind"]))
                try:
                    await asyncio.Event().wait()
                finally:
                    cancelled.set()
                raise AssertionError

            async with open_queue() as queue:
                await queue.enqueue(Job("kind", id="x"))
                with pytest.raises(LockLostError, match="'x'"):
                    await queue.dequeue(["kind"], fn)
                assert cancelled.is_set()

        run(application())

    def test_a_blocked_loop_does_not_cost_the_lock(
        self, open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None], short_lease: None
    ) -> None:
        async def application() -> None:
            async def fn(ctx: Context, job: Job) -> Job:
                time.sleep(0.8)  # noqa: ASYNC251 - what a careless handler does
                job.status = Status.DONE
                return job

            async with open_queue() as queue:
                await queue.enqueue(Job("kind", id="x"))
                assert await queue.dequeue(["kind"], fn)
                done = await queue.get("x")
                assert done is not None
                assert done.status == Status.DONE

        run(application())

    def test_what_the_function_raises_is_raised(
        self, open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None]
    ) -> None:
        async def application() -> None:
            async def fails(ctx: Context, job: Job) -> Job:
                raise LookupError("no such thing")

            async def cancels(ctx: Context, job: Job) -> Job:
                raise asyncio.CancelledError

            async with open_queue() as queue:
                await queue.enqueue(Job("kind", id="x"))
                with pytest.raises(LookupError, match="no such thing"):
                    await queue.dequeue(["kind"], fails)
                with pytest.raises(asyncio.CancelledError):
                    await queue.dequeue(["kind"], cancels)
                assert (await queue.stats()).kinds["kind"].ready == 1

        run(application())
