"""The part of check that looks at keys, kinds and workers.

Each is judged by what was seen of it at one moment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from redisjobs.keys import Keys
from redisjobs.operations.operation import Call, Operation, command, reply_of
from redisjobs.operations.scanning import Walk, all_names
from redisjobs.operations.verdicts import (
    CheckReport,
    KindFacts,
    Report,
    lease_ms,
    on_kind,
    on_meta,
    on_worker,
    shown,
)
from redisjobs.operations.workers import look_at_workers

MOST_KEYS = 2000
MOST_KINDS = 100


class _Shapes:
    """Which keys a queue has, and of which type each is."""

    def __init__(self, keys: Keys) -> None:
        self._prefix = keys.prefix
        due, bell, timekeeper = keys.of_kind("")
        self.due, self.bell, self.processing = due, bell, keys.processing("")
        self.finished = keys.all_finished("")
        self._fixed = {
            keys.jobs: b"hash",
            keys.state: b"hash",
            keys.losses: b"hash",
            keys.totals: b"hash",
            keys.meta: b"hash",
            keys.worker_info: b"hash",
            keys.last_chance: b"hash",
            keys.workers: b"zset",
            keys.waited: b"zset",
            keys.kinds: b"set",
        }
        self._stems = {
            due: b"zset",
            bell: b"list",
            timekeeper: b"string",
            self.processing: b"list",
            keys.request(""): b"string",
            **dict.fromkeys(self.finished, b"zset"),
        }
        self._expiring = (timekeeper, keys.request(""), keys.last_chance, keys.waited)

    def type_of(self, key: bytes) -> bytes | None:
        """The type that this key should have. None: no queue has such a key."""
        if key in self._fixed:
            return self._fixed[key]
        return next((kind for stem, kind in self._stems.items() if key.startswith(stem)), None)

    def must_expire(self, key: bytes) -> bool:
        """Whether this key is forgotten by itself."""
        return key.startswith(self._expiring)

    def kind_of(self, key: bytes) -> bytes | None:
        """The kind of a due set, a finished set or a bell."""
        for stem in (self.due, self.bell, *self.finished):
            if key.startswith(stem):
                return key[len(stem) :]
        return None

    def verdict(self, key: bytes, found: bytes, expiry_ms: int) -> str | None:
        """What is wrong with a key of this type that expires then (-1: never), if anything is."""
        if found == b"none":
            return None
        name, wanted = shown(key[len(self._prefix) :]), self.type_of(key)
        if wanted is None:
            return (
                f"I8: key {name} is none of a queue's, and never expires"
                if expiry_ms == -1
                else None
            )
        if found != wanted:
            return f"keys: {name} is a {found.decode()}, but should be a {wanted.decode()}"
        if self.must_expire(key) and expiry_ms == -1:
            return f"I8: key {name} stays behind: it should expire, but never does"
        return None


@dataclass
class Stored:
    """What there is in a queue.

    Attributes:
        kinds: all that were seen, listed or not.
        sets: keys of due and finished sets, with their kinds.
        lists: workers, registered or not, that have processing lists.
        described: workers, registered or not, that worker-info has.
        lasting: keys that should expire and do not.
        wrong: sentences on single keys.
        is_readable: whether the keys are such that the rest can be examined.
    """

    kinds: list[bytes] = field(default_factory=list)
    sets: dict[bytes, bytes] = field(default_factory=dict)
    lists: list[bytes] = field(default_factory=list)
    described: list[bytes] = field(default_factory=list)
    lasting: list[bytes] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    is_readable: bool = True


def examine_keys(keys: Keys, report: CheckReport) -> Operation[Stored]:
    """Looks at every key of the queue, then at its kinds and its workers."""
    stored = yield from survey(keys, report)
    report.add(stored.wrong)
    if stored.is_readable:
        wrong = yield from look_at_meta(keys)
        report.add(wrong)
        stored.is_readable = not wrong
    if stored.is_readable:
        yield from find_kinds_and_workers(keys, stored, report)
        yield from _examine_kinds(keys, stored, report)
        yield from _examine_workers(keys, stored, report)
    return stored


def look_at_meta(keys: Keys) -> Operation[list[str]]:
    """What is wrong with `meta`, in sentences."""
    replies = yield (command("HGETALL", keys.meta),)
    flat = reply_of(replies)
    return on_meta(dict(zip(flat[::2], flat[1::2], strict=True)))


def find_kinds_and_workers(keys: Keys, stored: Stored, report: Report) -> Operation[None]:
    """Adds the kinds and workers that are listed to those that have keys."""
    listed = yield from all_names(Walk("SSCAN", keys.kinds), 1)
    registered = yield from all_names(Walk("ZSCAN", keys.workers), 2)
    stored.described = yield from all_names(Walk("HSCAN", keys.worker_info), 2)
    stored.kinds = list(dict.fromkeys([*listed, *stored.kinds]))
    stored.lists = list(dict.fromkeys([*registered, *stored.lists]))
    report.note("kinds", len(stored.kinds))
    report.note("workers", len({*stored.lists, *stored.described}))


def survey(keys: Keys, report: Report) -> Operation[Stored]:
    """Looks at every key of the queue by its name, its type and when it expires."""
    stored = Stored()
    shapes = _Shapes(keys)
    kinds: dict[bytes, None] = {}
    lists: dict[bytes, None] = {}
    walk = Walk("SCAN", match=_literally(keys.prefix) + b"*", most=MOST_KEYS)
    seen: set[bytes] = set()
    while not walk.ended:
        chunk = [key for key in (yield from walk.step()) if key not in seen]
        if not chunk:
            continue
        seen.update(chunk)
        replies = yield tuple(command(word, key) for key in chunk for word in ("TYPE", "PTTL"))
        for place, key in enumerate(chunk):
            found, expiry_ms = reply_of(replies, 2 * place), reply_of(replies, 2 * place + 1)
            verdict = shapes.verdict(key, found, expiry_ms)
            if verdict:
                stored.wrong.append(verdict)
                stored.is_readable = stored.is_readable and not verdict.startswith("keys:")
                if shapes.must_expire(key):
                    stored.lasting.append(key)
            kind = shapes.kind_of(key)
            if kind is not None:
                kinds[kind] = None
                if not key.startswith(shapes.bell):
                    stored.sets[key] = kind
            elif key.startswith(shapes.processing):
                lists[key[len(shapes.processing) :]] = None
    report.note("keys", len(seen))
    stored.kinds, stored.lists = list(kinds), list(lists)
    return stored


def _literally(name: bytes) -> bytes:
    """The glob that matches this name alone."""
    return re.sub(rb"([\\*?\[\]^-])", rb"\\\1", name)


def _examine_kinds(keys: Keys, stored: Stored, report: CheckReport) -> Operation[None]:
    for first in range(0, len(stored.kinds), MOST_KINDS):
        part = stored.kinds[first : first + MOST_KINDS]
        stems = (*keys.of_kind("")[:2], *keys.all_finished(""))
        call_keys = [keys.kinds, keys.totals, *(stem + kind for kind in part for stem in stems)]
        replies = yield (Call("kind_keys", call_keys, part),)
        for kind, facts in zip(part, reply_of(replies), strict=True):
            is_listed, due, bell, *counts = facts
            report.add(
                on_kind(
                    KindFacts(kind, bool(is_listed), bool(due), bool(bell), counts[:4], counts[4:])
                )
            )


def _examine_workers(keys: Keys, stored: Stored, report: CheckReport) -> Operation[None]:
    every = list(dict.fromkeys([*stored.lists, *stored.described]))
    seen = yield from look_at_workers(keys, every)
    living = [lease_ms(one) for one in seen if (one.lease_left_us or 0) > 0]
    for one in seen:
        report.add(on_worker(one, living))
