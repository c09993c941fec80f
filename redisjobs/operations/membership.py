"""register, beat, unregister and held: a worker's place among the workers of its queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from redisjobs.errors import LockLostError
from redisjobs.keys import SCHEMA_VERSION, Keys
from redisjobs.operations.operation import Argument, Call, Operation, command, reply_of
from redisjobs.operations.refusals import newer_schema


def register(
    keys: Keys,
    worker: str,
    lease_us: int,
    info: bytes,
    settings: Mapping[str, int],
    held_before: Sequence[str] = (),
) -> Operation[None]:
    """Enters a worker. `settings` of the queue go to `meta`; the last writer wins. `held_before`:
    the ids it held when its lease lapsed, whose losses are taken back by one. It may run twice.

    Raises:
        IncompatibleQueueError: the queue holds data of a newer release.
    """
    arguments: list[Argument] = [worker, lease_us, info, SCHEMA_VERSION, len(settings)]
    for name, value in settings.items():
        arguments += (name, value)
    arguments += held_before
    replies = yield (
        Call("register", [keys.workers, keys.worker_info, keys.meta, keys.losses], arguments),
    )
    code, *values = reply_of(replies)
    if code == b"schema":
        raise newer_schema(keys, values[0])


class Lapse(NamedTuple):
    """A lease that has lapsed: whose, the time that stands there (compare it as text), the worker's
    info.
    """

    worker: str
    lapsed_at: str
    info: bytes


class Beat(NamedTuple):
    """What a heartbeat learnt: whether its own lease had lapsed before it, and the lapsed leases of
    others.
    """

    own_lapsed: bool
    lapses: Sequence[Lapse]


def beat(keys: Keys, worker: str, lease_us: int, info: bytes = b"") -> Operation[Beat]:
    """Prolongs the lease. `info` replaces the worker's info where it is not empty.

    Raises:
        LockLostError: the worker is not registered (any more).
    """
    replies = yield (Call("beat", [keys.workers, keys.worker_info], [worker, lease_us, info]),)
    code, *values = reply_of(replies)
    if code == b"unregistered":
        raise LockLostError(f"worker {worker} of queue {keys.name!r} is not registered any more")
    own_lapsed, lapses = values[0], values[1:]
    return Beat(
        bool(own_lapsed),
        [
            Lapse(lapses[at].decode(), lapses[at + 1].decode(), lapses[at + 2])
            for at in range(0, len(lapses), 3)
        ],
    )


def unregister(keys: Keys, worker: str) -> Operation[int]:
    """Forgets a worker that holds nothing. Returns how many deliveries it still holds."""
    replies = yield (
        Call("unregister", [keys.workers, keys.worker_info, keys.processing(worker)], [worker]),
    )
    left: int = reply_of(replies)
    return left


def held(keys: Keys, worker: str) -> Operation[list[str]]:
    """The deliveries that stand in a worker's processing list, in their order."""
    replies = yield (command("LRANGE", keys.processing(worker), 0, -1),)
    return [delivery.decode() for delivery in reply_of(replies)]


def infos(keys: Keys) -> Operation[dict[str, bytes]]:
    """The info of every worker that is registered."""
    replies = yield (command("HGETALL", keys.worker_info),)
    reply = reply_of(replies)
    return {reply[at].decode(): reply[at + 1] for at in range(0, len(reply), 2)}
