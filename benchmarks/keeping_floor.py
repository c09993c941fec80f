"""The limit of a queue that keeps the records of jobs that are done: the bare scripts of the floor,
of which the one that settles writes and sheds what redisjobs does with its default retention.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.floor import (
    CLAIM,
    DUE,
    ENQUEUE,
    HELD,
    JOBS,
    KEYS,
    Calls,
    Raw,
    evalsha,
    load,
    moved,
    with_records,
)
from benchmarks.servers import Served

LIMIT = 10_000  # as many as redisjobs keeps of a kind by default
_STATES, _FINISHED = b"floor:states", b"floor:finished"
_BODY = b"x" * 21  # as long as that of a job that is done and has no result

_SETTLE = """
redis.call('LTRIM', KEYS[1], #ARGV / 2, -1)
local time = redis.call('TIME')
local ended = time[1] .. string.format('%06d', time[2])
local states, scores = {}, {}
for index = 1, #ARGV, 2 do
  states[index], states[index + 1] = ARGV[index], 'D1:' .. ended .. ':' .. ARGV[index + 1]
  scores[index], scores[index + 1] = ended, ARGV[index]
end
redis.call('HSET', KEYS[3], unpack(states))
redis.call('ZADD', KEYS[4], unpack(scores))
local over = redis.call('ZCARD', KEYS[4]) - LIMIT
if over <= 0 then return 0 end
local old = redis.call('ZRANGE', KEYS[4], 0, over - 1)
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, over - 1)
redis.call('HDEL', KEYS[2], unpack(old))
return redis.call('HDEL', KEYS[3], unpack(old))
""".replace("LIMIT", str(LIMIT))


def _outcomes(ids: Sequence[bytes]) -> Iterator[bytes]:
    return (word for id in ids for word in (id, _BODY))


def scripts_that_keep(served: Served, jobs: int, batch: int) -> dict[str, float]:
    """As `floor.scripts`; of the jobs that are done a state and an entry in a sorted set are kept,
    and the oldest make room.
    """
    raw = Raw(served.url)
    load(raw, ENQUEUE, CLAIM, _SETTLE)
    kept = (HELD, JOBS, _STATES, _FINISHED)
    calls = Calls(
        enqueue=lambda ids: evalsha(ENQUEUE, KEYS, *with_records(ids)),
        claim=lambda: evalsha(CLAIM, KEYS, batch),
        settle=lambda ids: evalsha(_SETTLE, kept, *_outcomes(ids)),
    )
    row = moved(raw, served, calls, jobs, batch)
    left = raw.ask(("HLEN", JOBS), ("HLEN", _STATES), ("ZCARD", _FINISHED), ("EXISTS", DUE, HELD))
    raw.close()
    kept_of_all = min(jobs, LIMIT)
    assert left == [kept_of_all, kept_of_all, kept_of_all, 0], f"the floor left {left}"
    return row
