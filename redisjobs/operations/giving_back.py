"""release and reap: deliveries go back to the head of their due sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from redisjobs.keys import Keys
from redisjobs.operations.operation import Call, Operation, reply_of
from redisjobs.operations.refusals import names, readable_kind
from redisjobs.record import encode_state_body
from redisjobs.states import Status

CHUNK = 500
# Where a record without a kind waits if no kind is known at all.
NO_KIND = "unreadable"


def release(
    keys: Keys, worker: str, deliveries: Sequence[str | bytes], kinds: Sequence[str]
) -> Operation[None]:
    """Gives unstarted deliveries back, named in the order in which they were handed out, without a
    loss.

    In chunks, the last ones first: each goes before all that waits. `kinds` are those to expect;
    others are learnt.
    """
    known = _by_name(kinds)
    rest = list(deliveries)[::-1]
    while rest:
        part = rest[:CHUNK]
        call_keys = [keys.jobs, keys.processing(worker)]
        for kind in known.values():
            call_keys += keys.of_kind(kind)[:2]
        replies = yield (Call("release", call_keys, [len(part), *part, *known]),)
        code, *values = reply_of(replies)
        if code == b"kind":
            _learn(known, values)
        else:
            del rest[: values[0]]


def _by_name(kinds: Iterable[str]) -> dict[bytes, str]:
    """For each name that a script may read in a record, the kind whose keys it is given for it."""
    return {kind.encode(): kind for kind in kinds}


def _learn(known: dict[bytes, str], asked: Iterable[bytes]) -> None:
    """Adds the kinds that a script asked for.

    A job whose record is damaged goes to the first kind: whoever claims it there ends it as FAILED.
    """
    for name in asked:
        known[name] = readable_kind(name) or next(iter(known.values()), NO_KIND)


class Reaped(NamedTuple):
    """What a reap came to: how many jobs went back, and the ids of those that lost their worker too
    often.
    """

    moved: int
    condemned: list[str]


def reap(
    keys: Keys, worker: str, judged: str | None, max_losses: int, kinds: Sequence[str]
) -> Operation[Reaped]:
    """Takes all jobs of a dead worker back, in chunks, and forgets it.

    `judged` is the lapsed time on which the reaper judged it dead: with another one, nothing
    happens. None: its process is known to be dead. Two reapers at once do no harm.
    """
    known = _by_name(kinds)
    moved, condemned = 0, list[str]()
    no_body = encode_state_body(0, None, None, None)
    while True:
        call_keys = [
            keys.jobs, keys.state, keys.workers, keys.worker_info, keys.processing(worker),
            keys.losses, keys.totals, keys.meta, keys.waited,
        ]  # fmt: skip
        for kind in known.values():
            call_keys += (*keys.of_kind(kind)[:2], keys.finished(Status.PANIC, kind))
        replies = yield (
            Call("reap", call_keys, [worker, judged or "", CHUNK, max_losses, no_body, *known]),
        )
        code, *values = reply_of(replies)
        if code == b"kind":
            _learn(known, values)
        elif code == b"ok":
            moved += values[0]
            condemned += names(values[2:])
            if values[1] == 0:
                return Reaped(moved, condemned)
        else:
            return Reaped(moved, condemned)
