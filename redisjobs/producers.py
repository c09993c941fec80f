"""Who enqueues: lanes in which one call goes at a time, so that a repeated call can be told from a
new one.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from redisjobs.errors import InvalidJobError, JobExistsError
from redisjobs.generation import generation


class Ticket(NamedTuple):
    """One enqueue call: its producer, its number there, and the mark that its records carry."""

    producer: str
    number: int
    mark: int


class Lane:
    """A random name with a counter. Never two calls at once."""

    def __init__(self) -> None:
        self.producer = os.urandom(9).hex()
        self._seed = int.from_bytes(os.urandom(4))
        self._number = 0

    def next_ticket(self) -> Ticket:
        """The ticket of this lane's next call."""
        self._number += 1
        return Ticket(self.producer, self._number, (self._seed + self._number) % 2**32)


class Lanes:
    """A process's lanes."""

    def __init__(self) -> None:
        self._free: deque[Lane] = deque()
        self._generation = generation()

    @contextmanager
    def ticket(self) -> Iterator[Ticket]:
        """The ticket of one call, in a lane where no other is under way.

        The lane of a call that was given up or cancelled is thrown away: its late original could
        still arrive.
        """
        if self._generation != generation():
            self._generation, self._free = generation(), deque()
        try:
            lane = self._free.pop()
        except IndexError:
            lane = Lane()
        try:
            yield lane.next_ticket()
        except (InvalidJobError, JobExistsError):  # not sent, or answered
            self._free.append(lane)
            raise
        self._free.append(lane)
