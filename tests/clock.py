"""A library of scripts whose clock tests can move, and the hand that moves it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from redisjobs.operations.library import Library

if TYPE_CHECKING:
    import redis

    from redisjobs.keys import Keys

# TIME plus an offset, so it goes on by itself: with a frozen clock the jobs of one call, which are
# a quarter of a microsecond apart, would not all be ready.
_NOW = """
local function now()
  local time = redis.call('TIME')
  local offset = redis.call('GET', 'test-clock-offset-us:' .. string.match(KEYS[1], '{.-}'))
  return time[1] * 1000000 + time[2] + tonumber(offset or 0)
end
"""
_FORGOTTEN_AFTER_S = 3600


def library_with_moving_clock() -> Library:
    """The scripts, with a clock that a `Clock` of the same queue can move.

    Lines(client, library_with_moving_clock())
    """
    return Library(replaced={"now": _NOW})


class Clock:
    """The server's clock as the scripts of one queue see it.

    Its offset stands beside the queue's keys, not among them, so that nothing mistakes it for data.
    """

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client = client
        self._key = f"test-clock-offset-us:{{{keys.name}}}"

    def advance(self, by: timedelta) -> None:
        """Move it; a negative `by` is a step back."""
        self._client.incrby(self._key, by // timedelta(microseconds=1))
        self._client.expire(self._key, _FORGOTTEN_AFTER_S)

    @property
    def now_us(self) -> int:
        """What it shows, in microseconds."""
        seconds, microseconds = self._client.time()
        return int(seconds * 1_000_000 + microseconds + int(self._client.get(self._key) or 0))

    def reset(self) -> None:
        """Take all moves back."""
        self._client.delete(self._key)
