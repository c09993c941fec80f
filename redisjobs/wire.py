"""What goes over a connection and what comes back, the same for every driver. Pure."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import hiredis
from redis.exceptions import (
    ClusterDownError,
    MasterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from redisjobs.errors import ConfigurationError, QueueFullError, RedisJobsError
from redisjobs.operations.library import Library
from redisjobs.operations.operation import Argument, Call, Calls

T = TypeVar("T")

# Packed commands are yielded, their replies received.
Exchange: TypeAlias = Generator[list[bytes], list[Any], T]

# The server is not the primary (any more), or not ready: another connection may find another one.
NOT_NOW = (ReadOnlyError, MasterDownError, ClusterDownError, TryAgainError)


def pack(words: Sequence[Argument]) -> bytes:
    """One command as it is sent."""
    packed: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]  # its stub knows one word
    return packed


def exchanging(calls: Calls, library: Library) -> Exchange[list[Any]]:
    """One round trip. Scripts that the server does not know are sent whole, in a second one that
    repeats nothing else.
    """
    replies = yield [pack(_words(call, library)) for call in calls]
    forgotten = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if forgotten:
        again = yield [pack(_words(calls[place], library, whole=True)) for place in forgotten]
        for place, reply in zip(forgotten, again, strict=True):
            replies[place] = reply
    return replies


def _words(call: Call, library: Library, *, whole: bool = False) -> Sequence[Argument]:
    if call.script is None:
        return call.arguments
    script = library[call.script]
    run = (b"EVAL", script.text) if whole else (b"EVALSHA", script.sha)
    return (*run, len(call.keys), *call.keys, *call.arguments)


@contextmanager
def errors_of_ours() -> Iterator[None]:
    """What Redis answered with an error, as an error of this package."""
    try:
        yield
    except OutOfMemoryError as err:
        raise QueueFullError(
            "Redis is at its memory limit (maxmemory) and nothing was written: let workers drain"
            " the queue, delete what is not needed, or give it more memory"
        ) from err
    except NoPermissionError as err:
        raise ConfigurationError(f"Redis refuses a command that the queue needs: {err}") from err
    except ResponseError as err:
        raise RedisJobsError(f"Redis answered with an error: {err}") from err
