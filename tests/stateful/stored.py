"""All that Redis holds for a queue, read whole, and the invariants that it shows by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redisjobs.operations.operation import command
from tests.stateful.ticking import BEGINNING_US, clock_key
from tests.stateful.wire import id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from redisjobs.keys import Keys
    from redisjobs.operations.operation import Call

STATUS_OF_LETTER = {"D": "done", "F": "failed", "X": "panic", "L": "panic", "C": "cancelled"}
MOST_TOKENS = 3


@dataclass
class Stored:
    """The keys of a queue by what they hold. `finished` is by (status, kind)."""

    time: int = field(default=0, compare=False)
    jobs: dict[str, bytes] = field(default_factory=dict)
    state: dict[str, bytes] = field(default_factory=dict)
    losses: dict[str, int] = field(default_factory=dict)
    due: dict[str, dict[str, float]] = field(default_factory=dict)
    processing: dict[str, list[str]] = field(default_factory=dict)
    workers: dict[str, int] = field(default_factory=dict)
    worker_info: dict[str, bytes] = field(default_factory=dict)
    finished: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)
    bells: dict[str, int] = field(default_factory=dict)
    timekeepers: dict[str, tuple[float, str]] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    meta: dict[str, int] = field(default_factory=dict)
    last_chance: dict[str, tuple[int, str]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def broken(self) -> Iterator[str]:
        """The invariants that do not hold: I1, I2 as far as data shows it, and I8."""
        yield from self._misplaced()
        yield from (f"I8: a key of no known name: {name}" for name in self.unknown)
        for name, ids in (("state", self.state), ("losses", self.losses)):
            yield from (
                f"I8: {name} of {id!r}, which has no record" for id in ids - self.jobs.keys()
            )
        for kind, tokens in self.bells.items():
            if tokens > MOST_TOKENS:
                yield f"the bell of {kind!r} holds {tokens} tokens"
            if kind not in self.due:
                yield f"I8: the bell of {kind!r} is left, where nothing waits"
        for worker in self.processing.keys() - self.workers.keys():
            yield f"I3: {worker} is not registered, but holds {self.processing[worker]}"
        if self.workers.keys() != self.worker_info.keys():
            yield f"I8: workers {sorted(self.workers)}, but info of {sorted(self.worker_info)}"

    def _misplaced(self) -> Iterator[str]:
        for id, found in self._places().items():
            if len(found) != 1:
                yield f"I1: {id!r} is in {len(found)} places: {found}"
            elif id not in self.jobs:
                yield f"I1: {id!r} has no record, but is here: {found}"
            elif not found[0].startswith(self._places_by_state(id)):
                yield f"I1: {id!r} has the state {self.state.get(id)!r}, but is here: {found}"

    def _places(self) -> dict[str, list[str]]:
        """Where each id is."""
        places: dict[str, list[str]] = {id: [] for id in self.jobs}
        for kind, ids in self.due.items():
            for id in ids:
                places.setdefault(id, []).append(f"waits as {kind}")
        for worker, deliveries in self.processing.items():
            for delivery in deliveries:
                places.setdefault(id_of(delivery), []).append(f"held by {worker}")
        for (status, kind), ended in self.finished.items():
            for id in ended:
                places.setdefault(id, []).append(f"{status} {kind}")
        return places

    def _places_by_state(self, id: str) -> tuple[str, ...]:
        status = STATUS_OF_LETTER.get(self.state.get(id, b"")[:1].decode())
        return (f"{status} ",) if status else ("waits ", "held ")


# One call, since it comes after every step. By its digest the server might not know it.
_LOOK = """
local reads = {
  hash = {'HGETALL'}, set = {'SMEMBERS'}, string = {'GET'}, list = {'LRANGE', 0, -1},
  zset = {'ZRANGE', 0, -1, 'WITHSCORES'},
}
local found = {redis.call('GET', KEYS[1])}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local verb, first, last, more = unpack(reads[redis.call('TYPE', key).ok])
  if more then
    found[#found + 1] = {key, redis.call(verb, key, first, last, more)}
  elseif first then
    found[#found + 1] = {key, redis.call(verb, key, first, last)}
  else
    found[#found + 1] = {key, redis.call(verb, key)}
  end
end
return found
"""


def look(keys: Keys) -> Call:
    """What to ask for: the clock, and all keys with what they hold."""
    return command("EVAL", _LOOK, 1, clock_key(keys), f"{keys.prefix.decode()}*")


def as_stored(keys: Keys, seen: Any) -> Stored:
    """A queue whole, by the reply to a look."""
    if isinstance(seen, Exception):
        raise seen
    prefix = keys.prefix.decode()
    stored = Stored(int(seen[0] or BEGINNING_US))
    for key, value in sorted(seen[1:]):
        name = key.decode().removeprefix(prefix)
        what, _, more = name.partition(":")
        stored.names.append(name)
        if what in _TAKE:
            _TAKE[what](stored, more, value)
        else:
            stored.unknown.append(name)
    return stored


def _pairs(reply: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    return zip((name.decode() for name in reply[::2]), reply[1::2], strict=True)


def _numbers(reply: Sequence[bytes]) -> dict[str, int]:
    return {name: int(value) for name, value in _pairs(reply)}


def _marked(value: bytes) -> tuple[str, str]:
    first, _, rest = value.decode().partition(" ")
    return first, rest


def _take_finished(stored: Stored, more: str, reply: Any) -> None:
    status, _, kind = more.partition(":")
    stored.finished[status, kind] = {id: int(float(score)) for id, score in _pairs(reply)}


def _take_due(stored: Stored, kind: str, reply: Any) -> None:
    stored.due[kind] = {id: float(score) for id, score in _pairs(reply)}


def _take_timekeeper(stored: Stored, kind: str, reply: Any) -> None:
    time, worker = _marked(reply)
    stored.timekeepers[kind] = (float(time), worker)


def _take_last_chance(stored: Stored, _: str, reply: Any) -> None:
    for id, mark in _pairs(reply):
        deadline, worker = _marked(mark)
        stored.last_chance[id] = (int(deadline), worker)


_TAKE: dict[str, Callable[[Stored, str, Any], None]] = {
    "jobs": lambda stored, _, reply: stored.jobs.update(_pairs(reply)),
    "state": lambda stored, _, reply: stored.state.update(_pairs(reply)),
    "losses": lambda stored, _, reply: stored.losses.update(_numbers(reply)),
    "totals": lambda stored, _, reply: stored.totals.update(_numbers(reply)),
    "meta": lambda stored, _, reply: stored.meta.update(_numbers(reply)),
    "workers": lambda stored, _, reply: stored.workers.update(
        {worker: int(float(score)) for worker, score in _pairs(reply)}
    ),
    "worker-info": lambda stored, _, reply: stored.worker_info.update(_pairs(reply)),
    "kinds": lambda stored, _, reply: stored.kinds.update(kind.decode() for kind in reply),
    "processing": lambda stored, worker, reply: stored.processing.update(
        {worker: [delivery.decode() for delivery in reply]}
    ),
    "bell": lambda stored, kind, reply: stored.bells.update({kind: len(reply)}),
    "request": lambda stored, producer, reply: stored.requests.update({producer: reply.decode()}),
    "finished": _take_finished,
    "due": _take_due,
    "timekeeper": _take_timekeeper,
    "last-chance": _take_last_chance,
}
