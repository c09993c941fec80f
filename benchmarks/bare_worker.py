"""A worker with the hops of ours and nothing else: it claims by the bare scripts of the floor and
hands what it got to threads, which note how long that was under way or how late it is. Then it
settles, again by the bare script.

    python -m benchmarks.bare_worker URL rung|due THREADS

rung: it blocks on a bell, and claims one job for each token. due: after a token it looks when its
jobs are due, sleeps until then, and claims as many as the server's clock lets it.
"""

from __future__ import annotations

import sys
import time

from benchmarks.bare_threads import BareThreads
from benchmarks.floor import BELL, CLAIM, DUE, KEYS, LARGE_BATCH, SETTLE, Raw, evalsha, load
from benchmarks.journal import note

_CLAIM_DUE = """
local time = redis.call('TIME')
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', time[1] * 1000000 + time[2],
  'LIMIT', 0, ARGV[1])
if #ids == 0 then return {{}, {}} end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, #ids - 1)
redis.call('RPUSH', KEYS[3], unpack(ids))
return {ids, redis.call('HMGET', KEYS[1], unpack(ids))}
"""


def _run_when_rung(raw: Raw, threads: BareThreads) -> None:
    [(ids, records)] = raw.ask(evalsha(CLAIM, KEYS, 1))
    threads.run(records)
    raw.ask(evalsha(SETTLE, KEYS, *ids))


def _run_when_due(raw: Raw, threads: BareThreads) -> None:
    [words] = raw.ask(("ZRANGE", DUE, 0, -1, "WITHSCORES"))
    moments = [float(score) / 1e6 for score in words[1::2]]
    while moments:
        time.sleep(max(0.0, moments[0] - time.time()))
        [(ids, records)] = raw.ask(evalsha(_CLAIM_DUE, KEYS, LARGE_BATCH))
        if ids:
            threads.run(records)
            raw.ask(evalsha(SETTLE, KEYS, *ids))
            del moments[: len(ids)]


_RUNS = {"rung": (_run_when_rung, time.monotonic), "due": (_run_when_due, time.time)}


def main() -> None:
    """Runs until SIGTERM."""
    raw, (run, clock) = Raw(sys.argv[1]), _RUNS[sys.argv[2]]
    threads = BareThreads(int(sys.argv[3]), lambda record: note(clock() - float(record[:20])))
    load(raw, CLAIM, _CLAIM_DUE, SETTLE)
    while True:
        raw.ask(("BLPOP", BELL, 0))
        run(raw, threads)


if __name__ == "__main__":
    main()
