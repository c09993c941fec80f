"""The round trips of a worker: each settles what has ended, claims what there is room for, or both.

The next one begins before the jobs of the last one are unpacked, so that Redis and this process
work at the same time.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from redisjobs.attempt import PLAINLY_DONE
from redisjobs.errors import LockLostError
from redisjobs.keys import Keys
from redisjobs.line import Line, drive, prepare
from redisjobs.operations.claim import Claimed, ClaimRequest, claim
from redisjobs.operations.operation import Operation, join
from redisjobs.operations.peek import peek
from redisjobs.operations.settle import MOST_OUTCOMES, Settlement, settle
from redisjobs.worker.agenda import LINGER_S, Agenda
from redisjobs.worker.capacity import Capacity, Pace, Room
from redisjobs.worker.delivery import Delivery
from redisjobs.worker.held import Held
from redisjobs.worker.kinds_in_turn import FEW, Asked, KindsInTurn
from redisjobs.worker.standing import Standing, Surroundings
from redisjobs.worker.unsettled import NOTHING, Settling

_QUICK = 4
# Redis looked in the middle of a round trip, or sooner: what took longer than this was waiting, for
# this thread's turn or on a long way. A claim that comes before its time finds nothing, and is
# followed by one that does.
_LONG_TRIP_S = 0.001
# A handler's thread that was woken needs the interpreter, which this thread would hold for longer.
_LET_BEGIN_S = 0.00003


class RoundTrips:
    """Used by the pump alone.

    Attributes:
        closed: the worker winds down: nothing is claimed any more.
        added_at: when jobs were last handed out, by the monotonic clock.
        pace: how fast jobs of each kind end.
        turns: whose turn it is.
    """

    def __init__(
        self, around: Surroundings, line: Line, held: Held, standing: Standing, agenda: Agenda
    ) -> None:
        self._around = around
        self._line = line
        self._held = held
        self._standing = standing
        self._agenda = agenda
        settings, now = around.life.settings, time.monotonic()
        self._capacity = Capacity(settings.concurrency, settings.prefetch)
        self._flight: _Flight | None = None
        self._prepared: Callable[[], _Flight] | None = None
        self._exchanged_at = now
        self._listening = False
        self._version = 0  # of the handlers, as they were when it last asked
        self.closed = False
        self.added_at = now
        self.pace = Pace(now)
        self.turns = KindsInTurn()

    @property
    def under_way(self) -> bool:
        """Whether a round trip is: what came of it is not heard yet."""
        return self._flight is not None

    def collect(self) -> None:
        """Takes over what the crew has ended."""
        ended, clerk, held = self._around.crew.ended, self._around.clerk, self._held
        is_plain, keeps_done = (
            not (self._standing.ghosts or clerk.tells_all),
            self._agenda.keeps_done,
        )
        body = b""
        if ended:
            self._agenda.something_ended()
            clerk.look_at_the_time()
        runs: defaultdict[str, list[float]] = defaultdict(list)
        while ended:
            delivery = ended.popleft()
            # Nearly all are done when they are first tried, and nothing more is to be said of them.
            if is_plain and delivery.outcome is PLAINLY_DONE and delivery.state is None:
                runs[delivery.batch.kind].append(delivery.seconds)
                if keeps_done:
                    body = clerk.body_of_done(delivery)
                if not held.plainly_done(delivery, body):
                    clerk.log_lost(delivery)
            else:
                self._take_over(delivery, runs)
        now = time.monotonic()
        if runs or held.open_count:
            self.pace.ended(runs, now)
        else:
            self.pace.idle(now)

    def _take_over(self, delivery: Delivery, runs: defaultdict[str, list[float]]) -> None:
        """Any run that ended."""
        clerk, held, outcome = self._around.clerk, self._held, delivery.outcome
        assert outcome is not None  # the crew sets it before
        if self._standing.ghosts.pop(delivery.name, None) is not None:
            self._agenda.look_at_all()  # its next run was passed over for this one's sake
        if delivery.unreadable is not None:
            kept = held.ended(delivery, clerk.unreadable(delivery, delivery.unreadable))
        elif outcome.status is None:
            kept = held.give_back(delivery)
        else:
            runs[delivery.kind].append(delivery.seconds)
            settlement = clerk.settlement(delivery, outcome, keeps_done=self._agenda.keeps_done)
            kept = held.ended(delivery, settlement)
        if not kept:
            if delivery.started_at is not None:
                clerk.log_lost(delivery)
        elif delivery.unreadable is None:
            clerk.log_outcome(delivery, outcome)

    def exchange(self, *, listening: bool) -> bool:
        """Hears what came of the round trip under way, and begins the next, which settles and
        claims. False: nothing is to be done until something happens.

        The next one begins before the jobs that came are unpacked, so that Redis works meanwhile.

        Args:
            listening: whether a bell would tell what comes now.
        """
        self._listening = listening
        under_way = self.under_way
        claimed = self._land()
        # Suspects are looked at first: what may be claimed beside them depends on them.
        if claimed is None or claimed.losses or claimed.alone or self._is_quick(claimed):
            self._take(claimed)
            if claimed is None or not claimed.ids:
                return self._begin(coming=0) or under_way
            time.sleep(_LET_BEGIN_S)
            return self._begin(coming=0) or self._has_news
        began = False
        try:
            began = self._begin(coming=len(claimed.ids))
        finally:
            self._take(claimed)
        return began or self._has_news

    @property
    def _has_news(self) -> bool:
        """Whether something is to be said that was not known when jobs were just handed out, and
        does not wait since there is plenty to do.
        """
        crew = self._around.crew
        return crew.waiting <= crew.low_water and (bool(crew.ended) or self._held.has_unsettled)

    def _is_quick(self, claimed: Claimed) -> bool:
        """Whether what came is unpacked sooner than another round trip begins, and nothing waits
        for that.
        """
        return len(claimed.ids) <= _QUICK and not self._held.has_unsettled

    def land(self) -> bool:
        """Hears what came of the round trip under way, and begins none. False: there was none."""
        was_under_way = self.under_way
        self._take(self._land())
        return was_under_way

    def forget(self) -> None:
        """The connection broke: what came of the round trip under way will not be heard."""
        self._flight = self._prepared = None

    def prepare(self, *, listening: bool) -> None:
        """Before a worker that holds nothing sleeps, listening: puts the claim together that the
        bell, or a due time, will ask for. To do so then takes a process that slept a quarter of a
        millisecond.

        Whoever may sleep for long asks for what has a free slot, no more: by then the pace may be
        another.
        """
        self._prepared = None
        if not listening or len(self._held) or len(self._around.handlers.kinds) > FEW:
            return
        asked = self._asking(time.monotonic(), coming=0)
        if asked is None or not asked.request.free:
            return
        if not self._agenda.minds:
            request = asked.request._replace(limit=asked.request.free, ahead=())
            asked = asked._replace(request=request)
        self._prepared = self._flight_of(NOTHING, asked)

    def begin_prepared(self) -> None:
        """The bell rang, or a due time has come: begins the round trip that was prepared, unless
        something else happened meanwhile.
        """
        flight, self._prepared = self._prepared, None
        around, now = self._around, time.monotonic()
        if (
            flight is None
            or self._version != around.handlers.version
            or around.crew.ended
            or around.shutdown.requested
            or around.life.current.lost
            or now >= around.life.current.lease_ends
        ):
            return
        self._exchanged_at = now
        self._flight = flight()

    def _begin(self, coming: int) -> bool:
        """Begins a round trip, if there is anything to say. `coming`: how many jobs were claimed
        and are not handed out yet.
        """
        around, now = self._around, time.monotonic()
        if around.life.current.lost:
            return False
        along = self._held.has_unsettled and (self._agenda.along_pays or not self._listening)
        asked = self._claim_request(now, coming, along=along)
        plenty = around.crew.waiting > around.crew.low_water
        if asked is None and plenty and now - self._exchanged_at < LINGER_S:
            return False
        settling = self._held.to_settle(MOST_OUTCOMES).at(now)
        if asked is None and not settling:
            return False
        if asked is not None and not settling and not self._is_worth_it(asked):
            self._agenda.polled(now)
            return False
        self._exchanged_at = now
        self._flight = self._flight_of(settling, asked)()
        return True

    def _flight_of(self, settling: Settling, asked: _Asking | None) -> Callable[[], _Flight]:
        """A round trip, put together: what is returned begins it."""
        around = self._around
        worker_id = around.life.current.worker_id
        recording = settle(around.keys, worker_id, settling.settlements, settling.done)
        claiming = _claiming(around.keys, None if asked is None else asked.request)
        send = prepare(join(recording, claiming), self._line)
        return lambda: _Flight(time.monotonic(), settling, asked, send())

    def _land(self) -> Claimed | None:
        """What came of the round trip under way: its outcomes are settled. The jobs that it claimed
        are the caller's to take.
        """
        flight, self._flight = self._flight, None
        if flight is None:
            return None
        refused, claimed = flight.landing()
        asked = flight.asked
        if asked is not None and claimed is None:
            # What was refused is lost, as is all that it holds.
            self._held.settled(flight.settling.without(refused))
            self._around.life.current.lost = True
            return None
        self._held.settled(flight.settling)
        for settlement in refused:
            self._around.clerk.log_refused(settlement)
        if refused:
            self._agenda.look_at_all()  # the claim says whether more than this one was lost
        if asked is not None and claimed is not None:
            now = time.monotonic()
            self._standing.confirmed()
            self.turns.answered(asked.turn, claimed.kinds, claimed.left_over, now)
            looked_at = flight.began_at + min(now - flight.began_at, _LONG_TRIP_S) / 2
            self._agenda.claimed(
                claimed, now, looked_at=looked_at, asked_all=asked.turn.all,
                have_more=self.turns.have_more, along=bool(flight.settling),
                was_full=len(claimed.ids) >= asked.request.limit,
            )  # fmt: skip
        return claimed

    def room(self, kinds: Sequence[str], coming: int = 0) -> Room:
        """What there is room for: nothing, where the worker winds down, runs a job alone, is past
        its lease, or has enough to do.
        """
        lease_holds = time.monotonic() < self._around.life.current.lease_ends
        if self.closed or not kinds or not lease_holds or self._held.runs_alone:
            return Room(0, 0, ())
        if self._has_enough(coming):
            return Room(0, 0, ())
        room = self._capacity.room(
            self._occupied + coming, self._around.crew.waiting + coming, kinds, self.pace
        )
        if self._agenda.stopped or self._agenda.emptying is not None:
            return Room(room.free, room.free, [0] * len(kinds))
        return room

    @property
    def _occupied(self) -> int:
        """How many have a slot or wait for one, and runs that were lost and are not over."""
        return self._held.open_count + len(self._standing.ghosts)

    @property
    def _dry_since(self) -> float | None:
        """When the last of all that was claimed ended, by the monotonic clock; None: something is
        left to run, or that one never began. 0: it was collected, and the pace told of it.
        """
        ended = self._around.crew.ended
        if len(ended) != self._held.open_count:
            return None
        if not ended:
            return 0.0
        began = ended[-1].started_at
        return None if began is None else began + ended[-1].seconds

    def _has_enough(self, coming: int) -> bool:
        """Whether no slot is free and so many wait for one that it is not time to claim."""
        crew = self._around.crew
        return (
            crew.waiting + coming > crew.low_water
            and self._occupied + coming >= self._capacity.concurrency
        )

    def _claim_request(self, now: float, coming: int, *, along: bool) -> _Asking | None:
        """What to ask for, if it is time, or along with a settle, which makes it cheap."""
        around, agenda = self._around, self._agenda
        if around.handlers.version != self._version:
            self._version = around.handlers.version
            agenda.look_at_all()
        if not (along or agenda.claim_is_due(now)):
            return None
        return self._asking(now, coming)

    def _asking(self, now: float, coming: int) -> _Asking | None:
        """What to ask for, if there is room."""
        around, agenda = self._around, self._agenda
        if self._has_enough(coming) and not agenda.token_in_hand:
            return None
        turn = self.turns.ask(
            around.handlers.kinds,
            now,
            all_due=agenda.all_are_due(now),
            working=agenda.working,
            besides=agenda.emptying[0] if agenda.emptying else None,
        )
        kinds = turn.kinds
        room = self.room(kinds, coming)
        if room.limit == 0 and not (agenda.token_in_hand and kinds):
            return None  # with a token in hand, a claim of nothing puts it back
        settings = around.life.settings
        guarded = self._held.count_of_losses(settings.max_losses - 1)
        request = ClaimRequest(
            around.life.current.worker_id, kinds, room.limit, room.free, settings.max_losses,
            settings.most_guarded - guarded, room.ahead, agenda.passed, agenda.emptying,
            list(self._standing.ghosts.values()),
        )  # fmt: skip
        return _Asking(turn, request)

    def _is_worth_it(self, asked: _Asking) -> bool:
        """Whether to claim. A poll, which nearly always finds nothing, looks first: that is a
        fraction of a claim, and idle workers are many.
        """
        if not self._agenda.only_polls:
            return True
        return drive(peek(self._around.keys, asked.request.kinds), self._line)

    def _take(self, claimed: Claimed | None) -> None:
        """Hands out what was claimed."""
        if claimed is None or not claimed.ids:
            return
        around = self._around
        deliveries = around.clerk.deliveries(claimed, around.life.current.worker_id)
        if claimed.alone:
            for delivery in deliveries:
                around.clerk.log_last_chance(delivery)
        since = self._dry_since
        self.added_at = now = time.monotonic()
        if since is not None:
            self.pace.idle(now, since)
        self._held.claimed(deliveries)
        around.crew.low_water = self._capacity.low_water(self.pace)
        around.crew.add(deliveries)


class _Asking(NamedTuple):
    """What a round trip is to ask for."""

    turn: Asked
    request: ClaimRequest


class _Flight(NamedTuple):
    """A round trip under way: when it began, what it settles, whose turn it asked for, and what
    hears it.
    """

    began_at: float
    settling: Settling
    asked: _Asking | None
    landing: Callable[[], tuple[list[Settlement], Claimed | None]]


def _claiming(keys: Keys, request: ClaimRequest | None) -> Operation[Claimed | None]:
    """A claim, or None where none is asked for, or the worker is not registered any more: what is
    settled along with it is answered all the same.
    """
    if request is None:
        return None
    try:
        return (yield from claim(keys, request))
    except LockLostError:
        return None
