"""Runs handlers: sync ones on threads, async ones on an event loop, all from one line of
deliveries.

A delivery runs when it has one of `concurrency` slots. The line and the slots are deques, whose
appends and pops are atomic, so the path of a job takes no lock. What frees a slot looks at the line
again, and what lengthens the line kicks: whichever comes second sees what the other did.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol

from redisjobs.attempt import PLAINLY_DONE, Outcome, run_in_own_context, run_in_own_task
from redisjobs.context import CancelReason, Context
from redisjobs.job import Job
from redisjobs.states import Status
from redisjobs.worker.delivery import Delivery
from redisjobs.worker.incarnation import Incarnation
from redisjobs.worker.loop import STARTS_AT_ONCE, CallersLoop, HandlerLoop, Loop
from redisjobs.worker.wakeup import Wakeup

GIVEN_BACK = Outcome(None)
# How long the loop begins handlers before it does something else.
_TURN_S = 0.005

_LOGGER = logging.getLogger("redisjobs.worker")


class Living(Protocol):
    """What is to be known of a worker's life."""

    current: Incarnation


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a handler runs: its job (None: it cannot be read), its context, the life of its
    worker, past whose lease none may begin, and what a run of `attempt` takes.
    """

    job_of: Callable[[Delivery], Job | None]
    context_of: Callable[[Delivery], Context]
    life: Living
    floor: timedelta
    max_result: int


class Crew:
    """The handlers' threads and loop. `ended` fills with deliveries whose `outcome` is known, and
    `wakeup` is rung.

    Attributes:
        low_water: with more than this many deliveries in the line, an end wakes nobody: there is
            enough to do.
        last_start: when a handler last began, by the monotonic clock.
    """

    def __init__(
        self,
        concurrency: int,
        terms: Terms,
        wakeup: Wakeup,
        new_loop: Callable[[], Loop] = HandlerLoop,
    ) -> None:
        self._terms = terms
        self._wakeup = wakeup
        self._line: deque[Delivery] = deque()
        self._slots: deque[None] = deque([None] * concurrency)
        self._parked: deque[_Member] = deque()
        self._waking = False
        self._short_of_threads = False
        # Each run has a copy of it: what one handler sets is nothing that another may see.
        self._context = copy_context()
        self._new_loop = new_loop
        self._loop: Loop | None = None
        self._loop_kicked = self._driving = False
        self.closed = False
        self.ended: deque[Delivery] = deque()
        self.low_water = 0
        self.last_start = 0.0

    # What the pump does.

    def add(self, deliveries: list[Delivery]) -> None:
        """Puts deliveries in the line, and sees that it is worked on."""
        sorts = {delivery.batch.is_async for delivery in deliveries}
        if self._loop is None and True in sorts:
            self._loop = self._new_loop()
        self._line.extend(deliveries)
        self.kick()
        if False in sorts:
            self._wake_member()  # sync ones do not wait for a loop that a handler blocks

    @property
    def waiting(self) -> int:
        """How many deliveries are in the line."""
        return len(self._line)

    def withdraw(self) -> list[Delivery]:
        """Takes back what has not begun, in its order."""
        withdrawn: deque[Delivery] = deque()
        while True:
            try:
                withdrawn.appendleft(self._line.pop())
            except IndexError:
                return list(withdrawn)

    def cancel(self, delivery: Delivery, reason: CancelReason) -> None:
        """Cancels the run of a delivery: its context, and the task of an async handler. One that
        has not begun never will.
        """
        delivery.cancelled = reason
        context = delivery.context
        if context is not None:
            context.cancel(reason)
        if delivery.batch.is_async and self._loop is not None:
            self._loop.call(_cancel_task, delivery)

    def close(self, timeout_s: float) -> None:
        """Ends the threads that are parked, and the loop. A thread in a handler is a daemon, and
        left behind.
        """
        self.closed = True
        while self._parked:
            self._parked.pop().wake(None)
        if self._loop is not None:
            self._loop.stop(timeout_s)

    # What whoever changes the line or the slots does.

    def kick(self) -> None:
        """Has the first delivery of the line begun, if a slot is free. Who begins one kicks for the
        next.
        """
        if not self._slots or not self._line:
            return
        try:
            first = self._line[0]
        except IndexError:
            return
        if not first.batch.is_async:
            self._wake_member()
        elif not self._loop_kicked and self._loop is not None:
            self._loop_kicked = True
            self._loop.call(self._take_on_loop)

    def _wake_member(self) -> None:
        """Has a member look at the line, with a slot, unless one is about to anyway."""
        if self._waking or not self._line:
            return
        try:
            self._slots.pop()
        except IndexError:
            return
        self._waking = True
        member = self._free_member()
        if member is not None:
            member.wake(None)
        else:
            self._waking = False
            self._slots.append(None)
            self._kick_others()

    def _kick_others(self) -> None:
        """No thread could be started, and meanwhile the loop found no slot, or a member parked and
        left it to this one to wake it.
        """
        with contextlib.suppress(IndexError):
            if self._parked or self._line[0].batch.is_async:
                self.kick()

    def _free_member(self) -> _Member | None:
        """A member that has nothing to do. None: no thread can be started. Those that there are
        work on the line; what gets stuck there the pump gives back.
        """
        try:
            return self._parked.pop()
        except IndexError:
            pass
        try:
            member = _Member(self)
        except RuntimeError as err:
            if not self._short_of_threads:
                _LOGGER.warning("fewer handlers run than could: %s", err)
            self._short_of_threads = True
            return None
        self._short_of_threads = False
        return member

    def _end(self, delivery: Delivery, outcome: Outcome) -> None:
        if delivery.cancelled is not None and outcome.status is Status.PENDING:
            # Cancelled in the instant before its handler was called: that is no attempt.
            outcome = outcome if outcome.exception is not None else GIVEN_BACK
        if outcome is PLAINLY_DONE:
            delivery.context = None  # what dies young costs the garbage collector nothing
        delivery.outcome = outcome
        self.ended.append(delivery)
        if self._wakeup.armed and len(self._line) <= self.low_water:
            self._wakeup.wake()

    def _begin(self, delivery: Delivery) -> Context | None:
        """Has it begun, and returns the context of its run. None: its handler may not begin: the
        lock may not hold any more, by this machine's own clock, or it was cancelled.
        """
        terms, now = self._terms, time.monotonic()
        if now >= terms.life.current.lease_ends:
            return None
        self.last_start = delivery.started_at = now
        delivery.context = context = terms.context_of(delivery)
        return context if delivery.cancelled is None else None

    # On a member's thread.

    def member_awake(self) -> None:
        """The member that was woken is there, and will kick for the next one."""
        self._waking = False

    def work(self, given: Delivery | None) -> bool:
        """Runs `given`, then what is in the line. It begins with a slot; returns whether it has one
        still.
        """
        line = self._line
        while True:
            if given is None:
                try:
                    given = line.popleft()
                except IndexError:
                    return True
            if line and self._slots and not self._waking:
                self.kick()
            if not given.batch.is_async:
                self._run(given)
            else:
                # The slot goes to the loop with it.
                assert self._loop is not None  # add() made it
                self._loop.call(self._begin_given, given)
                try:
                    self._slots.pop()
                except IndexError:
                    return False
            given = None

    def _run(self, delivery: Delivery) -> None:
        terms, outcome = self._terms, GIVEN_BACK
        job = terms.job_of(delivery)
        if job is not None and (context := self._begin(delivery)) is not None:
            outcome = self._context.copy().run(
                run_in_own_context, delivery.batch.fn, context, job, terms.floor, terms.max_result
            )
            assert delivery.started_at is not None
            delivery.seconds = time.monotonic() - delivery.started_at
        self._end(delivery, outcome)

    def park(self, member: _Member, has_slot: bool) -> None:
        """The member has nothing to do. It is parked before its slot is free: who holds a slot must
        find a thread.
        """
        self._parked.append(member)
        if has_slot:
            self._slots.append(None)
        self.kick()

    # On the loop's thread.

    def _take_on_loop(self) -> None:
        """Begins what is in the line while there are slots, and lets others of the loop have their
        turn now and then: handlers that wait for nothing end in here.
        """
        self._loop_kicked, self._driving = False, True
        turn_ends = time.monotonic() + _TURN_S
        try:
            while time.monotonic() < turn_ends:
                try:
                    self._slots.pop()
                except IndexError:
                    return
                if not self._begin_next():
                    self._slots.append(None)
                    if self._short_of_threads:
                        return
                    break
        finally:
            self._driving = False
        self.kick()

    def _begin_given(self, delivery: Delivery) -> None:
        """What a member found in the line, with its slot."""
        self._driving = True
        try:
            self._begin_on_loop(delivery)
        finally:
            self._driving = False
        self.kick()

    def _begin_on_loop(self, delivery: Delivery) -> None:
        assert self._loop is not None  # add() made it
        delivery.task = task = self._loop.start(self._run_async(delivery), self._context.copy())
        if not STARTS_AT_ONCE:
            task.add_done_callback(partial(self._task_is_over, delivery))

    def _begin_next(self) -> bool:
        """With a slot: hands it to the first delivery of the line. False: there is none, or no
        thread for it.
        """
        try:
            delivery = self._line.popleft()
        except IndexError:
            return False
        if delivery.batch.is_async:
            self._begin_on_loop(delivery)
            return True
        member = self._free_member()
        if member is None:
            self._line.appendleft(delivery)
            return False
        member.wake(delivery)
        return True

    async def _run_async(self, delivery: Delivery) -> None:
        terms, outcome = self._terms, GIVEN_BACK
        job = terms.job_of(delivery)
        if job is not None and (context := self._begin(delivery)) is not None:
            outcome = await run_in_own_task(
                delivery.batch.fn, context, job, terms.floor, terms.max_result
            )
            if (
                outcome is not PLAINLY_DONE
                and isinstance(outcome.exception, asyncio.CancelledError)
                and self._is_host_ending()
            ):
                outcome = GIVEN_BACK
            assert delivery.started_at is not None
            delivery.seconds = time.monotonic() - delivery.started_at
        self._end(delivery, outcome)
        self._pass_slot_on()

    def _is_host_ending(self) -> bool:
        """Whether the task that runs this was cancelled by the application that is the worker's
        host: it cancels all of its tasks when it ends, and does not mean this job.
        """
        task = asyncio.current_task()
        return isinstance(self._loop, CallersLoop) and task is not None and task.cancelling() > 0

    def _pass_slot_on(self) -> None:
        self._slots.append(None)
        if not self._driving:  # else who drives goes on with it
            self._take_on_loop()

    def _task_is_over(self, delivery: Delivery, _: asyncio.Task[None]) -> None:
        """Where a task does not start at once, one that is cancelled before its first step never
        runs: by a handler that cancels all tasks of its loop, as some do to clean up.
        """
        if delivery.outcome is None and not self.closed:
            self._end(delivery, GIVEN_BACK)
            self._pass_slot_on()


def _cancel_task(delivery: Delivery) -> None:
    if delivery.task is not None and delivery.outcome is None:
        delivery.task.cancel()


class _Member:
    """A thread that runs sync handlers. A daemon: a hung handler must not hold the process."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._parked = threading.Lock()
        self._parked.acquire()
        self._given: Delivery | None = None
        threading.Thread(target=self._live, name="redisjobs-handler", daemon=True).start()

    def wake(self, given: Delivery | None) -> None:
        """Hands it a slot, and with it a delivery or the first of the line."""
        self._given = given
        self._parked.release()

    def _live(self) -> None:
        crew = self._crew
        while not crew.closed:  # also where its handler was left behind and has ended since
            self._parked.acquire()
            given, self._given = self._given, None
            if given is None:
                crew.member_awake()
            if not crew.closed:
                crew.park(self, crew.work(given))
