"""The engine of a worker over Redis: what one `run()` is made of, and the order in which it starts
and ends.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from redisjobs.errors import RedisJobsError
from redisjobs.line import drive
from redisjobs.operations.eviction import eviction_risk
from redisjobs.operations.membership import Lapse
from redisjobs.origin import Origin
from redisjobs.registry import Handlers
from redisjobs.source import Source
from redisjobs.worker.crew import Crew, Terms
from redisjobs.worker.heartbeat import Heartbeat
from redisjobs.worker.incarnation import Life
from redisjobs.worker.janitor import ChildDeath, Janitor
from redisjobs.worker.loop import Loop
from redisjobs.worker.outcomes import Clerk
from redisjobs.worker.pump import Pump
from redisjobs.worker.settings import WorkerSettings
from redisjobs.worker.shutdown import GRACE_S, Shutdown
from redisjobs.worker.standing import Surroundings
from redisjobs.worker.vital import VitalThread
from redisjobs.worker.wakeup import Wakeup

# A janitor's or a pump's wait for a reply; the heartbeat's is shorter with a short lease.
_LONGEST_WAIT_S = 5.0


class Engine:
    """Pump, heartbeat, janitor and crew of one run."""

    def __init__(
        self,
        source: Source,
        handlers: Handlers,
        settings: WorkerSettings,
        origin: Origin,
        shutdown: Shutdown,
        logger: logging.Logger,
        new_loop: Callable[[], Loop],
        *,
        burst: bool,
    ) -> None:
        # A wait is a third of the lease at most: a connection that is half open must not cost the
        # lease.
        wait_s = min(_LONGEST_WAIT_S, settings.beat_interval_s)
        line = source.lines.new_line
        self._lines, self._wait_s = source.lines, wait_s
        self._settings = settings
        self._shutdown = shutdown
        self._logger = logger
        self.wakeup = Wakeup()
        life = Life(origin, handlers, settings)
        clerk = Clerk(source.keys.name, handlers, logger)
        terms = Terms(
            clerk.job_of, clerk.context_of, life, settings.min_retry_backoff,
            source.settings.max_result,
        )  # fmt: skip
        self._crew = Crew(settings.concurrency, terms, self.wakeup, new_loop)
        self.janitor = Janitor(
            source.keys, line(wait_s), handlers, settings, logger, self._on_crash
        )
        self.heartbeat = Heartbeat(
            source.keys, line(wait_s), life, logger, on_dead=self._reap, on_lost=self.wakeup.wake,
            on_beat=self.wakeup.wake if burst else _nothing, on_lease_back=self.wakeup.wake,
            on_crash=self._on_crash,
        )  # fmt: skip
        around = Surroundings(
            source.keys, source.settings, handlers, life, self._crew, clerk, self.wakeup, shutdown,
            logger,
        )  # fmt: skip
        self._pump = Pump(around, line(wait_s), line(wait_s), self._may_rest if burst else None)
        self._rest_after_beat = 0
        self._longest_end_s = settings.shutdown_timeout_s + GRACE_S + wait_s
        self._failure: BaseException | None = None

    def run(self, dead_siblings: Sequence[ChildDeath] = ()) -> None:
        """Blocks until the worker is stopped, or its burst is over.

        Raises:
            ConfigurationError: Redis is there, but cannot be used.
            IncompatibleQueueError: the queue holds data of a newer release.
        """
        self._shutdown.on_request(self.wakeup.wake)
        for death in dead_siblings:
            self.janitor.tell(death)
        # This thread, where signals arrive, holds no lock that their handler could want.
        pump = VitalThread(self._run_pump, "redisjobs-pump", self._on_crash)
        try:
            pump.start()
            while pump.is_alive():
                pump.join(0.5)  # a timed join lets signals in
        except BaseException:
            # From a signal handler of the user's, say. The pump must not go on without a heartbeat.
            self._shutdown.request()
            if pump.ident is not None:
                pump.join(self._longest_end_s)
            raise
        finally:
            self.heartbeat.stop()
            self.janitor.stop()
            self._crew.close(0.5)
            self._shutdown.off_request(self.wakeup.wake)
        if self._failure is not None:
            raise self._failure

    def _run_pump(self) -> None:
        try:
            if self._pump.register():
                self._warn_of_eviction()
                self.heartbeat.start()
                self.janitor.start()
                # Not for ever: a reap that Redis does not permit must not hold up all the others.
                patience_ends = time.monotonic() + self._settings.lease_s
                self.janitor.wait_until_idle(
                    lambda: self._shutdown.requested or time.monotonic() > patience_ends
                )
                self._pump.run()
        except RedisJobsError as err:
            self._failure = err

    def _warn_of_eviction(self) -> None:
        line = self._lines.new_line(self._wait_s)
        try:
            risk = drive(eviction_risk(), line)
        except RedisJobsError:
            return  # it is away again, and the pump will say so
        finally:
            line.close()
        if risk is not None:
            self._logger.warning("Redis at %s could lose jobs: %s", self._lines.address.name, risk)

    def _on_crash(self, err: BaseException) -> None:
        """A worker without one of its threads would look alive and not be: it stops instead, and
        `run` raises. A supervisor starts another one.
        """
        self._failure = err
        self._logger.critical("the worker cannot go on, and stops", exc_info=err)
        self._shutdown.request()

    def _reap(self, dead: list[Lapse]) -> None:
        for lapse in dead:
            self.janitor.tell(lapse)

    def _may_rest(self) -> bool:
        """Whether a burst has looked at the others' leases since it found nothing, and waited for
        its verdict on them.
        """
        if self._rest_after_beat == 0:
            self._rest_after_beat = self.heartbeat.beats + 1
            self.heartbeat.beat_soon()
        if self.heartbeat.beats < self._rest_after_beat:
            return False
        if self.heartbeat.suspects or self.janitor.busy:
            self._rest_after_beat = 0
            return False
        return True


def _nothing() -> None:
    pass
