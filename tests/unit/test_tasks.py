"""Tasks without a server: what their jobs carry, what a handler does with it, and their results."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pytest

from redisjobs import (
    ConfigurationError,
    Context,
    InvalidJobError,
    Job,
    JobFailedError,
    JobNotEndedError,
    KindExistsError,
    Registry,
    RetryableError,
    Status,
    Task,
    current_context,
    encode,
)
from redisjobs.context import running_context
from tests.unit import codec_types as types

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

NOW = datetime(2024, 1, 1, tzinfo=UTC)
registry = Registry()
seen: list[Any] = []


class Wishes(TypedDict, total=False):
    colour: types.Colour
    size: int


@registry.task(" Email.SEND ")
def send_email(to: str, subject: str = "hello", *, cc: list[str] | None = None) -> str:
    """Sends it."""
    seen.append((to, subject, cc))
    return f"sent to {to}"


@registry.task("report")
async def report(ctx: Context, day: datetime, *ids: int) -> dict[int, datetime]:
    assert current_context() is ctx
    await asyncio.sleep(0)
    return dict.fromkeys(ids, day)


@registry.task("nothing")
def nothing() -> None:
    seen.append("nothing")


@registry.task("plain")
def plain(value: Any, /, **more: int) -> Any:
    return [value, more]


@registry.task("wish")
def wish(name: str, **wishes: Unpack[Wishes]) -> Wishes:
    return wishes


@registry.task("later")
def later(value: Later) -> Later:
    return value


class Later(TypedDict):
    """Declared after the task that takes it."""

    number: int


def run(job: Job, of: Registry = registry) -> Job:
    """The job after an attempt, as a worker makes it."""
    handler = of.get(job.kind)
    assert handler is not None
    if handler.is_async:
        asyncio.run(job.attempt_async(Context.background(), NOW, handler.fn))  # type: ignore[arg-type]
    else:
        job.attempt(Context.background(), NOW, handler.fn)  # type: ignore[arg-type]
    return job


def failed(job: Job, of: Registry = registry) -> str:
    """Why an attempt failed."""
    assert run(job, of).status is Status.FAILED
    assert job.last_error is not None
    return job.last_error


class TestCalling:
    def test_a_task_is_its_function(self) -> None:
        assert send_email("a@b", cc=["c"]) == "sent to a@b"
        assert seen[-1] == ("a@b", "hello", ["c"])
        assert send_email.__name__ == "send_email"
        assert send_email.__doc__ == "Sends it."
        assert list(inspect.signature(send_email).parameters) == ["to", "subject", "cc"]
        assert repr(send_email) == "<Task send_email (email.send)>"

    def test_calling_an_async_one_makes_its_coroutine(self) -> None:
        async def main() -> dict[int, datetime]:
            ctx = Context.background()
            running_context.set(ctx)
            return await report(ctx, NOW, 1)

        assert asyncio.run(main()) == {1: NOW}


class TestJob:
    def test_it_carries_kind_and_arguments_as_encode_writes_them(self) -> None:
        job = send_email.job("a@b", cc=["c"])
        assert job.kind == "email.send"
        assert job.payload == encode("a@b", cc=["c"])

    def test_options_are_those_of_a_job(self) -> None:
        job = send_email.options(id="once", delay=60).job("a@b")
        assert (job.id, job.delay) == ("once", timedelta(minutes=1))
        assert send_email.options(run_at=NOW).job("a@b").run_at == NOW
        with pytest.raises(InvalidJobError, match="run_at or delay"):
            send_email.options(run_at=NOW, delay=1).job("a@b")

    @pytest.mark.parametrize(
        ("call", "why"),
        [
            (lambda job: job(), "parameter 'to' is missing"),
            (lambda job: job("a", "b", "c"), "it takes 2 arguments by position, but 3"),
            (lambda job: job("a", to="b"), "parameter 'to' was given twice"),
            (lambda job: job("a", bcc="b"), "there is no parameter 'bcc'"),
            (lambda job: job(1), "parameter 'to': it must be str, not int"),
            (
                lambda job: job("a", cc=["a", None]),
                r"parameter 'cc'\[1\]: it must be str, not None",
            ),
            (lambda job: job("a", "\ud800"), "parameter 'subject': a str with a lone surrogate"),
            (lambda job: job("a", cc=["\ud800"]), "parameter 'cc': a str with a lone surrogate"),
        ],
    )
    def test_what_does_not_fit_is_named(self, call: Callable[..., Job], why: str) -> None:
        with pytest.raises(InvalidJobError, match=r"task send_email \(email.send\): " + why):
            call(send_email.job)

    def test_numbers_beyond_msgpack_name_their_parameter(self) -> None:
        job: Callable[..., Job] = report.job
        with pytest.raises(InvalidJobError, match=r"parameter 'ids': an int beyond 64 bits"):
            job(NOW, 1, 2**64)
        job = plain.job
        with pytest.raises(InvalidJobError, match="parameter 'more': an int beyond 64 bits"):
            job(1, any=2**64)

    def test_an_annotation_that_cannot_travel_is_named(self) -> None:
        tasks = Registry()

        @tasks.task("bad")
        def bad(name: str, when: complex) -> None: ...

        @tasks.task("worse")
        def worse() -> complex:
            return 1j

        @tasks.task("context")
        def context_last(name: str, ctx: Context) -> None: ...

        with pytest.raises(InvalidJobError, match=r"task bad \(bad\): parameter 'when': values of"):
            bad.job("a", 1j)
        with pytest.raises(InvalidJobError, match=r"task worse \(worse\): its result: values of"):
            worse.job()
        with pytest.raises(
            InvalidJobError, match="only the first parameter gets the run's Context"
        ):
            context_last.job("a", Context.background())

    def test_an_annotation_for_type_checkers_only_is_explained(self) -> None:
        @Registry().task("hidden")
        def hidden(items: Iterator[int]) -> None: ...

        with pytest.raises(InvalidJobError, match=r"'Iterator' is not defined.*at run time"):
            hidden.job(iter([1]))

    def test_the_context_may_be_imported_for_type_checkers_only(self) -> None:
        namespace: dict[str, Any] = {}
        exec("def fn(ctx: 'Context', number: 'int') -> 'int': return number", namespace)
        tasks = Registry()
        task: Task[..., Any, ..., Any] = tasks.task("fn")(namespace["fn"])
        assert task.result(run(task.job(5), tasks)) == 5


class TestRunning:
    def test_arguments_and_results_come_back_as_themselves(self) -> None:
        job = run(send_email.job("a@b", cc=["c"]))
        assert seen[-1] == ("a@b", "hello", ["c"])
        assert send_email.result(job) == "sent to a@b"

    def test_an_async_one_gets_its_context(self) -> None:
        assert report.result(run(report.job(NOW, 1, 2))) == {1: NOW, 2: NOW}

    def test_nothing_takes_nothing_and_stores_no_result(self) -> None:
        for payload in (nothing.job().payload, b""):
            seen.clear()
            job = run(Job("nothing", payload))
            assert seen == ["nothing"]
            assert (job.status, job.result, nothing.result(job)) == (Status.DONE, None, None)

    def test_keywords_of_any_name(self) -> None:
        assert plain.result(run(plain.job([1], value=2))) == [[1], {"value": 2}]

    def test_keywords_of_a_typed_dict(self) -> None:
        job = run(wish.job("a", colour=types.Colour.RED))
        assert wish.result(job) == {"colour": types.Colour.RED}
        with pytest.raises(InvalidJobError, match="parameter 'size': it must be int"):
            wish.job("a", size="big")  # type: ignore[arg-type]

    def test_types_declared_later(self) -> None:
        assert later.result(run(later.job({"number": 1}))) == {"number": 1}

    @pytest.mark.parametrize(
        ("payload", "why"),
        [
            (b"\xc1", "no msgpack that can be read"),
            (b"{}", "no msgpack that can be read"),
            (b"\x05", "holds no arguments"),
            (encode(), "parameter 'to' is missing"),
            (b"", "parameter 'to' is missing"),
            (encode("a", "b", "c"), "takes 2 arguments by position"),
            (encode("a", bcc=1), "no parameter 'bcc'"),
            (encode(1), "parameter 'to': it must be str, not int"),
            (encode("a", cc=[1]), r"parameter 'cc'[0]: it must be str, not int"),
            (b"\x92\x91\xa1a\x81\x01\x02", "no parameter 1"),
        ],
    )
    def test_a_payload_of_another_release_fails_its_job(self, payload: bytes, why: str) -> None:
        error = failed(Job("email.send", payload, id="j1"))
        assert error.startswith("InvalidJobError: task send_email: ")  # id and kind: the record's
        assert "j1" not in error
        assert why in error

    def test_keys_that_are_no_names_fit_no_keywords(self) -> None:
        assert "no parameter 1" in failed(Job("plain", b"\x92\x91\xa1a\x81\x01\x02"))

    def test_a_result_that_is_not_of_its_type_fails_its_job(self) -> None:
        tasks = Registry()

        @tasks.task("wrong")
        def wrong() -> int:
            return "1"  # type: ignore[return-value]

        @tasks.task("big")
        def big() -> int:
            return 2**64

        assert failed(wrong.job(), tasks).startswith(
            "InvalidJobError: task wrong: its result: it must be int, not str"
        )
        assert "its result: an int beyond 64 bits" in failed(big.job(), tasks)

    def test_a_retryable_error_still_asks_for_a_retry(self) -> None:
        tasks = Registry()

        @tasks.task("again")
        def again() -> None:
            raise RetryableError("busy", 60)

        assert run(again.job(), tasks).status is Status.PENDING


class TestResult:
    def test_of_one_that_failed_it_tells_the_workers_error(self) -> None:
        for status in (Status.FAILED, Status.PANIC, Status.CANCELLED):
            job = Job("email.send", id="j1", status=status, last_error="ValueError: no")
            with pytest.raises(
                JobFailedError, match=rf"job 'j1' .*{status}.*ValueError: no"
            ) as info:
                send_email.result(job)
            assert info.value.job is job
            assert (info.value.status, info.value.remote_error) == (status, "ValueError: no")
            again = pickle.loads(pickle.dumps(info.value))
            assert (again.job, str(again)) == (job, str(info.value))

    def test_of_one_that_has_not_ended_there_is_none(self) -> None:
        with pytest.raises(JobNotEndedError, match="has not ended"):
            send_email.result(send_email.job("a"))

    def test_of_another_task_it_is_refused(self) -> None:
        with pytest.raises(InvalidJobError, match="is of kind 'nothing', not of <Task send_email"):
            send_email.result(run(nothing.job()))

    @pytest.mark.parametrize("result", [None, b"", b"\xc1", b"\x05"])
    def test_what_is_no_result_of_its_type_is_named(self, result: bytes | None) -> None:
        job = Job("email.send", status=Status.DONE, result=result, id="j1")
        with pytest.raises(InvalidJobError, match=r"send_email .*'j1': its result: it "):
            send_email.result(job)


class StubQueue:
    """Has one job that has ended."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.asked: list[Any] = []

    def wait(self, id: str, timeout: float | timedelta | None = None) -> Job:
        self.asked.append((id, timeout))
        return self.job


class AsyncStubQueue(StubQueue):
    async def wait(  # type: ignore[override]
        self,
        id: str,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - the real one has it
    ) -> Job:
        return super().wait(id, timeout)


class TestWait:
    def test_it_returns_what_the_function_did(self) -> None:
        job = run(send_email.job("a@b"))
        queue = StubQueue(job)
        assert send_email.wait(queue, job, 5) == "sent to a@b"
        assert send_email.wait(queue, "some-id") == "sent to a@b"
        assert queue.asked == [(job.id, 5), ("some-id", None)]

    def test_over_an_async_queue_it_is_awaited(self) -> None:
        job = run(send_email.job("a@b"))

        async def main() -> str:
            return await send_email.wait(AsyncStubQueue(job), job, timedelta(seconds=5))

        assert asyncio.run(main()) == "sent to a@b"

    def test_a_job_that_failed_raises(self) -> None:
        job = Job("email.send", status=Status.FAILED, last_error="ValueError: no")
        with pytest.raises(JobFailedError, match="ValueError: no"):
            send_email.wait(StubQueue(job), job, 5)


class TestRegistry:
    def test_a_kind_has_one_task(self) -> None:
        tasks = Registry()
        tasks.task("a")(lambda: None)
        with pytest.raises(KindExistsError, match="'a' has a handler already"):
            tasks.task(" A ")(lambda: None)
        with pytest.raises(KindExistsError):
            tasks.register("a", lambda ctx, job: None)

    def test_what_can_be_no_task_is_refused(self) -> None:
        def items() -> Iterator[int]:
            yield 1

        async def async_items() -> AsyncIterator[int]:
            yield 1

        tasks = Registry()
        for generator in (items, async_items):
            with pytest.raises(ConfigurationError, match="must not be a generator"):
                tasks.task("a")(generator)
        with pytest.raises(ConfigurationError, match="must be a function, not type"):
            tasks.task("a")(int)
        with pytest.raises(ConfigurationError, match="needs a kind"):
            tasks.task(items)  # type: ignore[arg-type]
        with pytest.raises(InvalidJobError, match="must not be blank"):
            tasks.task(" ")
        assert tasks.kinds == ()

    def test_a_method_is_refused_and_says_so(self) -> None:
        tasks = Registry()
        with pytest.raises(
            ConfigurationError, match=r"Mails.send \(mail\) is a method, .*function"
        ):

            class Mails:
                @tasks.task("mail")
                def send(self, to: str) -> None:
                    """Never made a task."""

        assert tasks.kinds == ()

    def test_a_function_that_only_has_its_place_in_a_class_is_a_task(self) -> None:
        tasks = Registry()

        class Mails:
            @staticmethod
            @tasks.task("mail")
            def send(to: str) -> str:
                return to

        assert Mails.send.job("a@b").payload == encode("a@b")
        assert tasks.task("classify")(lambda self: self).job(1).payload == encode(1)

    def test_registries_of_several_modules_make_one(self) -> None:
        shared, left, right = Registry(), Registry(), Registry()
        shared.task("shared")(lambda: None)
        left.task("left")(lambda: None)
        right.task("right")(lambda: None)
        for one in (left, right):
            one.include(shared)
        left.include(right)
        assert left.kinds == ("left", "shared", "right")

    def test_registries_that_clash_do_not_mix(self) -> None:
        left, right = Registry(), Registry()
        left.task("a")(lambda: None)
        right.task("b")(lambda: None)
        right.task("a")(lambda: None)
        with pytest.raises(KindExistsError, match="'a' has a handler in both"):
            left.include(right)
        assert left.kinds == ("a",)

    def test_a_task_can_be_registered_under_another_kind(self) -> None:
        tasks = Registry()
        tasks.register("alias", send_email)
        assert run(Job("alias", encode("x@y")), tasks).status is Status.DONE
        assert seen[-1][0] == "x@y"
