"""settle: records the outcomes of deliveries that a worker holds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

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
_new = tuple.__new__
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


_delivery_of, _body_of = itemgetter(0), itemgetter(5)


def plainly_done(delivery: str, kind: str, attempts_done: int) -> Settlement:
    """A job that is done and of which no more is kept. Nearly every job ends with one: it is made
    past the constructor of the named tuple, which is slow.
    """
    return _new(Settlement, (delivery, kind, b"D", attempts_done, 0, b"", None))


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
    keys: Keys, worker: str, settlements: Sequence[Settlement]
) -> Operation[list[Settlement]]:
    """Records outcomes, at most about 1,000 and 4 MiB in one call of the script. Returns those that
    were refused, because the worker holds them no longer.
    """
    refused: list[Settlement] = []
    for part in _parts(settlements):
        call, order = _call(keys, worker, part)
        replies = yield (call,)
        refused += (order[place - 1] for place in reply_of(replies))
    return refused


def _parts(settlements: Sequence[Settlement]) -> Iterator[Sequence[Settlement]]:
    if (
        len(settlements) <= MOST_OUTCOMES
        and sum(map(len, map(_body_of, settlements))) <= MOST_BYTES
    ):
        if settlements:
            yield settlements
        return
    part: list[Settlement] = []
    size = 0
    for one in settlements:
        if part and (len(part) == MOST_OUTCOMES or size + len(one.body) > MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(one)
        size += len(one.body)
    yield part


def _call(keys: Keys, worker: str, part: Sequence[Settlement]) -> tuple[Call, list[Settlement]]:
    groups: dict[tuple[bytes, str, int | None], list[Settlement]] = {}
    for one in part:
        _, kind, letter, attempts_done, _, body, _ = one
        # Most jobs are done at their first attempt, and nothing more is to be said of them.
        key = (letter, kind, None if body or letter != b"D" else attempts_done)
        group = groups.get(key)
        if group is None:
            group = groups[key] = []
        group.append(one)
    call_keys = [
        keys.jobs, keys.state, keys.processing(worker), keys.losses, keys.totals, keys.meta,
        keys.waited,
    ]  # fmt: skip
    arguments: list[Argument] = [len(groups), len(part)]
    order: list[Settlement] = []
    for (letter, kind, attempts), group in groups.items():
        arguments += (letter, kind, len(call_keys) + 1, len(group))
        arguments.append("" if attempts is None else attempts)
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
    return Call("settle", call_keys, arguments), order
