"""When a silent worker counts as dead. Pure: the time is handed in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from redisjobs.operations.membership import Lapse

# Heartbeats are not quite regular; what is judged is how often a reaper looked, not microseconds.
_TOLERANCE = 0.9


class _Sight(NamedTuple):
    lapsed_at: str
    first_seen: float


def lease_of(info: bytes, default_s: float) -> float:
    """The lease that a worker's info names, in seconds."""
    try:
        return float(json.loads(info)["lease_ms"]) / 1000
    except (ValueError, TypeError, KeyError):
        return default_s


class LapseJudge:
    """Decides which lapsed leases are dead workers'.

    After a Redis that was away for longer than a lease every worker looks dead. So a lease counts
    as lapsed when this reaper saw the same lapsed time at its own heartbeats, throughout two thirds
    of the longer of both leases.
    """

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._seen: dict[str, _Sight] = {}

    @property
    def suspects(self) -> bool:
        """Whether some lease is lapsed and not judged yet."""
        return bool(self._seen)

    def forget(self) -> None:
        """A heartbeat failed, or found its own lease lapsed: what was seen before proves
        nothing.
        """
        self._seen = {}

    def dead(self, lapses: Sequence[Lapse], now: float) -> list[Lapse]:
        """What a heartbeat saw at this moment. Returns those whose jobs may be taken."""
        seen: dict[str, _Sight] = {}
        dead: list[Lapse] = []
        for lapse in lapses:
            before = self._seen.get(lapse.worker)
            if before is None or before.lapsed_at != lapse.lapsed_at:
                before = _Sight(lapse.lapsed_at, now)
            longer_s = max(self._lease_s, lease_of(lapse.info, self._lease_s))
            # A beat speaks for the time since the one before it.
            watched_s = now - before.first_seen + self._lease_s / 3
            if float(lapse.lapsed_at) == 0 or watched_s >= longer_s * 2 / 3 * _TOLERANCE:
                dead.append(lapse)
            else:
                seen[lapse.worker] = before
        self._seen = seen
        return dead
