"""What goes over a connection and what comes back, the same for every driver. Pure."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias, TypeVar

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
_NOT_NOW = (ReadOnlyError, MasterDownError, ClusterDownError, TryAgainError)
# Codes that redis-py has no class for, or that older servers put behind words of their own. The
# last is a primary that has too few replicas, as after a failover.
_NOT_NOW_CODES = re.compile(r"(?:^|\W)(?:READONLY|MASTERDOWN|NOREPLICAS) ")
# How the words of a command begin that waits for replicas.
_WAIT = ("WAIT",)


class Refusal(NamedTuple):
    """`in_part`: other calls of the same round trip may have been carried out."""

    error: Exception
    in_part: bool


def not_now(replies: Sequence[Any]) -> Refusal | None:
    """Whether a server refused calls that it, or another one, may soon carry out."""
    for reply in replies:
        if isinstance(reply, _NOT_NOW) or (
            isinstance(reply, ResponseError) and _NOT_NOW_CODES.search(str(reply))
        ):
            return Refusal(reply, any(not isinstance(one, Exception) for one in replies))
    return None


def pack(words: Sequence[Argument]) -> bytes:
    """One command as it is sent."""
    packed: bytes = hiredis.pack_command(tuple(words))  # type: ignore[arg-type]  # its stub knows one word
    return packed


def exchanging(calls: Calls, library: Library) -> Exchange[list[Any]]:
    """One round trip. Scripts that the server does not know are sent whole, in a second one that
    repeats nothing else, but for a WAIT behind them: it had nothing to wait for.
    """
    replies = yield [pack(_words(call, library)) for call in calls]
    again: list[int] = []
    for place, (call, reply) in enumerate(zip(calls, replies, strict=True)):
        if isinstance(reply, NoScriptError) or (again and call.arguments[:1] == _WAIT):
            again.append(place)
    if again:
        whole = [pack(_words(calls[place], library, whole=True)) for place in again]
        for place, reply in zip(again, (yield whole), strict=True):
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
