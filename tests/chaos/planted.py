"""Bugs that a queue could have, for the storm to find: planted in its processes, one at a time.

They are changes of the scripts' text, or of what a worker does; nothing of them is in the package.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from redisjobs.operations.library import Library, Script
from redisjobs.worker import held, pump
from tests.planted_edits import STORES_WHAT_IS_NEW, TAKES_BY_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redisjobs import AsyncRedisQueue, RedisQueue

Edit = tuple[str, str]

_WRITES_FIRST = """if group.letter ~= 'P' then
      local id = string.match(delivery, ':(.*)$')
      redis.call('HSET', STATE, id, group.letter .. '1:' .. integer(time) .. ':')
    end
    if wanted[delivery] == 'held' then"""

# The hosts' clocks are up to 15 hours ahead of the server's, by what the worker's id ends with.
_BY_ITS_OWN_CLOCK = " + (tonumber(string.sub(worker, -1), 16) or 0) * 3600000000), worker)"

SCRIPTS: Mapping[str, Mapping[str, Sequence[Edit]]] = {
    "no fence": {
        "settle": [("if wanted[delivery] == 'held' then", "if wanted[delivery] then")],
    },
    "reap without moving the jobs": {
        "reap": [("    to_head(KEYS", "    local _ = tostring(KEYS")],
    },
    "a settle that writes before it checks": {
        "settle": [("if wanted[delivery] == 'held' then", _WRITES_FIRST)],
    },
    "ids instead of tokens": {
        "settle": [("take_out(PROCESSING, wanted, outcome_count)", TAKES_BY_ID)],
    },
    "an enqueue that is not atomic": {
        "enqueue": [("if #refused > 0 then", STORES_WHAT_IS_NEW)],
    },
    "a lease by the client's clock": {
        "register": [
            ("integer(now() + lease_us), worker)", "integer(now() + lease_us" + _BY_ITS_OWN_CLOCK)
        ],
        "beat": [
            (
                "integer(time + tonumber(ARGV[2])), worker)",
                "integer(time + tonumber(ARGV[2])" + _BY_ITS_OWN_CLOCK,
            )
        ],
    },
}


class EditedLibrary(Library):
    """The scripts, with parts of their text replaced."""

    def __init__(self, edits: Mapping[str, Sequence[Edit]]) -> None:
        super().__init__()
        self._edits = edits

    def __getitem__(self, name: str) -> Script:
        script = super().__getitem__(name)
        text = script.text.decode()
        for old, new in self._edits.get(name, ()):
            if old not in text:
                raise LookupError(f"{name} has no {old!r} any more: adapt the edit")
            text = text.replace(old, new)
        body = text.encode()
        sha = hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()
        return Script(name, body, sha)


def _forget_orphans() -> None:
    """A claim whose reply was lost is nobody's: what stands in the list unknown is left there."""
    sound = held.Held.reconcile

    def reconcile(self: held.Held, listed: Sequence[str]) -> held.Reconciled:
        return sound(self, listed)._replace(orphans=[])

    _replace(held.Held, "reconcile", reconcile)


def _forget_lost_settles() -> None:
    """What a settle said whose reply was lost is not said again."""
    sound = pump.Pump._recover

    def recover(self: pump.Pump) -> None:
        self._held.settled(self._held.to_settle(10**6))
        sound(self)

    _replace(pump.Pump, "_recover", recover)


def _replace(owner: Any, name: str, value: object) -> None:
    setattr(owner, name, value)


_HABITS: Mapping[str, Callable[[], None]] = {
    "a claim that forgets its orphans": _forget_orphans,
    "no retry of a lost settle": _forget_lost_settles,
}

BUGS = (*SCRIPTS, *_HABITS)


def plant(bug: str, queue: RedisQueue | AsyncRedisQueue) -> None:
    """Has this process work with the bug, over this queue. '' plants none."""
    if bug in SCRIPTS:
        queue.lines._library = EditedLibrary(SCRIPTS[bug])
    elif bug:
        _HABITS[bug]()
