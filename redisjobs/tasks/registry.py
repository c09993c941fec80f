"""Where tasks are declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar, final, overload

from redisjobs.context import Context
from redisjobs.errors import ConfigurationError
from redisjobs.limits import normalise_kind
from redisjobs.registry import Handlers
from redisjobs.tasks.task import Task

P = ParamSpec("P")
T = TypeVar("T")


class Registry(Handlers):
    """The tasks, and plain handlers, of a worker: `Worker(queue, registry)`. What is declared after
    the worker was made is found, too, also while it runs.

    `register(kind, fn)` adds a plain handler, `include(other)` all that another registry has.
    """

    def task(self, kind: str) -> TaskDecorator:
        """Makes a Task of the function that it decorates, plain or `async def`.

        A first parameter annotated `Context` gets the run's context. The annotations of the others,
        and of the result, say as what these come back: None, bool, int (of 64 bits), float, str,
        bytes, datetimes, Decimal, UUID, Path, Enum, Literal, dataclasses, NamedTuple, TypedDict,
        pydantic models, and lists, sets, tuples, dicts and unions of these. Where there is no
        annotation, or Any, only plain values pass: the first six, and lists and dicts of them.
        What would not come back as itself is refused by `Task.job`.

        Raises:
            InvalidJobError: no job can have this kind.
            KindExistsError: the kind has a handler already.
            ConfigurationError: it decorates what is no function, a method, or a generator.
        """
        if callable(kind):
            raise ConfigurationError('a task needs a kind: @registry.task("some.kind")')
        return TaskDecorator(self, normalise_kind(kind))


@final
class _Unrelated:
    """What a parameter takes only if it takes anything."""


class TaskDecorator:
    """What `Registry.task` returns."""

    def __init__(self, registry: Registry, kind: str) -> None:
        self._registry = registry
        self._kind = kind

    # The first that fits counts. Where the first parameter takes anything, type checkers cannot see
    # whether it is a Context: arguments are not verified there.
    @overload
    def __call__(
        self, fn: Callable[Concatenate[_Unrelated, ...], Coroutine[Any, Any, T]]
    ) -> Task[..., Coroutine[Any, Any, T], ..., T]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[_Unrelated, ...], T]) -> Task[..., T, ..., T]: ...
    @overload
    def __call__(
        self, fn: Callable[Concatenate[Context, P], Coroutine[Any, Any, T]]
    ) -> Task[Concatenate[Context, P], Coroutine[Any, Any, T], P, T]: ...
    @overload
    def __call__(
        self, fn: Callable[Concatenate[Context, P], T]
    ) -> Task[Concatenate[Context, P], T, P, T]: ...
    @overload
    def __call__(
        self, fn: Callable[P, Coroutine[Any, Any, T]]
    ) -> Task[P, Coroutine[Any, Any, T], P, T]: ...
    @overload
    def __call__(self, fn: Callable[P, T]) -> Task[P, T, P, T]: ...
    def __call__(self, fn: Callable[..., Any]) -> Task[..., Any, ..., Any]:
        """The function as a task of this kind."""
        if not inspect.isfunction(fn):
            raise ConfigurationError(
                f"task {self._kind!r} must be a function, not {type(fn).__name__}: for any other"
                " callable there is register(kind, fn)"
            )
        if _is_method(fn):
            raise ConfigurationError(
                f"task {fn.__qualname__} ({self._kind}) is a method, and methods are not supported:"
                " a worker has no object to call them on; use a function"
            )
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise ConfigurationError(
                f"task {fn.__name__} ({self._kind}) must not be a generator: return a list"
            )
        task: Task[..., Any, ..., Any] = Task(self._kind, fn)
        self._registry.register(self._kind, task)
        return task


def _is_method(fn: Callable[..., Any]) -> bool:
    """Whether a class is being made around it, which does not have it yet: the name of its first
    parameter tells it from a function that only has its place there.
    """
    place = fn.__qualname__.rpartition(".")[0]
    in_a_class = place != "" and not place.endswith("<locals>")
    return in_a_class and next(iter(inspect.signature(fn).parameters), None) in ("self", "cls")
