"""Enqueueing one by one, against a bare EVALSHA loop of redis-py that sends the same script."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

from benchmarks.floor import PAYLOAD
from benchmarks.servers import Served
from redisjobs import Job, RedisQueue
from redisjobs.operations.enqueue import enqueue
from redisjobs.operations.library import standard
from redisjobs.record import encode_job

_SLICES = 10
_NUMBER = 987_654_321  # stands where the number of the call goes


def _bare(served: Served, queue: RedisQueue) -> Iterator[None]:
    """Each `next()` sends the script for one job, with everything but id and number made before."""
    encoded = encode_job(Job("bare", PAYLOAD, id="ID"), 1, len(PAYLOAD))
    [call] = next(enqueue(queue.keys, "bare", _NUMBER, [encoded]))
    assert call.script is not None
    words = [*call.keys, *call.arguments]
    number_at, id_at = words.index(_NUMBER), words.index("ID")
    sha = served.client.script_load(standard()[call.script].text)
    evalsha, key_count = served.client.evalsha, len(call.keys)
    for number in itertools.count(1):
        words[number_at], words[id_at] = number, f"bare-{number:020}"
        evalsha(sha, key_count, *words)
        yield


def _seconds(step: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        step()
    return time.perf_counter() - began


def one_by_one(served: Served, jobs: int) -> dict[str, float]:
    """Both loops in turns, so that what disturbs one disturbs the other."""
    queue = RedisQueue.from_url(served.url, "producing", retention=0)
    bare = _bare(served, queue)
    slice_jobs = max(1, jobs // _SLICES)

    def ours() -> object:
        return queue.enqueue(Job("ours", PAYLOAD))

    ours()
    next(bare)
    ours_s = bare_s = ours_cpu_s = 0.0
    for _ in range(_SLICES):
        before = time.process_time()
        ours_s += _seconds(ours, slice_jobs)
        ours_cpu_s += time.process_time() - before
        bare_s += _seconds(lambda: next(bare), slice_jobs)
    done = _SLICES * slice_jobs
    stats = queue.stats()
    assert stats.kinds["ours"].ready == done + 1, stats.kinds
    assert stats.kinds["bare"].ready == done + 1, stats.kinds
    queue.close()
    return {
        "enqueue_per_s": done / ours_s,
        "bare_per_s": done / bare_s,
        "of_bare": bare_s / ours_s,
        "producer_cpu_us": ours_cpu_s * 1e6 / done,
    }
