"""How long to pause after calls that fail one after another. Pure: the time is handed in."""

from __future__ import annotations

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
# What fails this long after the last failure has nothing to do with it.
CALM_AFTER_S = 5.0


class Setbacks:
    """Failures in a row. A server may be reached, and even read, and yet refuse all that is to be
    written: a replica after a failover, or one that cannot save to its disk.
    """

    def __init__(self) -> None:
        self._in_a_row = 0
        self._last_at = float("-inf")

    def failed(self, now: float) -> float:
        """A call failed. Returns how long to pause: not at all after the first one of a row."""
        if now - self._last_at > CALM_AFTER_S:
            self._in_a_row = 0
        self._last_at = now
        self._in_a_row += 1
        if self._in_a_row == 1:
            return 0.0
        return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._in_a_row - 2, 30)))
