"""A pace that is believed, not measured, so that a worker prefetches when a test wants it to."""

from __future__ import annotations

from redisjobs.worker.capacity import Pace


class BelievedPace(Pace):
    """Jobs of the kind called "kind" are short, until the worker learns that they are not."""

    def __init__(self, now: float) -> None:
        super().__init__(now)
        self._last = {"kind": (1000, 0.1)}
        self.per_second, self.runs = 1000.0, 1000

    def turn(self, now: float) -> None: ...
