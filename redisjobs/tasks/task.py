"""A task: a function whose calls can be sent to a worker."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from inspect import isawaitable
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from redisjobs.attempt import AsyncHandler, SyncHandler
from redisjobs.codec.converter import Misfit
from redisjobs.context import Context
from redisjobs.errors import InvalidJobError, JobFailedError, JobNotEndedError
from redisjobs.job import Job
from redisjobs.registry import HandlerSource, is_async
from redisjobs.states import Status
from redisjobs.tasks.signature import Signature, signature_of

CallParams = ParamSpec("CallParams")
CallResult = TypeVar("CallResult", covariant=True)
JobParams = ParamSpec("JobParams")
Result = TypeVar("Result", covariant=True)


class Waiting(Protocol):
    """A queue that can be waited at, like `RedisQueue`."""

    def wait(self, id: str, timeout: float | timedelta | None = None, /) -> Job:
        """The job of this id when it has ended."""


class AsyncWaiting(Protocol):
    """A queue that can be awaited, like `AsyncRedisQueue`."""

    def wait(self, id: str, timeout: float | timedelta | None = None, /) -> Awaitable[Job]:
        """The job of this id when it has ended."""


class Task(HandlerSource, Generic[CallParams, CallResult, JobParams, Result]):
    """A function that runs jobs of one kind. Called, it just runs; `job` makes a job of a call.

    The type parameters are the function's own parameters, what it returns, its parameters without
    the Context, and its result once awaited.

    Attributes:
        kind: the kind of its jobs.
        fn: the function itself.
        handler: the `fn(ctx, job)` that a worker calls.
    """

    __name__: str  # like all that update_wrapper copies

    def __init__(self, kind: str, fn: Callable[CallParams, CallResult]) -> None:
        functools.update_wrapper(self, fn)
        self.kind = kind
        self.fn = fn
        self.handler = _async_handler(self) if is_async(fn) else _sync_handler(self)

    def __call__(self, *args: CallParams.args, **kwargs: CallParams.kwargs) -> CallResult:
        """Runs the function, here and now."""
        return self.fn(*args, **kwargs)

    def job(self, *args: JobParams.args, **kwargs: JobParams.kwargs) -> Job:
        """A job that calls the function with these arguments in a worker. It is not enqueued yet.

        Raises:
            InvalidJobError: the function takes no such arguments, or one of them cannot travel, or
                would not come back as itself.
        """
        return Job(self.kind, self._payload(args, kwargs))

    def options(
        self,
        *,
        id: str | None = None,
        run_at: datetime | None = None,
        delay: timedelta | float | None = None,
    ) -> JobOptions[JobParams]:
        """For jobs with an id or a time of their own: `task.options(delay=60).job(…)`. The
        arguments are those of `Job`.
        """
        return JobOptions(self, {"id": id, "run_at": run_at, "delay": delay})

    def result(self, job: Job) -> Result:
        """What the function returned in a job that is DONE.

        Raises:
            JobFailedError: the job ended otherwise; it has the worker's error.
            JobNotEndedError: it waits or runs.
            InvalidJobError: it is no job of this task, or its result does not fit the annotation.
        """
        if job.kind != self.kind:
            raise InvalidJobError(f"job {job.id!r} is of kind {job.kind!r}, not of {self!r}")
        if job.status is Status.PENDING:
            raise JobNotEndedError(
                f"job {job.id!r} ({job.kind}) has not ended: queue.get(id) says how it stands now,"
                " and task.wait(queue, job, timeout) waits for its end"
            )
        if job.status is not Status.DONE:
            raise JobFailedError(job)
        try:
            return cast(Result, self._signature.decode_result(job.result))
        except Misfit as err:
            raise self._invalid(err, job) from err

    @overload
    def wait(
        self, queue: AsyncWaiting, job: Job | str, timeout: float | timedelta | None = None
    ) -> Coroutine[Any, Any, Result]: ...
    @overload
    def wait(
        self, queue: Waiting, job: Job | str, timeout: float | timedelta | None = None
    ) -> Result: ...
    def wait(
        self,
        queue: Waiting | AsyncWaiting,
        job: Job | str,
        timeout: float | timedelta | None = None,
    ) -> Any:
        """What the function returned, when the job has ended. Over an async queue, to be awaited.

        Args:
            queue: where the job was enqueued.
            job: the job, or its id.
            timeout: seconds, or a timedelta; None waits for ever.

        Raises:
            TimeoutError: it has not ended by then.
            JobNotFoundError: there is no such job, or its record is not kept.
            JobFailedError: it ended as FAILED, PANIC or CANCELLED.
            InvalidJobError: it is no job of this task, or its result does not fit the annotation.
        """
        ended = queue.wait(job.id if isinstance(job, Job) else job, timeout)
        return self._result_of(ended) if isawaitable(ended) else self.result(ended)

    async def _result_of(self, ended: Awaitable[Job]) -> Result:
        return self.result(await ended)

    @functools.cached_property
    def _signature(self) -> Signature:
        return signature_of(self.fn)  # at first use: what annotations name may come later

    def _payload(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        try:
            return self._signature.encode_arguments(args, kwargs)
        except Misfit as err:
            raise self._invalid(err) from err

    def _arguments(self, ctx: Context, job: Job) -> tuple[Sequence[Any], dict[str, Any]]:
        """What the function is to be called with for a job."""
        try:
            signature = self._signature
            args, kwargs = signature.decode_arguments(job.payload)
        except Misfit as err:
            raise self._unfit(err) from err
        return (ctx, *args) if signature.takes_context else args, kwargs

    def _encoded(self, value: object) -> bytes | None:
        """What the function returned, as the result of a job."""
        try:
            return self._signature.encode_result(value)
        except Misfit as err:
            raise self._unfit(err) from err

    def _unfit(self, err: Misfit) -> InvalidJobError:
        # It is stored as the job's `last_error`, beside its id and kind.
        return InvalidJobError(f"task {self.fn.__name__}: {err}")

    def _invalid(self, err: Misfit, job: Job | None = None) -> InvalidJobError:
        where = "" if job is None else f", job {job.id!r}"
        return InvalidJobError(f"task {self.fn.__name__} ({self.kind}){where}: {err}")

    def __repr__(self) -> str:
        return f"<Task {self.fn.__name__} ({self.kind})>"


class JobOptions(Generic[JobParams]):
    """Makes jobs of a task, with the keywords of `Job` that were given to `Task.options`."""

    def __init__(self, task: Task[..., Any, JobParams, Any], keywords: dict[str, Any]) -> None:
        self._task = task
        self._keywords = keywords

    def job(self, *args: JobParams.args, **kwargs: JobParams.kwargs) -> Job:
        """As `Task.job`."""
        return Job(self._task.kind, self._task._payload(args, kwargs), **self._keywords)


def _sync_handler(task: Task[..., Any, ..., Any]) -> SyncHandler:
    fn = task.fn

    def handle(ctx: Context, job: Job) -> bytes | None:
        args, kwargs = task._arguments(ctx, job)
        return task._encoded(fn(*args, **kwargs))

    return handle


def _async_handler(task: Task[..., Any, ..., Any]) -> AsyncHandler:
    fn = task.fn

    async def handle(ctx: Context, job: Job) -> bytes | None:
        args, kwargs = task._arguments(ctx, job)
        return task._encoded(await fn(*args, **kwargs))

    return handle
