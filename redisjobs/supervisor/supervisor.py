"""The supervisor: a single thread that waits for signals and for the ends of its children."""

from __future__ import annotations

import logging
import secrets
import signal
import time
from dataclasses import dataclass, field

from redisjobs.supervisor.process import WorkerOptions, WorkerProcess, how_it_ended
from redisjobs.supervisor.protocol import (
    CANNOT_RUN,
    UNAVAILABLE,
    Birth,
    Report,
    death_line,
    say,
)
from redisjobs.supervisor.restarts import HEALTHY_AFTER_S, Backoff, Deaths
from redisjobs.supervisor.signals import Signals

_LOGGER = logging.getLogger("redisjobs.supervisor")


@dataclass(slots=True)
class _Place:
    """Room for one process.

    Attributes:
        start_at: when the next one is to be started; None while one runs, and when none is to be.
    """

    start_at: float | None
    backoff: Backoff = field(default_factory=Backoff)
    process: WorkerProcess | None = None


class Supervisor:
    """Keeps as many worker processes running, and has the jobs of one that dies taken back at once
    by the others, or by the one that follows it.

    It loads no user code and has no connection to Redis. When it ends, however it ends, its
    children stop gracefully.

    Args:
        options: what the processes run.
        processes: how many.
    """

    def __init__(self, options: WorkerOptions, *, processes: int = 1) -> None:
        self._options = options
        self._token = secrets.token_hex(8)
        self._places = [_Place(start_at=0.0) for _ in range(processes)]
        self._spawns = 0
        self._deaths = Deaths()
        self._stopping = False
        self._exit_code = 0

    def run(self) -> int:
        """Blocks until it was told to stop and all processes have ended, or with `burst` until they
        are done. Only in the main thread.

        SIGTERM and SIGINT stop it gracefully; a second one kills the processes.

        Returns:
            The exit code for this process: 0 after a graceful end; 78 if a worker cannot be loaded,
            or cannot work with its Redis, right at the start; 69 if a burst finds no Redis, or
            loses it; 128 + n after a second signal n.
        """
        with Signals(signal.SIGTERM, signal.SIGINT, signal.SIGCHLD) as signals:
            while not self._is_over():
                self._start_what_is_due()
                for number in signals.wait(self._seconds_to_next_start()):
                    if number == signal.SIGCHLD:
                        continue
                    if self._stopping:
                        return self._kill(number)
                    _LOGGER.info("%s: the workers stop when their jobs have ended", number.name)
                    self._stop()
                self._collect_the_dead()
        return self._exit_code

    @property
    def _processes(self) -> list[WorkerProcess]:
        return [place.process for place in self._places if place.process is not None]

    def _is_over(self) -> bool:
        return not self._processes and all(place.start_at is None for place in self._places)

    def _seconds_to_next_start(self) -> float | None:
        starts = [place.start_at for place in self._places if place.start_at is not None]
        return max(0.0, min(starts) - time.monotonic()) if starts else None

    def _start_what_is_due(self) -> None:
        for place in self._places:
            now = time.monotonic()
            if place.start_at is not None and place.start_at <= now:
                self._start(place, now)

    def _start(self, place: _Place, now: float) -> None:
        self._spawns += 1
        dead = self._deaths.to_tell([process.born_at for process in self._processes], now)
        birth = Birth(self._token, self._spawns, dead)
        try:
            place.process = WorkerProcess(self._options, birth, now)
        except OSError as err:
            delay_s = place.backoff.delay_s(lived_s=0.0)
            place.start_at = now + delay_s
            _LOGGER.warning("no process can be started, next try in %.1f s: %s", delay_s, err)
            return
        place.start_at = None
        _LOGGER.info("started worker process %d (number %d)", place.process.pid, birth.spawn)

    def _collect_the_dead(self) -> None:
        for place in self._places:
            process = place.process
            if process is not None and (exit_code := process.exit_code()) is not None:
                place.process = None
                self._ended(place, process, exit_code)

    def _ended(self, place: _Place, process: WorkerProcess, exit_code: int) -> None:
        now = time.monotonic()
        lived_s = now - process.born_at
        report = process.report()
        if report.ran:
            # Also after a graceful end: it may have left without a word, if Redis was away.
            self._deaths.add(process.spawn, now)
            for sibling in self._processes:
                sibling.tell(death_line(process.spawn))
        if self._stopping:
            return
        if self._options.burst and exit_code == 0:
            return
        if report.failure is not None:
            _LOGGER.error("%s", report.failure)
            if exit_code == UNAVAILABLE or self._is_start_up(process, report, lived_s):
                self._exit_code = UNAVAILABLE if exit_code == UNAVAILABLE else CANNOT_RUN
                self._stop()
                return
        delay_s = place.backoff.delay_s(lived_s)
        place.start_at = now + delay_s
        _LOGGER.warning(
            "worker process %d %s; starting another one %s",
            process.pid, how_it_ended(exit_code), f"in {delay_s:.1f} s" if delay_s else "now",
        )  # fmt: skip

    def _is_start_up(self, process: WorkerProcess, report: Report, lived_s: float) -> bool:
        """Whether what cannot run has never run, so that somebody is there to see it. Later it may
        be a deploy that is half done, or a password that changes.
        """
        is_of_the_first = process.spawn <= len(self._places)
        return is_of_the_first and (not report.ran or lived_s < HEALTHY_AFTER_S)

    def _stop(self) -> None:
        """Has the processes end gracefully. Not by a signal: they may have had one already, as from
        systemd, which sends it to all, and a worker's second signal ends it at once.
        """
        self._stopping = True
        for place in self._places:
            place.start_at = None
        for process in self._processes:
            process.tell(say(stop=True))

    def _kill(self, number: signal.Signals) -> int:
        _LOGGER.warning("%s again: killing the workers", number.name)
        killed = self._processes
        for process in killed:
            process.kill()
        for process in killed:
            process.await_end()
        return 128 + number
