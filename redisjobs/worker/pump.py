"""The pump: the one thread that claims and settles. No handler can block it.

It takes turns: collect what has ended, decide, then one round trip (settle, claim, or both) or
sleep. What it holds is decided in `held`, how much to claim in `capacity`, when in `agenda`; here
is the order of things, and what happens when Redis does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from redisjobs.context import CancelReason
from redisjobs.errors import LockLostError, RedisJobsError
from redisjobs.line import Line, drive
from redisjobs.operations.membership import unregister
from redisjobs.operations.settle import MOST_OUTCOMES, settle
from redisjobs.patience import LineError
from redisjobs.worker.agenda import STUCK_S, Agenda
from redisjobs.worker.bell import Bell
from redisjobs.worker.delivery import Delivery
from redisjobs.worker.held import Held
from redisjobs.worker.round_trips import RoundTrips
from redisjobs.worker.setbacks import Setbacks
from redisjobs.worker.standing import Standing, Surroundings

# A wait for Redis is told at its first failure and after so many more, every half minute or so.
_TOLD_EVERY = 60


class Pump:
    """Moves jobs between Redis and the crew, until the shutdown is complete or, in a burst, until
    nothing is left.

    Args:
        line: for commands, bell_line: for the blocking pop. No other thread uses them.
        may_rest: in a burst, whether what else the worker does (looking for dead workers) is done,
            too.
    """

    def __init__(
        self,
        around: Surroundings,
        line: Line,
        bell_line: Line,
        may_rest: Callable[[], bool] | None = None,
    ) -> None:
        self._around = around
        self._line = line
        self._bell = Bell(bell_line, around.wakeup)
        self._may_rest = may_rest
        settings, now = around.life.settings, time.monotonic()
        self._held = Held()
        self._standing = Standing(around, line, self._held)
        self._agenda = Agenda(settings, now)
        self._trips = RoundTrips(around, line, self._held, self._standing, self._agenda)
        self._setbacks = Setbacks()
        self._cancelled = self._looked_again = False

    # ------------------------------------------------------------------ its life

    def register(self) -> bool:
        """Enters the worker, however long Redis is away. False if the worker is stopped before.

        Raises:
            ConfigurationError: Redis is there, but cannot be used.
            IncompatibleQueueError: the queue holds data of a newer release.
        """
        shutdown = self._around.shutdown
        try:
            self._persist(
                partial(self._standing.register, self._around.life.current),
                worth_it=lambda err: isinstance(err, LineError),
                enough=lambda: shutdown.requested,
            )
        except LineError:
            return False
        return True

    def run(self) -> None:
        """Works until the worker is stopped."""
        try:
            while not self._is_finished():
                self._turn()
            self._persist(self._leave)
        except RedisJobsError as err:
            self._around.logger.warning(
                "leaving without a word, its jobs wait for a reaper: %s", err
            )
        finally:
            self._bell.close()
            self._line.close()

    def _is_finished(self) -> bool:
        shutdown = self._around.shutdown
        if self._trips.under_way and not shutdown.is_over():
            return False
        if shutdown.requested:
            return shutdown.is_over() or not (len(self._held) or self._around.crew.ended)
        if self._may_rest is None or len(self._held) or self._around.crew.ended:
            return False
        if (
            not (self._agenda.found_nothing or not self._around.handlers.kinds)
            or not self._may_rest()
        ):
            return False
        if not self._looked_again:
            # What was taken from dead workers meanwhile is to be run, too.
            self._looked_again = True
            self._agenda.begin_anew(time.monotonic())
            return not self._around.handlers.kinds
        return True

    def _turn(self) -> None:
        around = self._around
        try:
            self._trips.collect()
            done = False
            if self._has_other_business():
                landed = self._trips.land()
                done = self._do_other_business() or landed
            # A burst asks along with every outcome: a bell is not heard in time for its end.
            listening = self._bell.pending and self._may_rest is None
            if not (self._trips.exchange(listening=listening) or done):
                self._sleep()
        except LockLostError:
            around.life.current.lost = True
        except RedisJobsError as err:
            self._trips.forget()
            self._bell.close()
            self._line.close()
            pause_s = self._setbacks.failed(time.monotonic())
            if pause_s:
                around.shutdown.pause(pause_s)
            else:
                around.logger.warning("Redis does not answer as it should: %s", err)
            self._persist(self._recover)
            if not pause_s:
                around.logger.info("Redis answers again")

    def _has_other_business(self) -> bool:
        """Whether something else is to be said to Redis than the next exchange. What is under way
        is heard first: both go over one line.
        """
        around = self._around
        return (
            around.shutdown.requested
            or around.life.current.lost
            or bool(self._held.to_release)
            or self._agenda.reconcile_is_due(time.monotonic())
        )

    def _do_other_business(self) -> bool:
        """Whether anything was given back: what waits for that, as the end does, looks again."""
        around = self._around
        if around.life.current.lost:
            self._standing.begin_anew(self._persist)
            self._agenda.begin_anew(time.monotonic())
        if around.shutdown.requested:
            self._wind_down()
        if self._agenda.reconcile_is_due(time.monotonic()):
            self._standing.reconcile()
            self._agenda.reconciled(time.monotonic())
        return self._standing.release()

    def _persist(
        self,
        step: Callable[[], None],
        worth_it: Callable[[BaseException], bool] = lambda err: isinstance(err, RedisJobsError),
        enough: Callable[[], bool] | None = None,
    ) -> None:
        """Does a step, and again with back-off until it succeeds or the shutdown's time is over."""
        shutdown = self._around.shutdown

        def stop(_: RetryCallState) -> bool:
            return shutdown.is_over() if enough is None else enough()

        Retrying(
            retry=retry_if_exception(worth_it),
            wait=wait_random_exponential(multiplier=0.05, max=1.0),
            stop=stop,
            sleep=shutdown.pause,
            before_sleep=self._tell_now_and_then,
            reraise=True,
        )(step)

    def _tell_now_and_then(self, state: RetryCallState) -> None:
        if state.attempt_number % _TOLD_EVERY == 1 and state.outcome is not None:
            self._around.logger.warning(
                "trying again until it works: %s", state.outcome.exception()
            )

    def _recover(self) -> None:
        """After a call that failed: what was said and what was heard may differ."""
        try:
            self._trips.collect()
            if self._around.shutdown.requested:
                self._wind_down()
            self._standing.reconcile(all_was_answered=False)
            self._agenda.look_at_all()
        except RedisJobsError:
            self._line.close()
            raise

    def _sleep(self) -> None:
        around, crew = self._around, self._around.crew
        kinds = around.handlers.kinds
        room = self._trips.room(kinds)
        if self._gave_back_what_is_stuck(time.monotonic()):
            return
        if room.free and self._agenda.emptying is None:
            self._bell.listen([around.keys.bell(kind) for kind in kinds])
        self._trips.prepare(listening=self._bell.pending)
        around.wakeup.armed = True
        if crew.ended and crew.waiting <= crew.low_water:
            return
        seconds = self._agenda.sleep_s(
            time.monotonic(),
            has_room=room.limit > 0,
            waiting=crew.waiting > 0,
            unsettled=bool(crew.ended) or self._held.has_unsettled,
        )
        if not self._bell.sleep(min(seconds, around.shutdown.next_stage_in())):
            if self._agenda.due_time_has_come(time.monotonic()):
                self._trips.begin_prepared()
            return
        self._agenda.token_came()
        # Redis works on the claim while this process still reads which bell it was.
        self._trips.begin_prepared()
        try:
            rang = self._bell.token()
        except LineError:
            self._trips.land()  # the bell's connection broke, not the other one
            raise
        if rang is not None:
            self._trips.turns.rang(around.keys.kind_of_bell(rang))

    def _gave_back_what_is_stuck(self, now: float) -> bool:
        """What was prefetched and is behind long jobs can run elsewhere. Whether there is any."""
        crew = self._around.crew
        if not crew.waiting or now - max(crew.last_start, self._trips.added_at) <= STUCK_S:
            return False
        self._give_back(crew.withdraw())
        self._trips.pace.forget(now)
        return True

    def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        """What cannot be read is settled as such: under which kind it is to wait again its record
        would have to say.
        """
        clerk = self._around.clerk
        for delivery in deliveries:
            clerk.job_of(delivery)
            if delivery.unreadable is None:
                self._held.give_back(delivery)
            else:
                self._held.ended(delivery, clerk.unreadable(delivery, delivery.unreadable))

    # ------------------------------------------------------------------ its end

    def _wind_down(self) -> None:
        """Gives back what has not begun, waits for what runs, then cancels it, then leaves it
        behind.
        """
        around = self._around
        if not self._trips.closed:
            self._trips.closed = True
            self._give_back(around.crew.withdraw())
            around.logger.info(
                "worker of queue %r stops: %d jobs still run",
                around.keys.name, self._held.open_count,
            )  # fmt: skip
            # A claim of nothing for all: a due time that this worker minds becomes another's.
            self._agenda.look_at_all()
            self._agenda.token_came()
        if around.shutdown.handlers_time_is_over() and not self._cancelled:
            self._cancelled = True
            if self._held.open_count:
                around.logger.warning(
                    "%d handlers did not end in time: cancelling them", self._held.open_count
                )
            for delivery in self._held.open:
                around.crew.cancel(delivery, CancelReason.SHUTDOWN)

    def _leave(self) -> None:
        """Settles and gives back what is left, and has the worker forgotten."""
        around = self._around
        self._trips.collect()
        self._trips.land()
        around.crew.withdraw()
        self._give_back(list(self._held.open))
        self._standing.release()
        worker_id = around.life.current.worker_id
        while settling := self._held.to_settle(MOST_OUTCOMES).at(time.monotonic()):
            recording = settle(around.keys, worker_id, settling.settlements, settling.done)
            for settlement in drive(recording, self._line):
                around.clerk.log_refused(settlement)
            self._held.settled(settling)
        if drive(unregister(around.keys, worker_id), self._line):
            self._standing.reconcile()
            drive(unregister(around.keys, worker_id), self._line)
