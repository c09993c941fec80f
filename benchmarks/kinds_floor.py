"""The limit of a queue with kinds: the bare scripts of the floor with a due set for each kind. A
call claims from as many kinds as most of those of redisjobs do, and never asks an empty one, since
it knows what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from benchmarks.floor import (
    HELD,
    JOBS,
    KEYS,
    LARGE_BATCH,
    SETTLE,
    Calls,
    Command,
    Raw,
    evalsha,
    leave,
    load,
    moved,
    with_records,
)
from benchmarks.servers import Served
from redisjobs.worker.kinds_in_turn import MANY

_ENQUEUE = """
local records, at = {}, 1
for kind = 2, #KEYS do
  local scores, last = {}, at + 2 * ARGV[at]
  for index = at + 1, last, 2 do
    records[#records + 1], records[#records + 2] = ARGV[index], ARGV[index + 1]
    scores[#scores + 1], scores[#scores + 2] = 1, ARGV[index]
  end
  redis.call('ZADD', KEYS[kind], unpack(scores))
  at = last + 1
end
redis.call('HSET', KEYS[1], unpack(records))
return 1
"""
_CLAIM = """
local ids = {}
for kind = 3, #KEYS do
  local found = redis.call('ZRANGE', KEYS[kind], 0, ARGV[1] - 1)
  if #found > 0 then
    redis.call('ZREMRANGEBYRANK', KEYS[kind], 0, #found - 1)
    for _, id in ipairs(found) do
      ids[#ids + 1] = id
    end
  end
end
if #ids == 0 then return {{}, {}} end
redis.call('RPUSH', KEYS[2], unpack(ids))
return {ids, redis.call('HMGET', KEYS[1], unpack(ids))}
"""


class _InTurn:
    """Which due sets a claim asks: those whose turn is longest ago, of those that have jobs."""

    def __init__(self, kinds: int) -> None:
        self._dues = [b"floor:due:%03d" % kind for kind in range(kinds)]
        self._left = dict.fromkeys(self._dues, 0)

    def enqueue(self, ids: Sequence[bytes]) -> Command:
        """Jobs of all kinds in turn. Each call begins with the first kind."""
        keys, words = [JOBS], list[bytes]()
        for place, due in enumerate(self._dues):
            if of_kind := ids[place :: len(self._dues)]:
                keys.append(due)
                words += [b"%d" % len(of_kind), *with_records(of_kind)]
                self._left[due] += len(of_kind)
        return evalsha(_ENQUEUE, keys, *words)

    def claim(self) -> Command:
        """The same number of each, so many in all as one call claims."""
        asked = list(islice(self._left, MANY))
        share = LARGE_BATCH // max(1, len(asked))
        for due in asked:
            left = self._left.pop(due) - share
            if left > 0:
                self._left[due] = left
        return evalsha(_CLAIM, (JOBS, HELD, *asked), share)


def scripts_with_kinds(served: Served, jobs: int, kinds: int) -> dict[str, float]:
    """As `floor.scripts`, with calls of 1,000 jobs of so many kinds."""
    raw, in_turn = Raw(served.url), _InTurn(kinds)
    load(raw, _ENQUEUE, _CLAIM, SETTLE)
    calls = Calls(in_turn.enqueue, in_turn.claim, lambda ids: evalsha(SETTLE, KEYS, *ids))
    row = moved(raw, served, calls, jobs, LARGE_BATCH)
    leave(raw, served)
    return row
