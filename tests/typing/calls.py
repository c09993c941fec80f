"""Right and wrong uses of tasks. What a type checker must reject has a `type: ignore`, which the
test takes away. This is never run.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from redisjobs import (
    AsyncRedisQueue,
    Context,
    Job,
    JobFailedError,
    RedisQueue,
    Registry,
    Worker,
    current_context,
    encode,
)

registry = Registry()


@registry.task("email.send")
def send_email(to: str, subject: str = "hello", *, urgent: bool = False) -> int:
    assert_type(current_context(), Context)
    return len(to)


@registry.task("report.make")
async def make_report(day: datetime, pages: list[int]) -> str:
    return f"{day}{pages}"


@registry.task("shop.close")
def close_shop(ctx: Context, reason: str) -> None:
    ctx.logger.info(reason)


@registry.task("shop.open")
async def open_shop(ctx: Context, *, staff: int) -> dict[str, int]:
    return {ctx.job_id: staff}


@registry.task("tick")
def tick() -> None: ...


@registry.task("anything")
def anything(data: Any, more: int = 0) -> str:
    return str(data)


@registry.task("untyped")
async def untyped(data, more=0):  # type: ignore[no-untyped-def]
    return data


@registry.task("object")
async def any_object(data: object) -> str:
    return str(data)


def jobs(queue: RedisQueue) -> None:
    assert_type(send_email.job("a@b"), Job)
    send_email.job("a@b", "x")
    send_email.job(to="a@b", subject="x", urgent=True)
    make_report.job(datetime.now(UTC), pages=[1])
    close_shop.job("late")
    close_shop.job(reason="late")
    open_shop.job(staff=3)
    tick.job()
    # A first parameter that takes anything may be a Context: nothing is verified.
    anything.job({"a": 1}, more=2)
    untyped.job(1, more=3)
    any_object.job(1)
    queue.enqueue(send_email.job("a@b"), tick.job(), Job("other", encode(1, x=2)))

    send_email.job()  # type: ignore[call-arg]
    send_email.job(1)  # type: ignore[arg-type]
    send_email.job("a@b", subject=None)  # type: ignore[arg-type]
    send_email.job("a@b", "x", True)  # type: ignore[call-arg]
    send_email.job("a@b", cc="x")  # type: ignore[call-arg]
    make_report.job("2024-01-01", [1])  # type: ignore[arg-type]
    make_report.job(datetime.now(UTC), ["1"])  # type: ignore[list-item]
    close_shop.job(Context.background(), "late")  # type: ignore[call-arg, arg-type]
    close_shop.job()  # type: ignore[call-arg]
    open_shop.job(3)  # type: ignore[call-arg]
    open_shop.job(staff="3")  # type: ignore[arg-type]
    tick.job(1)  # type: ignore[call-arg]


def options() -> None:
    assert_type(send_email.options(id="a").job("a@b"), Job)
    close_shop.options(run_at=datetime.now(UTC)).job("late")
    open_shop.options(delay=timedelta(minutes=1)).job(staff=1)
    open_shop.options(delay=1.5).job(staff=1)

    send_email.options(id=1).job("a@b")  # type: ignore[arg-type]
    send_email.options(payload=b"").job("a@b")  # type: ignore[call-arg]
    send_email.options(id="a").job(1)  # type: ignore[arg-type]
    close_shop.options().job()  # type: ignore[call-arg]


async def calls() -> None:
    assert_type(send_email("a@b", urgent=True), int)
    assert_type(await make_report(datetime.now(UTC), [1]), str)
    assert_type(await open_shop(Context.background(), staff=1), dict[str, int])
    close_shop(Context.background(), "late")
    close_shop(Context.background(), reason="late")

    send_email(1)  # type: ignore[arg-type]
    close_shop("late")  # type: ignore[call-arg, arg-type]
    await make_report("today", [1])  # type: ignore[arg-type]
    await open_shop(staff=1)  # type: ignore[call-arg]


async def results(queue: RedisQueue, async_queue: AsyncRedisQueue, job: Job) -> None:
    assert_type(send_email.result(job), int)
    assert_type(make_report.result(job), str)
    assert_type(open_shop.result(job), dict[str, int])
    assert_type(any_object.result(job), str)
    assert_type(send_email.wait(queue, job, 5), int)
    assert_type(make_report.wait(queue, job.id, timedelta(seconds=5)), str)
    assert_type(await send_email.wait(async_queue, job, timeout=5), int)
    assert_type(await make_report.wait(async_queue, "id"), str)
    try:
        send_email.wait(queue, job)
    except JobFailedError as err:
        assert_type(err.remote_error, str | None)
        assert_type(err.job, Job)

    send_email.result("id")  # type: ignore[arg-type]
    send_email.wait(queue, 5, 5)  # type: ignore[call-overload]
    send_email.wait("queue", job, 5)  # type: ignore[call-overload]
    number: str = send_email.wait(queue, job, 5)  # type: ignore[assignment]
    print(number)  # noqa: T201 - never run


def plain(ctx: Context, job: Job) -> bytes | None:
    return None


def registries(queue: RedisQueue, other: Registry) -> None:
    Worker(queue, registry, concurrency=5)
    Worker(queue, {"plain": plain})
    registry.register("plain", plain)
    registry.register("alias", send_email)
    registry.include(other)

    Worker(queue, [plain])  # type: ignore[arg-type]
    registry.include({"plain": plain})  # type: ignore[arg-type]
    registry.task(plain)  # type: ignore[arg-type]
    registry.task("five")(5)  # type: ignore[call-overload]
