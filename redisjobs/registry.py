"""Which handler runs jobs of which kind."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from typing import NamedTuple

from redisjobs.attempt import AsyncHandler, SyncHandler
from redisjobs.errors import ConfigurationError, KindExistsError
from redisjobs.limits import normalise_kind


class Handler(NamedTuple):
    """A handler, and whether it must be awaited."""

    fn: SyncHandler | AsyncHandler
    is_async: bool


class HandlerSource:
    """What has a handler and stands for it where one is registered, like a task.

    Attributes:
        handler: runs a job.
    """

    handler: SyncHandler | AsyncHandler


class Handlers:
    """The handlers of a worker by kind. Kinds are only added, from any thread.

    It needs no lock: each kind is added by one operation on one dict, and those are atomic.
    """

    def __init__(self, handlers: Mapping[str, SyncHandler | AsyncHandler] | None = None) -> None:
        self._by_kind: dict[str, Handler] = {}
        if handlers is not None and not isinstance(handlers, Mapping):
            raise ConfigurationError(
                f"handlers must map kinds to functions, and not be a {type(handlers).__name__}"
            )
        for kind, fn in (handlers or {}).items():
            self.register(kind, fn)

    def register(self, kind: str, fn: SyncHandler | AsyncHandler | HandlerSource) -> str:
        """Has `fn` run the jobs of this kind. Returns the kind as jobs have it.

        Raises:
            InvalidJobError: no job can have this kind.
            ConfigurationError: `fn` cannot be called.
            KindExistsError: the kind has a handler already.
        """
        kind = normalise_kind(kind)
        if isinstance(fn, HandlerSource):
            fn = fn.handler
        if not callable(fn):
            raise ConfigurationError(
                f"the handler of kind {kind!r} must be callable, not {type(fn).__name__}"
            )
        handler = Handler(fn, is_async(fn))
        if self._by_kind.setdefault(kind, handler) is not handler:
            raise KindExistsError(f"kind {kind!r} has a handler already: register it under another")
        return kind

    def include(self, other: Handlers) -> None:
        """Adds all handlers that another one has now. What both have from a third is no clash.

        Raises:
            KindExistsError: both have another handler for a kind; none was added.
        """
        added = dict(other._by_kind)
        clashing = [kind for kind in added if self._by_kind.get(kind, added[kind]) != added[kind]]
        if clashing:
            raise KindExistsError(
                f"kind {clashing[0]!r} has a handler in both: register one of them under another"
            )
        for kind, handler in added.items():
            self._by_kind.setdefault(kind, handler)

    def get(self, kind: str) -> Handler | None:
        """The handler of a kind, written as jobs have it."""
        return self._by_kind.get(kind)

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds, in the order in which they were registered."""
        return tuple(self._by_kind)

    @property
    def version(self) -> int:
        """A number that grows whenever a kind is added."""
        return len(self._by_kind)


def is_async(fn: object) -> bool:
    """Whether what `fn` returns must be awaited. Looks into partials and callable objects.

    A plain function that wraps an `async def` is not: nobody can tell from outside what it returns.
    """
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)
