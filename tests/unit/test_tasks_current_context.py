"""current_context(): in handlers and what they call, and nowhere else."""

from __future__ import annotations

import asyncio
import gc
from datetime import UTC, datetime, timedelta

import pytest

from redisjobs.attempt import Outcome, run, run_async
from redisjobs.context import CancelReason, Context, current_context
from redisjobs.errors import RedisJobsError
from redisjobs.job import Job
from redisjobs.states import Status

FLOOR = timedelta(seconds=5)


def assert_no_handler_runs() -> None:
    with pytest.raises(RedisJobsError, match="no handler runs here"):
        current_context()


def test_outside_of_a_handler_there_is_none() -> None:
    assert_no_handler_runs()


@pytest.mark.parametrize("error", [None, ValueError("no"), SystemExit("no")])
def test_a_plain_handler_has_its_own(error: BaseException | None) -> None:
    ctx, seen = Context.background(), []

    def handler(ctx: Context, job: Job) -> None:
        seen.append(current_context())
        if error is not None:
            raise error

    run(handler, ctx, Job("mail"), FLOOR)
    assert seen == [ctx]
    assert_no_handler_runs()


def test_a_handler_that_runs_another_gets_its_own_back() -> None:
    outer, inner, seen = Context.background(), Context.background(), []

    def nested(ctx: Context, job: Job) -> None:
        seen.append(current_context())

    def handler(ctx: Context, job: Job) -> None:
        job.attempt(inner, datetime.now(UTC), nested)
        seen.append(current_context())

    run(handler, outer, Job("mail"), FLOOR)
    assert seen == [inner, outer]


def test_coroutines_that_take_turns_each_have_their_own() -> None:
    async def handler(ctx: Context, job: Job) -> None:
        for _ in range(3):
            assert current_context() is ctx
            await asyncio.sleep(0)
        in_a_task = asyncio.create_task(called())
        assert await in_a_task is ctx
        assert await asyncio.to_thread(current_context) is ctx

    async def called() -> Context:
        return current_context()

    async def main() -> list[Outcome]:
        runs = (run_async(handler, Context.background(), Job("mail"), FLOOR) for _ in range(3))
        return await asyncio.gather(*runs)

    assert [outcome.status for outcome in asyncio.run(main())] == [Status.DONE] * 3


def test_one_that_is_awaited_where_it_stands_leaves_none_behind() -> None:
    async def handler(ctx: Context, job: Job) -> None:
        assert current_context() is ctx

    async def main() -> None:
        job = Job("mail")
        await job.attempt_async(Context.background(), datetime.now(UTC), handler)
        assert job.status is Status.DONE
        assert_no_handler_runs()

    asyncio.run(main())


def test_a_coroutine_that_is_thrown_away_unfinished_says_nothing() -> None:
    async def handler(ctx: Context, job: Job) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        # Closed by the collector, outside of the context in which it began.
        task = asyncio.create_task(run_async(handler, Context.background(), Job("mail"), FLOOR))
        await asyncio.sleep(0)
        assert not task.done()
        coroutine = task.get_coro()
        assert coroutine is not None
        coroutine.close()  # the test fails if that warns, or raises
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    gc.collect()


def test_a_handler_that_is_not_called_has_none() -> None:
    ctx = Context.background()
    ctx.cancel(CancelReason.SHUTDOWN)
    assert run(lambda ctx, job: None, ctx, Job("mail"), FLOOR).status is Status.PENDING
    assert_no_handler_runs()
