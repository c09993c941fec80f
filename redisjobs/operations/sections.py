"""Where the jobs of a queue stand: what workers hold, what waits, what has ended.

Each section has an order of its own, and positions in it that outlive the jobs that stand there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias

from redisjobs.keys import FINISHED_STATUSES, Keys
from redisjobs.operations.operation import Call, Operation, command, reply_of
from redisjobs.states import LETTER_OF_STATUS, Status

# How many sets, and how many ids of all of them, one call reads.
MOST_SETS = 100
MOST_IDS = 2000
MOST_LISTS = 20
# More than one claim hands out: the deliveries of its token then come whole.
MOST_DELIVERIES = 2000

# A score and an id, or a worker, a token and an id.
Position: TypeAlias = tuple[float, bytes] | tuple[bytes, int, bytes]


class Standing(StrEnum):
    """How a job stands: RUNNING, READY and SCHEDULED are all PENDING."""

    RUNNING = "running"
    READY = "ready"
    SCHEDULED = "scheduled"
    DONE = "done"
    FAILED = "failed"
    PANIC = "panic"
    CANCELLED = "cancelled"

    @property
    def status(self) -> Status:
        """The status of such a job."""
        if self in (Standing.RUNNING, Standing.READY, Standing.SCHEDULED):
            return Status.PENDING
        return Status(self.upper())


class Entry(NamedTuple):
    """An id that was seen in a section. `kind` is that of the set it was in, None in a list."""

    id: bytes
    position: Position
    kind: str | None
    standing: Standing


class Section(Protocol):
    """One part of a queue, in its order."""

    name: str

    def next(
        self, keys: Keys, kinds: Sequence[str], after: Position | None, most: int
    ) -> Operation[list[Entry]]:
        """Up to `most` entries behind this position; fewer only at the end."""


class Held:
    """What workers hold: by worker, and of one worker in the order in which it was handed out."""

    name = "held"

    def next(
        self,
        keys: Keys,
        kinds: Sequence[str],  # noqa: ARG002 - lists are of all kinds
        after: Position | None,
        most: int,
    ) -> Operation[list[Entry]]:
        """Up to `most` deliveries behind this position."""
        worker, token = (b"", 0) if after is None else (after[0], after[1])
        assert isinstance(worker, bytes)
        replies = yield (command("ZRANGE", keys.workers, 0, -1),)
        rest = [(one, 0) for one in sorted(reply_of(replies)) if one > worker]
        if after is not None:
            rest.insert(0, (worker, int(token)))
        found: list[Entry] = []
        stem = keys.processing("")
        while rest and len(found) < most:
            part, rest = rest[:MOST_LISTS], rest[MOST_LISTS:]
            replies = yield tuple(
                Call("list_held", [stem + one], [first, MOST_DELIVERIES]) for one, first in part
            )
            for place, (one, _) in enumerate(part):
                deliveries, next_token = _whole_tokens(reply_of(replies, place))
                positions = ((one, *delivery) for delivery in deliveries)
                found += [
                    Entry(position[2], position, None, Standing.RUNNING)
                    for position in positions
                    if after is None or position > after
                ]
                if next_token is not None:
                    # What comes before the rest of this list has to be told before it.
                    rest = [(one, next_token), *part[place + 1 :], *rest]
                    break
        return found[:most]


def _whole_tokens(deliveries: Sequence[bytes]) -> tuple[list[tuple[int, bytes]], int | None]:
    """Deliveries as token and id, in the order of both, and with which token to go on; None: that
    was all of the list. What is no delivery is left out.
    """
    told = []
    for delivery in deliveries:
        token, colon, id = delivery.partition(b":")
        if colon and token.isdigit():
            told.append((int(token), id))
    told.sort()
    if len(deliveries) < MOST_DELIVERIES or not told:
        return told, None
    last = told[-1][0]
    whole = [one for one in told if one[0] < last]
    return (whole, last) if whole else (told, last + 1)


class Sets:
    """What waits, in the order in which it comes due, or what has ended, the latest first.

    Args:
        statuses: PENDING alone, or some of those with which jobs end.
        which: of what waits "ready" or "scheduled", or "all".
    """

    def __init__(self, name: str, *statuses: Status, which: str = "all") -> None:
        self.name = name
        self._statuses = statuses
        self._which = which
        self._descending = Status.PENDING not in statuses

    def next(
        self, keys: Keys, kinds: Sequence[str], after: Position | None, most: int
    ) -> Operation[list[Entry]]:
        """Up to `most` jobs behind this position."""
        sources = [_Set.of(keys, kind, status) for kind in kinds for status in self._statuses]
        found: list[Entry] = []
        size = max(1, 2 * most // max(1, len(sources)))
        while sources and len(found) < most:
            position = found[-1].position if found else after
            size = min(size, most - len(found))
            chunks = yield from self._chunks(keys, sources, position, size)
            merged = self._merged(chunks, size)
            told = set(merged)
            found += merged[: most - len(found)]
            # A set is at its end if its chunk was short and nothing of it was cut off.
            sources = [
                source
                for source, chunk in chunks
                if len(chunk) == size or (chunk and chunk[-1] not in told)
            ]
            size *= 4  # few sets are left, or one of them has most of the jobs
        return found

    def _chunks(
        self, keys: Keys, sources: Sequence[_Set], after: Position | None, size: int
    ) -> Operation[list[tuple[_Set, list[Entry]]]]:
        position = ("", b"") if after is None else (repr(after[0]), after[1])
        together = max(1, min(MOST_SETS, MOST_IDS // size))
        parts = [sources[first : first + together] for first in range(0, len(sources), together)]
        replies = yield tuple(
            Call(
                "list",
                [keys.meta, *(source.key for source in part)],
                [size, self._which, *position, *(source.letter for source in part)],
            )
            for part in parts
        )
        chunks = []
        for place, part in enumerate(parts):
            time_us, *told = reply_of(replies, place)
            for source, flat in zip(part, told, strict=True):
                pairs = zip(flat[::2], map(float, flat[1::2]), strict=True)
                chunks.append(
                    (source, [source.entry(id, score, int(time_us)) for id, score in pairs])
                )
        return chunks

    def _merged(self, chunks: Iterable[tuple[_Set, list[Entry]]], size: int) -> list[Entry]:
        """The entries of all sets in one order, as far as every set is known."""
        every = [entry for _, chunk in chunks for entry in chunk]
        every.sort(key=_place, reverse=self._descending)
        ends = [_place(chunk[-1]) for _, chunk in chunks if len(chunk) == size]
        if not ends:
            return every
        known_to = max(ends) if self._descending else min(ends)
        if self._descending:
            return [entry for entry in every if _place(entry) >= known_to]
        return [entry for entry in every if _place(entry) <= known_to]


class _Set(NamedTuple):
    key: bytes
    letter: bytes
    kind: str
    status: Status

    @classmethod
    def of(cls, keys: Keys, kind: str, status: Status) -> _Set:
        key = keys.finished(status, kind) if status in FINISHED_STATUSES else keys.due(kind)
        return cls(key, LETTER_OF_STATUS[status], kind, status)

    def entry(self, id: bytes, score: float, time_us: int) -> Entry:
        if self.status is Status.PENDING:
            standing = Standing.READY if score <= time_us else Standing.SCHEDULED
        else:
            standing = Standing(self.status.lower())
        return Entry(id, (score, id), self.kind, standing)


def _place(entry: Entry) -> Position:
    return entry.position
