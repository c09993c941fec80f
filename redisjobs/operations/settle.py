"""settle: records the outcomes of deliveries that a worker holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from redisjobs.errors import IncompatibleQueueError
from redisjobs.keys import Keys
from redisjobs.operations.claim import Claim
from redisjobs.operations.operation import Argument, Call, Operation, reply_of
from redisjobs.record import encode_state_body
from redisjobs.states import LETTER_OF_STATUS, STATE_OF_LETTER, Status

MOST_OUTCOMES = 1000
MOST_BYTES = 4 * 2**20
# A record of a newer release is looked at again after this long.
_UNREADABLE_AGAIN_US = 30_000_000
_DONE = LETTER_OF_STATUS[Status.DONE]
_PROGRESS = re.compile(rb"[A-Z](\d+):\d+:(.*)", re.DOTALL)  # a state: its attempts, its body


class Settlement(NamedTuple):
    """The outcome of one delivery: `<token>:<id>`, the letter of its state, its delay where it
    waits again, its body. `due_at`: where it waits again, until when by the sender's monotonic
    clock.
    """

    delivery: str
    kind: str
    letter: bytes
    attempts_done: int
    delay_us: int
    body: bytes
    due_at: float | None = None

    def at(self, now: float) -> Settlement:
        """As it is to be sent now: a delay that began when the handler ended is shorter by then."""
        if self.due_at is None:
            return self
        return self._replace(delay_us=max(0, round((self.due_at - now) * 1e6)))


# By kind, deliveries with the bodies of their states.
Done: TypeAlias = Mapping[str, Mapping[str, bytes]]

_delivery_of, _body_of = itemgetter(0), itemgetter(5)


def plainly_done(delivery: str, kind: str, body: bytes) -> Settlement:
    """A job that is done at its first attempt, without a result. Its body is short."""
    return Settlement(delivery, kind, _DONE, 1, 0, body)


def unreadable(token: int, claim: Claim, err: Exception, now_us: int) -> Settlement:
    """A job whose record cannot be read: FAILED with the reason, or if a newer release stored it,
    left waiting for a worker that can read it, with the progress that it has.
    """
    delivery = f"{token}:{claim.id}"
    if isinstance(err, IncompatibleQueueError):
        progress = _PROGRESS.fullmatch(claim.state or b"")
        attempts, body = progress.groups() if progress else (0, b"")
        return Settlement(
            delivery, claim.kind, LETTER_OF_STATUS[Status.PENDING], int(attempts),
            _UNREADABLE_AGAIN_US, body,
        )  # fmt: skip
    body = encode_state_body(now_us, None, f"{type(err).__name__}: {err}", None)
    return Settlement(delivery, claim.kind, LETTER_OF_STATUS[Status.FAILED], 0, 0, body)


def settle(
    keys: Keys,
    worker: str,
    settlements: Sequence[Settlement],
    done: Done = MappingProxyType({}),
) -> Operation[list[Settlement]]:
    """Records outcomes, at most about 1,000 and 4 MiB in one call of the script. Returns those that
    were refused, because the worker holds them no longer.

    Args:
        done: by kind, deliveries that are `plainly_done`, as nearly all are, with their bodies.
            They all go with the first call: of both, the caller sends 1,000 at most.
    """
    refused: list[Settlement] = []
    for part in _parts(settlements):
        if part or done:
            call, order = _call(keys, worker, part, done)
            replies = yield (call,)
            refused += _refused(reply_of(replies), order, done)
        done = {}
    return refused


def _refused(
    places: Sequence[int], order: Sequence[Settlement], done: Done
) -> Iterator[Settlement]:
    if places:
        sent = [*order, *all_of(done)]
        yield from (sent[place - 1] for place in places)


def all_of(done: Done) -> Iterator[Settlement]:
    """One settlement for each."""
    for kind, bodies in done.items():
        for name, body in bodies.items():
            yield plainly_done(name, kind, body)


def _parts(settlements: Sequence[Settlement]) -> Sequence[Sequence[Settlement]]:
    if (
        len(settlements) <= MOST_OUTCOMES
        and sum(map(len, map(_body_of, settlements))) <= MOST_BYTES
    ):
        return [settlements]
    parts: list[list[Settlement]] = [[]]
    size = 0
    for one in settlements:
        if parts[-1] and (len(parts[-1]) == MOST_OUTCOMES or size + len(one.body) > MOST_BYTES):
            parts.append([])
            size = 0
        parts[-1].append(one)
        size += len(one.body)
    return parts


def _call(
    keys: Keys, worker: str, part: Sequence[Settlement], done: Done
) -> tuple[Call, list[Settlement]]:
    groups: dict[tuple[bytes, str, int | None], list[Settlement]] = {}
    for one in part:
        _, kind, letter, attempts_done, _, body, _ = one
        # Of those that are done, and of which no more is kept, only the attempts are to be said.
        key = (letter, kind, None if body or letter != _DONE else attempts_done)
        group = groups.get(key)
        if group is None:
            group = groups[key] = []
        group.append(one)
    call_keys = [
        keys.jobs, keys.state, keys.processing(worker), keys.losses, keys.totals, keys.meta,
        keys.waited,
    ]  # fmt: skip
    outcomes = len(part) + sum(map(len, done.values()))
    arguments: list[Argument] = [len(groups) + len(done), outcomes]
    order: list[Settlement] = []
    for (letter, kind, attempts), group in groups.items():
        arguments += (letter, kind, len(call_keys) + 1, len(group))
        arguments += (4, "") if attempts is None else (1, attempts)
        status = STATE_OF_LETTER[letter].status
        if status is Status.PENDING:
            call_keys += keys.of_kind(kind)[:2]
        else:
            call_keys.append(keys.finished(status, kind))
        if attempts is None:
            for one in group:
                arguments += (one.delivery, one.attempts_done, one.delay_us, one.body)
        else:
            arguments += map(_delivery_of, group)
        order += group
    for kind, bodies in done.items():
        has_bodies = any(bodies.values())
        arguments += (_DONE, kind, len(call_keys) + 1, len(bodies), 2 if has_bodies else 1, 1)
        arguments += chain.from_iterable(bodies.items()) if has_bodies else bodies
        call_keys.append(keys.finished(Status.DONE, kind))
    return Call("settle", call_keys, arguments), order
