"""The limit: what bare scripts and plain commands reach that move the same data, and nothing else.

They keep no lease, check no lock and know no losses: no queue could be made of them.
"""

from __future__ import annotations

import hashlib
import itertools
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import urlsplit

import hiredis

from benchmarks.servers import Served
from redisjobs import Job
from redisjobs.record import encode_job

BATCH = 100
LARGE_BATCH = 1000  # as many as a worker of redisjobs claims and settles at most
_READ_BYTES = 2**20
PAYLOAD = b"x" * 105
MARK = 2**31  # as long as nearly all marks are
RECORD = encode_job(Job("noop", PAYLOAD), MARK, len(PAYLOAD)).record
_JOBS, _DUE, _HELD = b"floor:jobs", b"floor:due", b"floor:held"

_ENQUEUE = """
local records, scores = {}, {}
for index = 1, #ARGV, 2 do
  records[index], records[index + 1] = ARGV[index], ARGV[index + 1]
  scores[index], scores[index + 1] = 1, ARGV[index]
end
redis.call('HSET', KEYS[1], unpack(records))
redis.call('ZADD', KEYS[2], unpack(scores))
return 1
"""
_CLAIM = """
local ids = redis.call('ZRANGE', KEYS[2], 0, ARGV[1] - 1)
if #ids == 0 then return {{}, {}} end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, #ids - 1)
redis.call('RPUSH', KEYS[3], unpack(ids))
return {ids, redis.call('HMGET', KEYS[1], unpack(ids))}
"""
_SETTLE = """
redis.call('LTRIM', KEYS[3], #ARGV, -1)
return redis.call('HDEL', KEYS[1], unpack(ARGV))
"""


class Raw:
    """A socket to the server and nothing around it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port or 6379))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def close(self) -> None:
        """Closes it."""
        self._socket.close()

    def ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """One round trip of any number of commands."""
        self._socket.sendall(b"".join(hiredis.pack_command(words) for words in commands))
        replies: list[Any] = []
        while len(replies) < len(commands):
            reply = self._reader.gets()
            if reply is False:
                self._reader.feed(self._socket.recv(_READ_BYTES))
            elif isinstance(reply, Exception):
                raise reply
            else:
                replies.append(reply)
        return replies


def _ids(jobs: int, batch: int) -> Iterator[Sequence[bytes]]:
    ids = (b"%020d" % place for place in range(jobs))  # as long as those that redisjobs makes
    while part := list(itertools.islice(ids, batch)):
        yield part


def _leave(raw: Raw, served: Served) -> None:
    raw.close()
    assert served.client.dbsize() == 0, "the floor left something behind"


def _rates(
    jobs: int, filled_s: float, drained_s: float, redis_us: float, done: int | None = None
) -> dict[str, float]:
    done = done or jobs
    return {
        "bulk_per_s": jobs / filled_s,
        "jobs_per_s": done / drained_s,
        "redis_cpu_us": redis_us / done,
    }


def scripts(served: Served, jobs: int, batch: int = BATCH, until_left: int = 0) -> dict[str, float]:
    """The scripted floor: three scripts, each job enqueued, claimed and settled, settle and claim
    in one round trip. `until_left`: stop when so many are left.
    """
    raw = Raw(served.url)
    keys = (3, _JOBS, _DUE, _HELD)

    def call(text: str, *arguments: Any) -> tuple[Any, ...]:
        digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        return ("EVALSHA", digest, *keys, *arguments)

    for text in (_ENQUEUE, _CLAIM, _SETTLE):
        raw.ask(("SCRIPT", "LOAD", text))
    used, began = served.cpu_us(), time.monotonic()
    for ids in _ids(jobs, batch):
        raw.ask(call(_ENQUEUE, *(word for id in ids for word in (id, RECORD))))
    filled, filled_us = time.monotonic(), served.cpu_us()
    [(ids, _)] = raw.ask(call(_CLAIM, batch))
    done = 0
    while ids and done < jobs - until_left:
        done += len(ids)
        _, (ids, _) = raw.ask(call(_SETTLE, *ids), call(_CLAIM, batch))
    drained, drained_us = time.monotonic(), served.cpu_us()
    if until_left:
        raw.close()
    else:
        _leave(raw, served)
    rates = _rates(jobs, filled - began, drained - filled, drained_us - filled_us, done)
    return {
        **rates,
        "fill_redis_us": (filled_us - used) / jobs,
        "redis_life_us": (drained_us - used) / jobs,
    }


def pings(served: Served, connections: int, per_s: float, seconds: float) -> float:
    """Many connections in turn, each with a PING and nothing else: percent of a core that the
    server uses for so many a second.
    """
    number = max(1, int(per_s * seconds))
    with ExitStack() as stack:
        raws = [stack.enter_context(closing(Raw(served.url))) for _ in range(connections)]
        used, began = served.cpu_us(), time.monotonic()
        for place, raw in zip(range(1, number + 1), itertools.cycle(raws), strict=False):
            raw.ask(("PING",))
            time.sleep(max(0.0, began + place * seconds / number - time.monotonic()))
        return (served.cpu_us() - used) / (time.monotonic() - began) / 1e4


def commands(served: Served, jobs: int, batch: int = BATCH) -> dict[str, float]:
    """The same data moved by plain pipelined commands, each over many jobs."""
    raw = Raw(served.url)
    used, began = served.cpu_us(), time.monotonic()
    for ids in _ids(jobs, batch):
        raw.ask(
            ("HSET", _JOBS, *(word for id in ids for word in (id, RECORD))),
            ("ZADD", _DUE, *(word for id in ids for word in (1, id))),
        )
    filled, filled_us = time.monotonic(), served.cpu_us()
    while popped := raw.ask(("ZPOPMIN", _DUE, batch))[0]:
        ids = popped[::2]
        raw.ask(("RPUSH", _HELD, *ids), ("HMGET", _JOBS, *ids))
        raw.ask(("LTRIM", _HELD, len(ids), -1), ("HDEL", _JOBS, *ids))
    drained, drained_us = time.monotonic(), served.cpu_us()
    _leave(raw, served)
    rates = _rates(jobs, filled - began, drained - filled, drained_us - filled_us)
    return {**rates, "redis_life_us": (drained_us - used) / jobs}


def single_commands(served: Served, jobs: int, batch: int = BATCH) -> dict[str, float]:
    """The same data moved by plain commands for one job each, pipelined."""
    raw = Raw(served.url)
    used, began = served.cpu_us(), time.monotonic()
    for ids in _ids(jobs, batch):
        raw.ask(
            *(("HSET", _JOBS, id, RECORD) for id in ids), *(("ZADD", _DUE, 1, id) for id in ids)
        )
    filled, filled_us = time.monotonic(), served.cpu_us()
    for ids in _ids(jobs, batch):
        raw.ask(*(("ZPOPMIN", _DUE) for _ in ids))
        raw.ask(*(("RPUSH", _HELD, id) for id in ids), *(("HGET", _JOBS, id) for id in ids))
        raw.ask(*(("LPOP", _HELD) for _ in ids), *(("HDEL", _JOBS, id) for id in ids))
    drained, drained_us = time.monotonic(), served.cpu_us()
    _leave(raw, served)
    rates = _rates(jobs, filled - began, drained - filled, drained_us - filled_us)
    return {**rates, "redis_life_us": (drained_us - used) / jobs}
