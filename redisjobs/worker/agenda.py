"""When the pump is to do what. Pure: the time is handed in."""

from __future__ import annotations

from redisjobs.operations.claim import TIMEKEEPER_MS, Claimed
from redisjobs.worker.settings import WorkerSettings

# With plenty in the line, outcomes are settled this often, in batches; those that come while the
# pump sleeps because there was none may wait for half of the time below.
LINGER_S = 0.01
# What is in the line this long without a handler beginning is stuck behind long jobs.
STUCK_S = 0.1


class Agenda:
    """What the last claims told, and what follows for the next one.

    Attributes:
        hungry: due jobs may be there: claim as soon as there is room.
        token_in_hand: a bell's token was taken; it must be used or put back.
        keeps_done: whether records of DONE jobs are kept, so that their results must be sent.
        emptying: the kind and id for whose last chance the worker empties itself.
        stopped: a suspect found no free slot, so nothing is prefetched.
        passed: how many suspects the last claim passed.
        along_pays: a claim along with a settle is likely to find something.
        minds: it minds a due time, and claims within a second.
    """

    def __init__(self, settings: WorkerSettings, now: float) -> None:
        self._poll_s = settings.poll_interval_s
        self._reconcile_every_s = settings.beat_interval_s
        self._next_claim_at = now
        self._reconcile_at = now + self._reconcile_every_s
        self._left_over = False
        self._all_due = True
        self.hungry = True
        self.token_in_hand = False
        self.keeps_done = True
        self.emptying: tuple[str, str] | None = None
        self.stopped = False
        self.passed = 0
        self.found_nothing = False
        self.along_pays = True
        self.minds = self._has_passed = self._was_full = False

    def claim_is_due(self, now: float) -> bool:
        """Whether to ask for jobs, if there is room."""
        return self.hungry or self.token_in_hand or now >= self._next_claim_at

    def all_are_due(self, now: float) -> bool:
        """Whether the next claim is to ask for all kinds: the time has come that the last one that
        did so named, or something is not as it was then.
        """
        return self._all_due or self._has_passed or now >= self._next_claim_at

    @property
    def working(self) -> bool:
        """Whether other kinds may be waiting that the last claim did not ask for."""
        return self.hungry or self._was_full

    @property
    def only_polls(self) -> bool:
        """Whether a claim that is due is so for no other reason than that one could be missed."""
        return not (
            self.hungry or self.token_in_hand or self._all_due or self.minds or self.stopped
            or self._has_passed or self.emptying is not None
        )  # fmt: skip

    def due_time_has_come(self, now: float) -> bool:
        """Whether a due time that this worker minds has."""
        return self.minds and now >= self._next_claim_at

    def polled(self, now: float) -> None:
        """A look without a claim, at all kinds, found nothing."""
        self.found_nothing = True
        self._next_claim_at = now + self._poll_s

    def something_ended(self) -> None:
        """A slot is free again: what was left over, or what the worker empties itself for, may be
        had now.
        """
        if self._left_over or self.emptying is not None:
            self.hungry = True

    def token_came(self) -> None:
        """The bell rang."""
        self.token_in_hand = True

    def claimed(
        self,
        claimed: Claimed,
        now: float,
        *,
        looked_at: float | None = None,
        asked_all: bool = True,
        have_more: bool = False,
        along: bool = False,
        was_full: bool = False,
    ) -> None:
        """A claim was answered. One that asked for some kinds only proves nothing of the others.

        Args:
            looked_at: when Redis looked, by a guess that is rather early; None: now.
            have_more: some of those had work.
            along: it went along with a settle.
            was_full: there was no room for more.
        """
        self.token_in_hand = False
        self.keeps_done = claimed.keeps_done
        self.emptying = claimed.emptying
        self.stopped = claimed.stopped
        self.passed = claimed.passed
        self._left_over = have_more or bool(claimed.left_over)
        self.hungry = self._left_over and bool(claimed.ids)
        self.found_nothing = asked_all and not (
            claimed.ids or claimed.left_over or claimed.passed or claimed.emptying is not None
        )
        self._was_full = was_full
        self._has_passed = bool(claimed.passed) or (self._has_passed and not asked_all)
        if was_full or self._left_over or self._has_passed or len(claimed.ids) > 1:
            # One that was full minds no due time, either; what was passed may be had now.
            self.along_pays = True
        elif along:
            self.along_pays = bool(claimed.ids)
        self._all_due = self._all_due and not asked_all
        due_in_s = None if claimed.next_due_us is None else claimed.next_due_us / 1e6
        if due_in_s is not None and looked_at is not None:
            due_in_s -= now - looked_at
        self._mind(due_in_s, now, asked_all=asked_all)
        if have_more and not claimed.ids:
            self.look_at_all()
        if self.minds and was_full and not asked_all:
            # Due times of the other kinds become another's, by a claim of nothing for all.
            self.look_at_all()
            self.token_in_hand = True

    def _mind(self, due_in_s: float | None, now: float, *, asked_all: bool) -> None:
        """When to claim next, and whether this worker minds a due time."""
        pause_s = self._poll_s
        self.minds = due_in_s is not None or (self.minds and not asked_all)
        if due_in_s is not None:
            # Whoever minds a due time says so again before its word expires.
            pause_s = min(pause_s, due_in_s, TIMEKEEPER_MS / 2000)
        next_claim_at = now + pause_s
        self._next_claim_at = (
            next_claim_at if asked_all else min(self._next_claim_at, next_claim_at)
        )

    def look_at_all(self) -> None:
        """Something is not as it was at the last claim: ask for all kinds, as soon as may be."""
        self.hungry = self._all_due = True

    def begin_anew(self, now: float) -> None:
        """The worker has a new id, or may have missed something: what it knew of the queue proves
        nothing.
        """
        self.look_at_all()
        self.emptying = None
        self.found_nothing = False
        self._reconcile_at = now + self._reconcile_every_s

    def reconcile_is_due(self, now: float) -> bool:
        """Whether to compare with the processing list."""
        return now >= self._reconcile_at

    def reconciled(self, now: float) -> None:
        """The comparison was made."""
        self._reconcile_at = now + self._reconcile_every_s

    def sleep_s(self, now: float, *, has_room: bool, waiting: bool, unsettled: bool) -> float:
        """How long nothing needs to be done unless something happens."""
        until = self._reconcile_at
        if has_room:
            until = min(until, self._next_claim_at)
        if waiting:
            until = min(until, now + STUCK_S / 2)
        if unsettled:
            until = min(until, now + LINGER_S)
        return max(0.0, until - now)
