"""The shape of an operation, and two of them joined into one round trip."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

Argument: TypeAlias = bytes | str | int


class Call(NamedTuple):
    """One call of a script, or with `script` None one plain command whose words are `arguments`."""

    script: str | None
    keys: Sequence[bytes]
    arguments: Sequence[Argument]


Calls: TypeAlias = tuple[Call, ...]
Replies: TypeAlias = Sequence[Any]
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
Operation: TypeAlias = Generator[Calls, Replies, T]


def command(*words: Argument) -> Call:
    """One plain command."""
    return Call(None, (), words)


def reply_of(replies: Replies, place: int = 0) -> Any:
    """The reply at this place, or its error raised."""
    reply = replies[place]
    if isinstance(reply, Exception):
        raise reply
    return reply


class _Half:
    """One side of a join: its operation, what it asks next, what it came to."""

    def __init__(self, operation: Operation[Any]) -> None:
        self.operation = operation
        self.calls: Calls = ()
        self.value: Any = None
        self.error: Exception | None = None

    def advance(self, replies: Replies | None) -> None:
        try:
            self.calls = next(self.operation) if replies is None else self.operation.send(replies)
        except StopIteration as end:
            self.calls, self.value = (), end.value
        except Exception as err:  # noqa: BLE001 - join raises it when both are at their end
            self.calls, self.error = (), err


def join(first: Operation[A], second: Operation[B]) -> Operation[tuple[A, B]]:
    """Both operations, each of their round trips shared. An error of one is raised when both are at
    their end.
    """
    halves = (_Half(first), _Half(second))
    for half in halves:
        half.advance(None)
    while halves[0].calls or halves[1].calls:
        asked = tuple(len(half.calls) for half in halves)
        replies = yield halves[0].calls + halves[1].calls
        if asked[0]:
            halves[0].advance(replies[: asked[0]])
        if asked[1]:
            halves[1].advance(replies[asked[0] :])
    for half in halves:
        if half.error is not None:
            raise half.error
    return halves[0].value, halves[1].value
