"""The pump: the one thread that claims and settles. No handler can block it.

It takes turns: collect what has ended, decide, then one round trip (settle and claim together) or
sleep. What it holds is decided in `held`, how much to claim in `capacity`, when in `agenda`; here
is the order of things, and what happens when Redis does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from redisjobs.context import CancelReason
from redisjobs.errors import IncompatibleQueueError, InvalidJobError, LockLostError, RedisJobsError
from redisjobs.operations.claim import Claimed, ClaimRequest, claim
from redisjobs.operations.membership import unregister
from redisjobs.operations.operation import Operation, join
from redisjobs.operations.settle import MOST_OUTCOMES, settle
from redisjobs.patience import LineError
from redisjobs.states import Status
from redisjobs.transport import Line, drive
from redisjobs.worker.agenda import LINGER_S, STUCK_S, Agenda
from redisjobs.worker.bell import Bell
from redisjobs.worker.capacity import Capacity, Pace, Room
from redisjobs.worker.delivery import Delivery
from redisjobs.worker.held import Held
from redisjobs.worker.kinds_in_turn import Asked, KindsInTurn
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
        self._capacity = Capacity(settings.concurrency, settings.prefetch)
        self._pace = Pace(now)
        self._setbacks = Setbacks()
        self._turns = KindsInTurn()
        self._asked = Asked((), all_kinds=True)
        self._version = 0
        self._added_at = self._exchanged_at = now
        self._winding_down = self._cancelled = self._looked_again = False

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
            self._collect()
            if around.handlers.version != self._version:
                self._version = around.handlers.version
                self._agenda.look_at_all()
            if around.life.current.lost:
                self._standing.begin_anew(self._persist)
                self._agenda.begin_anew(time.monotonic())
            if around.shutdown.requested:
                self._wind_down()
            if self._agenda.reconcile_is_due(time.monotonic()):
                self._standing.reconcile()
                self._agenda.reconciled(time.monotonic())
            self._standing.release()
            if not self._exchange():
                self._sleep()
        except LockLostError:
            around.life.current.lost = True
        except RedisJobsError as err:
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
            self._collect()
            if self._around.shutdown.requested:
                self._wind_down()
            self._standing.reconcile(all_was_answered=False)
        except RedisJobsError:
            self._line.close()
            raise

    # ------------------------------------------------------------------ one turn

    def _collect(self) -> None:
        """Takes over what the crew has ended."""
        ended, clerk, held = self._around.crew.ended, self._around.clerk, self._held
        ghosts, keeps_done, tells_all = (
            self._standing.ghosts, self._agenda.keeps_done, clerk.tells_all
        )  # fmt: skip
        if ended:
            self._agenda.something_ended()
        counts: dict[str, int] = {}
        while ended:
            delivery = ended.popleft()
            outcome = delivery.outcome
            assert outcome is not None  # the crew sets it before
            if ghosts and ghosts.pop(delivery.name, None) is not None:
                self._agenda.look_at_all()  # its next run was passed over for this one's sake
            status = outcome.status
            if status is None:
                kept = held.give_back(delivery)
            else:
                kind = delivery.kind
                counts[kind] = counts.get(kind, 0) + 1
                kept = held.ended(
                    delivery, clerk.settlement(delivery, outcome, keeps_done=keeps_done)
                )
            if not kept:
                if delivery.started_at is not None:
                    clerk.log_lost(delivery)
            elif tells_all or status is not Status.DONE:
                clerk.log_outcome(delivery, outcome)
        self._pace.ended(counts, time.monotonic())

    def _exchange(self) -> bool:
        """Settles and claims, in one round trip. False: there was nothing to say."""
        around, now = self._around, time.monotonic()
        settlements = [
            one if one.due_at is None else one.at(now)
            for one in self._held.unsettled[:MOST_OUTCOMES]
        ]
        request = self._claim_request(now, along=bool(settlements))
        plenty = around.crew.waiting > around.crew.low_water
        if settlements and request is None and plenty and now - self._exchanged_at < LINGER_S:
            settlements = []
        if request is None and not settlements:
            return False
        self._exchanged_at = now
        settling = settle(around.keys, around.life.current.worker_id, settlements)
        claimed = None
        if request is None:
            refused = drive(settling, self._line)
        else:
            claiming = _unless_lost(claim(around.keys, request))
            refused, claimed = drive(join(settling, claiming), self._line)
            if claimed is None:
                # What was refused is lost, as is all that it holds.
                self._held.settled(one for one in settlements if one not in refused)
                around.life.current.lost = True
                return True
        self._held.settled(settlements)
        for settlement in refused:
            around.clerk.log_refused(settlement)
        if claimed is not None:
            self._take(claimed)
        return True

    def _room(self, kinds: Sequence[str]) -> Room:
        """What there is room for: nothing, where the worker winds down, runs a job alone, is past
        its lease, or has enough to do.
        """
        lease_holds = time.monotonic() < self._around.life.current.lease_ends
        if self._winding_down or not kinds or not lease_holds or self._held.runs_alone:
            return Room(0, 0, ())
        crew = self._around.crew
        occupied = self._held.open_count + len(self._standing.ghosts)
        room = self._capacity.room(occupied, crew.waiting, kinds, self._pace)
        if room.free == 0 and crew.waiting > crew.low_water:
            return Room(0, 0, ())
        if self._agenda.stopped or self._agenda.emptying is not None:
            return Room(room.free, room.free, [0] * len(kinds))
        return room

    def _claim_request(self, now: float, *, along: bool) -> ClaimRequest | None:
        """What to ask for, if it is time, or along with a settle, which makes it cheap."""
        if not (along or self._agenda.claim_is_due(now)):
            return None
        around, agenda = self._around, self._agenda
        self._asked = self._turns.ask(
            around.handlers.kinds,
            now,
            all_due=agenda.all_are_due(now),
            working=agenda.hungry,
            besides=agenda.emptying[0] if agenda.emptying else None,
        )
        kinds = self._asked.kinds
        room = self._room(kinds)
        if room.limit == 0 and not (agenda.token_in_hand and kinds):
            return None  # with a token in hand, a claim of nothing puts it back
        settings = around.life.settings
        guarded = self._held.count_of_losses(settings.max_losses - 1)
        return ClaimRequest(
            around.life.current.worker_id, kinds, room.limit, room.free, settings.max_losses,
            settings.most_guarded - guarded, room.ahead, agenda.passed, agenda.emptying,
            list(self._standing.ghosts.values()),
        )  # fmt: skip

    def _take(self, claimed: Claimed) -> None:
        around, deliveries = self._around, list[Delivery]()
        for one in claimed.claims:
            try:
                deliveries.append(around.clerk.delivery(claimed.token, one, alone=claimed.alone))
            except (InvalidJobError, IncompatibleQueueError) as err:
                delivery, settlement = around.clerk.unreadable(claimed.token, one, err)
                self._held.claimed([delivery])
                self._held.ended(delivery, settlement)
        now = time.monotonic()
        self._standing.confirmed()
        self._agenda.claimed(claimed, now, asked_all=self._asked.all)
        self._turns.answered(self._asked, (one.kind for one in claimed.claims), now)
        if claimed.alone:
            for delivery in deliveries:
                around.clerk.log_last_chance(delivery)
        if deliveries:
            self._held.claimed(deliveries)
            self._added_at = now
            around.crew.low_water = self._capacity.low_water(around.handlers.kinds, self._pace)
            around.crew.add(deliveries)

    def _sleep(self) -> None:
        around, crew = self._around, self._around.crew
        kinds = around.handlers.kinds
        room = self._room(kinds)
        if self._gave_back_what_is_stuck(time.monotonic()):
            return
        if room.free and self._agenda.emptying is None:
            self._bell.listen([around.keys.bell(kind) for kind in kinds])
        around.wakeup.armed = True
        if crew.ended and crew.waiting <= crew.low_water:
            return
        seconds = self._agenda.sleep_s(
            time.monotonic(),
            has_room=room.limit > 0,
            waiting=crew.waiting > 0,
            unsettled=bool(crew.ended) or bool(self._held.unsettled),
        )
        rang = self._bell.sleep(min(seconds, around.shutdown.next_stage_in()))
        if rang is not None:
            self._agenda.token_came()
            self._turns.rang(around.keys.kind_of_bell(rang))

    def _gave_back_what_is_stuck(self, now: float) -> bool:
        """What was prefetched and is behind long jobs can run elsewhere. Whether there is any."""
        crew = self._around.crew
        if not crew.waiting or now - max(crew.last_start, self._added_at) <= STUCK_S:
            return False
        for delivery in crew.withdraw():
            self._held.give_back(delivery)
        self._pace.forget(now)
        return True

    # ------------------------------------------------------------------ its end

    def _wind_down(self) -> None:
        """Gives back what has not begun, waits for what runs, then cancels it, then leaves it
        behind.
        """
        around = self._around
        if not self._winding_down:
            self._winding_down = True
            for delivery in around.crew.withdraw():
                self._held.give_back(delivery)
            around.logger.info(
                "worker of queue %r stops: %d jobs still run",
                around.keys.name, self._held.open_count,
            )  # fmt: skip
            # A claim of nothing: a due time that this worker minds becomes another's.
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
        self._collect()
        for delivery in list(self._held.open):
            self._held.give_back(delivery)
        self._standing.release()
        worker_id = around.life.current.worker_id
        while self._held.unsettled:
            now = time.monotonic()
            settlements = [one.at(now) for one in self._held.unsettled[:MOST_OUTCOMES]]
            for settlement in drive(settle(around.keys, worker_id, settlements), self._line):
                around.clerk.log_refused(settlement)
            self._held.settled(settlements)
        if drive(unregister(around.keys, worker_id), self._line):
            self._standing.reconcile()
            drive(unregister(around.keys, worker_id), self._line)


def _unless_lost(claiming: Operation[Claimed]) -> Operation[Claimed | None]:
    """A claim, or None where the worker is not registered any more: what is settled along with it
    is answered all the same.
    """
    try:
        return (yield from claiming)
    except LockLostError:
        return None
