"""The heartbeat: prolongs the lease, and learns whose leases have lapsed. Its thread and connection
do nothing else.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from redisjobs.errors import LockLostError, RedisJobsError
from redisjobs.keys import Keys
from redisjobs.line import Line, drive
from redisjobs.operations.membership import Lapse, beat
from redisjobs.patience import LineError
from redisjobs.worker.incarnation import Life, Moment
from redisjobs.worker.lapse import LapseJudge
from redisjobs.worker.vital import VitalThread

# Seconds until a beat that failed is tried again, at first and at last.
FIRST_AGAIN_S = 0.05
LONGEST_AGAIN_S = 1.0


class Heartbeat:
    """Beats every third of the lease until it is stopped.

    Args:
        on_dead: takes the lapses that this worker has judged to be deaths.
        on_lost: called when Redis does not know this worker (any more).
        on_lease_back: called when the lease holds again that had lapsed by this machine's clock.
        on_beat: called after each beat that reached Redis.
        on_crash: called if its thread ends by an error that is none of ours.
    """

    def __init__(
        self,
        keys: Keys,
        line: Line,
        life: Life,
        logger: logging.Logger,
        on_dead: Callable[[list[Lapse]], None],
        on_lost: Callable[[], None],
        on_beat: Callable[[], None],
        on_lease_back: Callable[[], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        self._keys = keys
        self._line = line
        self._life = life
        self._logger = logger
        self._on_dead = on_dead
        self._on_lost = on_lost
        self._on_beat = on_beat
        self._on_lease_back = on_lease_back
        self._judge = LapseJudge(life.settings.lease_s)
        self._wake = threading.Event()
        self._stopping = False
        self._failing = False
        self.beats = 0
        self._thread = VitalThread(self._live, "redisjobs-heartbeat", on_crash)

    def start(self) -> None:
        """Begins to beat. The worker is registered."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(self._life.settings.lease_s)
        self._line.close()

    def beat_soon(self) -> None:
        """Has the next beat come now."""
        self._wake.set()

    @property
    def suspects(self) -> bool:
        """Whether a lease is lapsed that is not judged yet."""
        return self._judge.suspects

    def _live(self) -> None:
        interval_s, again = self._life.settings.beat_interval_s, FIRST_AGAIN_S
        while not self._stopping:
            began = Moment.now()
            if self._beat(began):
                pause_s, again = interval_s, FIRST_AGAIN_S
            else:
                # At once, then ever more slowly, and not all workers in one instant.
                pause_s = min(again * random.uniform(0.5, 1.0), interval_s / 4)
                again = min(2 * again, LONGEST_AGAIN_S)
            self._wake.wait(max(0.0, began.monotonic_s + pause_s - time.monotonic()))
            self._wake.clear()

    def _beat(self, began: Moment) -> bool:
        """One beat. Returns whether it reached Redis."""
        incarnation = self._life.current
        if incarnation.lost:
            return True  # the pump is about to take a new id
        self._line.freshen()
        try:
            seen = drive(
                beat(
                    self._keys,
                    incarnation.worker_id,
                    self._life.settings.lease_us,
                    self._life.changed_info(),
                ),
                self._line,
            )
        except LockLostError:
            self._judge.forget()
            incarnation.lost = True
            self._on_lost()
            return True
        except RedisJobsError as err:
            self._judge.forget()
            self._report(err)
            return False
        had_lapsed = time.monotonic() >= incarnation.lease_ends
        self._life.prolonged(incarnation, began)
        self._report(None)
        if seen.own_lapsed:
            self._judge.forget()
        elif dead := self._judge.dead(seen.lapses, time.monotonic()):
            self._on_dead(dead)
        self.beats += 1  # last: who waits for this beat finds its verdict told
        self._on_beat()
        if had_lapsed:
            self._on_lease_back()
        return True

    def _report(self, err: RedisJobsError | None) -> None:
        """Logs the first failure of a row, and its end."""
        if err is not None and not self._failing:
            self._logger.warning("the heartbeat failed, trying again: %s", err)
        elif err is None and self._failing:
            self._logger.info("the heartbeat is back")
        self._failing = err is not None
        if err is not None and not isinstance(err, LineError):
            self._line.close()
