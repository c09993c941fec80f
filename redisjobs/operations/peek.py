"""peek: whether a claim could find anything. What an idle worker asks when it polls."""

from __future__ import annotations

from collections.abc import Sequence

from redisjobs.keys import Keys
from redisjobs.operations.operation import Call, Operation, reply_of


def peek(keys: Keys, kinds: Sequence[str]) -> Operation[bool]:
    """Whether a job of these kinds is due, or comes due at a time that nobody minds."""
    call_keys: list[bytes] = []
    for kind in kinds:
        due, _, timekeeper = keys.of_kind(kind)
        call_keys += (due, timekeeper)
    replies = yield (Call("peek", call_keys, ()),)
    return bool(reply_of(replies))
