"""The limit: what bare scripts and plain commands reach that move the same data, and nothing else.

They keep no lease, check no lock and know no losses: no queue could be made of them.
"""

from __future__ import annotations

import hashlib
import itertools
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any, NamedTuple
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
JOBS, DUE, HELD, BELL = b"floor:jobs", b"floor:due", b"floor:held", b"floor:bell"
KEYS = (JOBS, DUE, HELD)

ENQUEUE = """
local records, scores = {}, {}
for index = 1, #ARGV, 2 do
  records[index], records[index + 1] = ARGV[index], ARGV[index + 1]
  scores[index], scores[index + 1] = 1, ARGV[index]
end
redis.call('HSET', KEYS[1], unpack(records))
redis.call('ZADD', KEYS[2], unpack(scores))
return 1
"""
CLAIM = """
local ids = redis.call('ZRANGE', KEYS[2], 0, ARGV[1] - 1)
if #ids == 0 then return {{}, {}} end
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, #ids - 1)
redis.call('RPUSH', KEYS[3], unpack(ids))
return {ids, redis.call('HMGET', KEYS[1], unpack(ids))}
"""
SETTLE = """
redis.call('LTRIM', KEYS[3], #ARGV, -1)
return redis.call('HDEL', KEYS[1], unpack(ARGV))
"""

Command = tuple[Any, ...]


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

    def ask(self, *commands: Command) -> list[Any]:
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


def leave(raw: Raw, served: Served) -> None:
    """Closes it; nothing may be there any more."""
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


def evalsha(text: str, keys: Sequence[bytes], *arguments: Any) -> Command:
    """The call of a script that the server knows."""
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return ("EVALSHA", digest, len(keys), *keys, *arguments)


def load(raw: Raw, *texts: str) -> None:
    """Has the server know these scripts."""
    raw.ask(*(("SCRIPT", "LOAD", text) for text in texts))


class Calls(NamedTuple):
    """What a floor of scripts sends: to enqueue and to settle these ids, and to claim some."""

    enqueue: Callable[[Sequence[bytes]], Command]
    claim: Callable[[], Command]
    settle: Callable[[Sequence[bytes]], Command]


def moved(
    raw: Raw, served: Served, calls: Calls, jobs: int, batch: int, until_left: int = 0
) -> dict[str, float]:
    """Each job enqueued, claimed and settled, settle and claim in one round trip. `until_left`:
    stop when so many are left.
    """
    used, began = served.cpu_us(), time.monotonic()
    for ids in _ids(jobs, batch):
        raw.ask(calls.enqueue(ids))
    filled, filled_us = time.monotonic(), served.cpu_us()
    [(ids, _)] = raw.ask(calls.claim())
    done = 0
    while ids and done < jobs - until_left:
        done += len(ids)
        _, (ids, _) = raw.ask(calls.settle(ids), calls.claim())
    drained, drained_us = time.monotonic(), served.cpu_us()
    rates = _rates(jobs, filled - began, drained - filled, drained_us - filled_us, done)
    return {
        **rates,
        "fill_redis_us": (filled_us - used) / jobs,
        "redis_life_us": (drained_us - used) / jobs,
    }


def with_records(ids: Sequence[bytes]) -> Iterator[bytes]:
    """The words that enqueue them."""
    return (word for id in ids for word in (id, RECORD))


def scripts(served: Served, jobs: int, batch: int = BATCH, until_left: int = 0) -> dict[str, float]:
    """The scripted floor: three scripts. `until_left`: stop when so many are left."""
    raw = Raw(served.url)
    load(raw, ENQUEUE, CLAIM, SETTLE)
    calls = Calls(
        enqueue=lambda ids: evalsha(ENQUEUE, KEYS, *with_records(ids)),
        claim=lambda: evalsha(CLAIM, KEYS, batch),
        settle=lambda ids: evalsha(SETTLE, KEYS, *ids),
    )
    row = moved(raw, served, calls, jobs, batch, until_left)
    if until_left:
        raw.close()
    else:
        leave(raw, served)
    return row


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
            ("HSET", JOBS, *(word for id in ids for word in (id, RECORD))),
            ("ZADD", DUE, *(word for id in ids for word in (1, id))),
        )
    filled, filled_us = time.monotonic(), served.cpu_us()
    while popped := raw.ask(("ZPOPMIN", DUE, batch))[0]:
        ids = popped[::2]
        raw.ask(("RPUSH", HELD, *ids), ("HMGET", JOBS, *ids))
        raw.ask(("LTRIM", HELD, len(ids), -1), ("HDEL", JOBS, *ids))
    drained, drained_us = time.monotonic(), served.cpu_us()
    leave(raw, served)
    rates = _rates(jobs, filled - began, drained - filled, drained_us - filled_us)
    return {**rates, "redis_life_us": (drained_us - used) / jobs}


def single_commands(served: Served, jobs: int, batch: int = BATCH) -> dict[str, float]:
    """The same data moved by plain commands for one job each, pipelined."""
    raw = Raw(served.url)
    used, began = served.cpu_us(), time.monotonic()
    for ids in _ids(jobs, batch):
        raw.ask(*(("HSET", JOBS, id, RECORD) for id in ids), *(("ZADD", DUE, 1, id) for id in ids))
    filled, filled_us = time.monotonic(), served.cpu_us()
    for ids in _ids(jobs, batch):
        raw.ask(*(("ZPOPMIN", DUE) for _ in ids))
        raw.ask(*(("RPUSH", HELD, id) for id in ids), *(("HGET", JOBS, id) for id in ids))
        raw.ask(*(("LPOP", HELD) for _ in ids), *(("HDEL", JOBS, id) for id in ids))
    drained, drained_us = time.monotonic(), served.cpu_us()
    leave(raw, served)
    rates = _rates(jobs, filled - began, drained - filled, drained_us - filled_us)
    return {**rates, "redis_life_us": (drained_us - used) / jobs}
