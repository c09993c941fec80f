"""Ends the connections to a server that is the primary no more.

Where a failover is asked for while the primary is well, Redis goes on for about ten seconds as if
nothing had happened: what is written to the old primary meanwhile is thrown away, and its clients
learn of nothing. Sentinels tell of the switch at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import redis

from redisjobs.errors import ConfigurationError
from redisjobs.generation import generation
from redisjobs.sentinel import NoPrimaryError, Primary, Sentinels

CHANNEL = "+switch-master"
# A Sentinel is heard this long, then another connection is made: the old one may be half open, or
# its Sentinel cut off from the others.
HEARD_FOR_S = 10.0
# How often it is looked whether there is still a connection to end.
LOOK_EVERY_S = 1.0
_ASK_S = 1.0


class Watch:
    """Hears the Sentinels on a thread of its own, as long as there are connections to end."""

    def __init__(self, sentinels: Sentinels) -> None:
        self._sentinels = sentinels
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Without thread and connections, as the child of a fork has to."""
        self._generation = generation()
        self._ends: WeakKeyDictionary[Any, Callable[[], None]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._runs = False

    def cover(self, connection: Any, end: Callable[[], None]) -> None:
        """Has an open connection ended when another server is the primary.

        Args:
            connection: what has the `host` and `port`; covered until nobody refers to it.
            end: ends it, from any thread, and does not refer to it.
        """
        if self._generation != generation():
            self._begin_anew()
        with self._lock:
            self._ends[connection] = end
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="redisjobs-sentinels", daemon=True).start()

    def _run(self) -> None:
        while self._is_needed():
            try:
                self._hear()
            except (NoPrimaryError, ConfigurationError, redis.RedisError, OSError):
                time.sleep(LOOK_EVERY_S)  # a failover, or Sentinels that are away: both pass

    def _is_needed(self) -> bool:
        with self._lock:
            self._runs = bool(self._ends)
            return self._runs

    def _hear(self) -> None:
        """Hears one Sentinel for a while."""
        hearing = self._sentinels.connection(_ASK_S)
        try:
            hearing.connect()
            hearing.send_command("SUBSCRIBE", CHANNEL, check_health=False)
            hearing.read_response(disable_decoding=True)
            self._end_all_but(self._sentinels.primary(_ASK_S))  # it may have switched before
            until = time.monotonic() + HEARD_FOR_S
            while time.monotonic() < until and self._ends:
                if hearing.can_read(timeout=LOOK_EVERY_S):
                    *_, said = hearing.read_response(disable_decoding=True)
                    if primary := self._sentinels.switched(said):
                        self._end_all_but(primary)
        finally:
            hearing.disconnect()

    def _end_all_but(self, primary: Primary) -> None:
        with self._lock:
            covered = list(self._ends.items())
        for connection, end in covered:
            if (connection.host, connection.port) != primary:
                end()
