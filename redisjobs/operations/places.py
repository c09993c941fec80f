"""places: what is stored of ids and where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from redisjobs.keys import Keys
from redisjobs.operations.operation import Call, Operation, reply_of
from redisjobs.operations.verdicts import Facts

MOST_IDS = 300
# How many look-ups one call makes that looks everywhere.
MOST_LOOKUPS = 5000
# Workers and kinds come and go: how often a look begins anew because of one that it did not know.
MOST_TRIES = 20


def look_near(keys: Keys, ids: Sequence[bytes], kinds: Iterable[bytes]) -> Operation[list[Facts]]:
    """Looks ids up in the sets of each job's own kind alone.

    Stops early where new kinds come faster than it looks. `kinds`: those to expect; others are
    learnt.
    """
    return _look(keys, "own", ids, dict.fromkeys(kinds), {})


def look_everywhere(
    keys: Keys, ids: Sequence[bytes], kinds: Iterable[bytes], workers: Iterable[bytes]
) -> Operation[list[Facts]]:
    """Looks ids up in all sets and lists, each id at one moment.

    Stops early where new workers or kinds come faster than it looks. `kinds`, and `workers` that
    may have processing lists: as far as they are known; others are learnt.
    """
    return _look(keys, "all", ids, dict.fromkeys(kinds), dict.fromkeys(workers))


def _look(
    keys: Keys,
    where: str,
    ids: Sequence[bytes],
    kinds: dict[bytes, None],
    workers: dict[bytes, None],
) -> Operation[list[Facts]]:
    found: list[Facts] = []
    tries = 0
    while len(found) < len(ids) and tries < MOST_TRIES:
        size = MOST_IDS
        if where == "all":
            size = max(1, min(size, MOST_LOOKUPS // (5 * len(kinds) + 1)))
        part = ids[len(found) : len(found) + size]
        call = _call(keys, where, list(kinds), list(workers), part)
        code, *values = reply_of((yield (call,)))
        tries += 1
        if code == b"kind":
            kinds.update(dict.fromkeys(values))
        elif code == b"worker":
            workers.update(dict.fromkeys(values))
        else:
            found += _facts(keys, call, part, values)
            tries = 0
    return found


def _call(
    keys: Keys, where: str, kinds: list[bytes], workers: list[bytes], ids: Sequence[bytes]
) -> Call:
    call_keys = [keys.jobs, keys.state, keys.losses, keys.meta, keys.workers]
    stems = (keys.due(""), *keys.all_finished(""))
    call_keys += (stem + kind for kind in kinds for stem in stems)
    stem = keys.processing("")
    call_keys += (stem + worker for worker in workers)
    return Call("places", call_keys, [len(kinds), where, len(workers), *kinds, *workers, *ids])


def _facts(
    keys: Keys, call: Call, ids: Sequence[bytes], values: Sequence[Sequence[Any]]
) -> list[Facts]:
    """What a reply tells of the first of these ids."""
    cut = len(keys.prefix)
    return [
        Facts(
            name, kind, letter, past == 1, lost == 1,
            tuple(sorted(call.keys[place - 1][cut:] for place in places)),
        )
        for name, (kind, letter, past, lost, *places) in zip(ids, values, strict=False)
    ]  # fmt: skip
