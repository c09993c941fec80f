from __future__ import annotations

import functools
import threading
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock

import pytest

from redisjobs.context import Context
from redisjobs.errors import ConfigurationError, InvalidJobError, KindExistsError
from redisjobs.job import Job
from redisjobs.registry import Handlers, is_async


def plain(ctx: Context, job: Job) -> bytes:
    return b"plain"


async def awaited(ctx: Context, job: Job) -> bytes:
    return b"awaited"


def test_a_handler_is_found_under_its_normal_kind() -> None:
    handlers = Handlers()
    assert handlers.register("  Send Mail ", plain) == "send mail"
    assert handlers.get("send mail") == (plain, False)
    assert handlers.get("  Send Mail ") is None
    assert handlers.get("other") is None


def test_handlers_can_be_given_at_once() -> None:
    handlers = Handlers({"B": plain, "a": awaited})
    assert handlers.kinds == ("b", "a")
    assert handlers.get("a") == (awaited, True)


def test_kinds_are_in_the_order_of_registration_and_the_version_grows() -> None:
    handlers = Handlers()
    assert (handlers.kinds, handlers.version) == ((), 0)
    versions = []
    for kind in ("c", "a", "b"):
        handlers.register(kind, plain)
        versions.append(handlers.version)
    assert handlers.kinds == ("c", "a", "b")
    assert versions == sorted(set(versions))
    assert versions[0] > 0


@pytest.mark.parametrize("again", [plain, awaited])
def test_a_kind_has_one_handler(again: Any) -> None:
    handlers = Handlers({"mail": plain})
    with pytest.raises(KindExistsError, match="kind 'mail' has a handler already"):
        handlers.register(" MAIL ", again)
    assert handlers.get("mail") == (plain, False)
    assert handlers.version == 1


def test_two_kinds_that_are_one_when_normal_are_refused() -> None:
    with pytest.raises(KindExistsError):
        Handlers({"mail": plain, "Mail": awaited})


@pytest.mark.parametrize("kind", ["", "  ", "a\0", "a" * 201, "\ud800", None, 7, b"mail"])
def test_a_kind_that_no_job_can_have_is_refused(kind: Any) -> None:
    handlers = Handlers()
    with pytest.raises(InvalidJobError, match="kind"):
        handlers.register(kind, plain)
    assert handlers.kinds == ()


@pytest.mark.parametrize("fn", [None, b"plain", 7, [plain]])
def test_what_cannot_be_called_is_refused(fn: Any) -> None:
    handlers = Handlers()
    with pytest.raises(ConfigurationError, match="the handler of kind 'mail' must be callable"):
        handlers.register("Mail", fn)
    assert handlers.kinds == ()


class PlainObject:
    def __call__(self, ctx: Context, job: Job) -> bytes:
        return b"plain"

    async def method(self, ctx: Context, job: Job) -> bytes:
        return b"awaited"


class AsyncObject:
    async def __call__(self, ctx: Context, job: Job) -> bytes:
        return b"awaited"

    def method(self, ctx: Context, job: Job) -> bytes:
        return b"plain"

    @classmethod
    async def of_class(cls, ctx: Context, job: Job) -> bytes:
        return b"awaited"

    @staticmethod
    async def of_none(ctx: Context, job: Job) -> bytes:
        return b"awaited"


def decorated(fn: Callable[..., Awaitable[bytes]]) -> Callable[..., Awaitable[bytes]]:
    @functools.wraps(fn)
    async def wrapper(*args: Any) -> bytes:
        return await fn(*args)

    return wrapper


def made_sync(fn: Callable[..., Awaitable[bytes]]) -> Callable[..., bytes]:
    @functools.wraps(fn)
    def wrapper(*args: Any) -> bytes:
        return b"ran it on a loop of its own"

    return wrapper


@pytest.mark.parametrize(
    "fn",
    [
        pytest.param(awaited, id="async def"),
        pytest.param(functools.partial(awaited), id="partial"),
        pytest.param(functools.partial(functools.partial(awaited)), id="partial of a partial"),
        pytest.param(functools.partial(AsyncObject()), id="partial of an object"),
        pytest.param(functools.partial(PlainObject().method), id="partial of a method"),
        pytest.param(AsyncObject(), id="object"),
        pytest.param(PlainObject().method, id="method"),
        pytest.param(AsyncObject.of_class, id="class method"),
        pytest.param(AsyncObject.of_none, id="static method"),
        pytest.param(decorated(awaited), id="decorated"),
        pytest.param(AsyncMock(), id="mock"),
    ],
)
def test_it_must_be_awaited(fn: Callable[..., object]) -> None:
    assert is_async(fn)


@pytest.mark.parametrize(
    "fn",
    [
        pytest.param(plain, id="def"),
        pytest.param(lambda ctx, job: b"plain", id="lambda"),
        pytest.param(functools.partial(plain), id="partial"),
        pytest.param(PlainObject(), id="object"),
        pytest.param(functools.partial(PlainObject()), id="partial of an object"),
        pytest.param(AsyncObject().method, id="method of an object"),
        pytest.param(AsyncObject, id="class"),
        pytest.param(print, id="built-in"),
        pytest.param(made_sync(awaited), id="async def that a decorator runs"),
    ],
)
def test_it_must_not_be_awaited(fn: Callable[..., object]) -> None:
    assert not is_async(fn)


def test_threads_that_register_one_kind_at_once_agree_on_one_handler() -> None:
    for _ in range(50):
        handlers, refused = Handlers(), list[str]()
        start = threading.Barrier(4)

        def register(
            number: int,
            handlers: Handlers = handlers,
            refused: list[str] = refused,
            start: threading.Barrier = start,
        ) -> None:
            start.wait(10)
            handlers.register(f"own-{number}", plain)
            try:
                handlers.register("shared", plain)
            except KindExistsError as err:
                refused.append(str(err))
            assert "shared" in handlers.kinds

        threads = [threading.Thread(target=register, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(refused) == 3
        assert len(handlers.kinds) == handlers.version == 5
