"""Looks at the whole queue at one moment, again and again: is a job in two places?

It also sees until when each worker was known to Redis, so that the ledger can tell a job that was
taken from a dead or silent worker from one that was handed out twice.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import redis

from redisjobs.errors import RedisJobsError
from redisjobs.keys import Keys
from tests.chaos.jobs import KINDS
from tests.chaos.setting import QUEUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from redisjobs import RedisQueue

SAMPLE_EVERY_S = 0.05
CHECK_EVERY_S = 5.0
_SENTENCES = 100
# While workers and Redis stand still leases lapse, and nobody reaps: judged at the end.
_LAPSED = "leases: the lease of"

# Its lists are those of the workers at that very moment, so they cannot be named beforehand.
_LOOK = """
local workers, state = KEYS[1], KEYS[2]
local held, alive, wrong = {}, {}, {}
for _, list in ipairs(redis.call('ZRANGE', workers, 0, -1)) do
  if tonumber(redis.call('ZSCORE', workers, list)) > 0 then
    alive[#alive + 1] = list
  end
  for _, delivery in ipairs(redis.call('LRANGE', KEYS[3] .. list, 0, -1)) do
    local id = string.match(delivery, '^%d+:(.*)$')
    if held[id] then
      wrong[#wrong + 1] = id .. ' is held by ' .. list .. ' and by ' .. held[id]
    end
    held[id] = list
  end
end
for id, list in pairs(held) do
  for index = 4, #KEYS do
    if redis.call('ZSCORE', KEYS[index], id) then
      wrong[#wrong + 1] = id .. ' is held by ' .. list .. ' and waits'
    end
  end
  local ended = string.match(redis.call('HGET', state, id) or 'P', '^[^P]')
  if ended then
    wrong[#wrong + 1] = id .. ' is held by ' .. list .. ' and has ended as ' .. ended
  end
end
return {alive, wrong}
"""


class Watch:
    """Two threads: one samples places, one has the queue check itself.

    Attributes:
        samples, checks: how many there were.
        doubly_held: what was seen in two places.
        broken: the invariants that check() found broken.
        last_alive: by worker, when it was last seen with its jobs its own.
    """

    def __init__(self, url: str, queue: RedisQueue, check_every_s: float = CHECK_EVERY_S) -> None:
        self._check_every_s = check_every_s
        self._client: Any = redis.Redis.from_url(url, socket_timeout=5.0)
        self._queue = queue
        self._stopped = threading.Event()
        self.samples = self.checks = 0
        self.doubly_held: dict[str, float] = {}
        self.broken: dict[str, float] = {}
        self.last_alive: dict[str, float] = {}
        keys = Keys(QUEUE)
        self._keys = [keys.workers, keys.state, keys.processing(""), *map(keys.due, KINDS)]
        self._threads = [
            threading.Thread(target=self._repeat, args=(self.sample, lambda: SAMPLE_EVERY_S)),
            threading.Thread(target=self._repeat, args=(self.check, self._until_next_check)),
        ]
        self._check_took_s = 0.0

    def start(self) -> None:
        """Begins to look."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends both threads."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        """Gives the connection back."""
        self._client.close()

    @property
    def has_found(self) -> bool:
        """Whether something is wrong."""
        return bool(self.doubly_held or self.broken)

    def _until_next_check(self) -> float:
        # It reads all that is stored, which grows.
        return max(self._check_every_s, 4 * self._check_took_s)

    def _repeat(self, look: Callable[[], None], pause_s: Callable[[], float]) -> None:
        while not self._stopped.wait(pause_s()):
            # Redis may be away, which is part of the storm.
            with contextlib.suppress(redis.RedisError, RedisJobsError):
                look()

    def sample(self) -> None:
        """Looks once."""
        asked_at = time.monotonic()
        alive, wrong = self._client.eval(_LOOK, len(self._keys), *self._keys)
        self.samples += 1
        for worker in alive:
            self.last_alive[worker.decode()] = asked_at
        for sentence in wrong[:_SENTENCES]:
            self.doubly_held.setdefault(sentence.decode(), asked_at)

    def check(self) -> None:
        """Has the queue check itself once."""
        began = time.monotonic()
        report = self._queue.check()
        self.checks += 1
        self._check_took_s = time.monotonic() - began
        for sentence in report[:_SENTENCES]:
            if not sentence.startswith(_LAPSED):
                self.broken.setdefault(sentence, began)
