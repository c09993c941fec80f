"""Who uses the queue: producers that repeat what was not answered, and simulated workers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from redisjobs.errors import JobExistsError, LockLostError, RedisJobsError
from redisjobs.operations.claim import Claimed, ClaimRequest, claim
from redisjobs.operations.enqueue import enqueue
from redisjobs.operations.giving_back import reap, release
from redisjobs.operations.membership import Beat, Lapse, beat, held, register, unregister
from redisjobs.operations.operation import Operation, command, join
from redisjobs.operations.settle import Settlement, settle
from redisjobs.record import decode_state, encode_state_body
from tests.stateful.model import BrokenError
from tests.stateful.wire import id_of
from tests.stateful.world import Flight, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from redisjobs.record import EncodedJob
    from tests.stateful.chooser import Chooser

LEASE_US = 15_000_000


class Producer:
    """One caller of enqueue at a time, in one lane after another."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name
        self._lanes = count(1)
        self._lane = f"{name}-{next(self._lanes)}"
        self._number = 0
        self._unanswered: Sequence[EncodedJob] = ()
        self._flight: Flight | None = None

    @property
    def is_busy(self) -> bool:
        return self._flight is not None and not self._flight.is_over

    @property
    def waits_for_an_answer(self) -> bool:
        return bool(self._unanswered) and not self.is_busy

    def enqueue(self, jobs: Sequence[EncodedJob]) -> Flight:
        """The next call of this producer."""
        self._number += 1
        self._unanswered = jobs
        return self.repeat()

    def repeat(self) -> Flight:
        """The call that was not answered, with its number."""
        operation = enqueue(self._world.keys, self._lane, self._number, self._unanswered)
        label = f"enqueue {self._number} by {self._lane}"
        self._flight = Flight(label, operation, self._answered, self._refused)
        return self._world.begin(self._flight)

    def _answered(self, _: object) -> None:
        self._unanswered = ()

    def _refused(self, err: RedisJobsError) -> None:
        if not isinstance(err, JobExistsError):
            raise BrokenError(str(err))
        self._unanswered = ()

    def give_up(self) -> None:
        """Nobody knows what became of the call; its lane is thrown away."""
        self._unanswered = ()
        self._lane = f"{self._name}-{next(self._lanes)}"
        self._number = 0


@dataclass
class Open:
    """A delivery that a worker knows of and that has not ended."""

    delivery: str
    kind: str
    attempts: int
    losses: int
    alone: bool
    started: bool = False


class Worker:
    """A simulated worker. Its pump does one thing at a time; heart and janitor go their ways."""

    def __init__(
        self,
        world: World,
        name: str,
        kinds: Sequence[str],
        concurrency: int,
        settings: Mapping[str, int],
    ) -> None:
        self._world = world
        self._base = name
        self._incarnations = count(1)
        self.name = f"{name}.{next(self._incarnations)}"
        self.kinds = list(kinds)
        self._concurrency = concurrency
        self._settings = settings
        self.open: dict[str, Open] = {}
        self.unsettled: dict[str, Settlement] = {}
        self.to_release: dict[str, None] = {}
        self.ghosts: dict[str, str] = {}
        self._lost_ids: list[str] = []
        self.lapses: list[Lapse] = []
        self._emptying: tuple[str, str] | None = None
        self._stopped = False
        self._passed = 0
        self.is_registered = False
        self.is_unsure = False
        self.is_lost = False
        self.is_dead = False
        self.is_leaving = False
        self.has_left = False
        self._pump: Flight | None = None
        self._others: list[Flight] = []

    def __str__(self) -> str:
        return self.name

    # ------------------------------------------------------------------ flights

    @property
    def is_pumping(self) -> bool:
        return self._pump is not None and not self._pump.is_over

    @property
    def is_alive(self) -> bool:
        return not (self.is_dead or self.has_left)

    @property
    def may_work(self) -> bool:
        """Whether its pump may claim, settle and release."""
        return (
            self.is_alive and self.is_registered and not self.is_pumping and not self.is_leaving
            and not self.is_unsure and not self.is_lost
        )  # fmt: skip

    def _pumps(self, what: str, operation: Operation[Any], on_end: Callable[[Any], None]) -> Flight:
        label = f"{what} of {self.name}"
        self._pump = Flight(label, operation, on_end, self._failed, self._reply_was_lost)
        return self._world.begin(self._pump)

    def _reply_was_lost(self) -> None:
        self.is_unsure = True
        if not self._world.habits.repeats_settles:
            self.unsettled.clear()

    def _failed(self, err: RedisJobsError) -> None:
        if not isinstance(err, LockLostError):
            raise BrokenError(str(err))
        self.is_lost = True

    # ------------------------------------------------------------------ its membership

    def register(self) -> Flight:
        """Enters the queue, or does so again because nobody answered."""
        world = self._world
        operation = register(
            world.keys, self.name, LEASE_US, self.name.encode(), self._settings, self._lost_ids
        )
        return self._pumps("register", operation, self._registered)

    def _registered(self, _: object) -> None:
        self.is_registered, self._lost_ids = True, []

    def beat(self) -> Flight:
        """One heartbeat."""
        name = self.name

        def failed(err: RedisJobsError) -> None:
            if name == self.name:  # else it has begun anew meanwhile
                self._failed(err)

        operation = beat(self._world.keys, name, LEASE_US)
        flight = Flight(f"beat of {name}", operation, self._has_beaten, failed)
        self._others.append(flight)
        return self._world.begin(flight)

    def _has_beaten(self, seen: Beat) -> None:
        self.lapses = list(seen.lapses)

    def reap(self, lapse: Lapse) -> Flight:
        """Takes the jobs of a worker back whose lease it has seen to lapse, rightly or not."""
        self.lapses.remove(lapse)
        return self._reap(lapse.worker, lapse.lapsed_at)

    def reap_dead(self, worker: str) -> Flight:
        """Takes the jobs of a worker back whose process is known to be dead."""
        return self._reap(worker, None)

    def _reap(self, worker: str, judged: str | None) -> Flight:
        world = self._world
        operation = reap(world.keys, worker, judged, world.max_losses, self.kinds)
        flight = Flight(f"reap of {worker} by {self.name}", operation)
        self._others.append(flight)
        return world.begin(flight)

    def crash(self, choose: Chooser) -> None:
        """Forgets everything. What it had sent may still arrive."""
        self.is_dead = True
        self._world.note("CRASH", self.name)
        for flight in (self._pump, *self._others):
            if flight is not None and not flight.is_over:
                self._world.lose(flight, choose)

    # ------------------------------------------------------------------ its jobs

    def start(self, delivery: str) -> None:
        """Its handler begins."""
        self.open[delivery].started = True

    def end(self, delivery: str, letter: str, delay_us: int = 0) -> None:
        """Its handler has ended, and this is its outcome."""
        job = self.open.pop(delivery)
        body = encode_state_body(self._world.steps, None, None, letter.encode())
        if letter == "D" and job.attempts == 0 and self._world.steps % 2:
            body = b""  # plainly done
        self.unsettled[delivery] = Settlement(
            delivery, job.kind, letter.encode(), job.attempts + 1, delay_us, body
        )
        self._world.ran_to_end.add(delivery)

    def give_back(self, delivery: str) -> None:
        """It is not to be run."""
        del self.open[delivery]
        self.to_release[delivery] = None

    def settle(self) -> Flight:
        """Settles what has ended."""
        settlements = list(self.unsettled.values())
        operation = settle(self._world.keys, self.name, *_told(settlements))
        return self._pumps("settle", operation, lambda _: self._settled(settlements))

    def _settled(self, settlements: Sequence[Settlement]) -> None:
        for settlement in settlements:
            self.unsettled.pop(settlement.delivery, None)

    def release(self) -> Flight:
        """Gives back what is not to be run. The kinds of some it has forgotten."""
        names = list(self.to_release)
        operation = release(self._world.keys, self.name, names, self.kinds[:1])
        return self._pumps("release", operation, lambda _: self._released(names))

    def _released(self, names: Sequence[str]) -> None:
        for name in names:
            self.to_release.pop(name, None)

    def room(self, ahead: Sequence[int]) -> tuple[int, list[int]]:
        """The free slots, and how many jobs of each kind beyond them, if it may claim."""
        if any(job.alone for job in self.open.values()):
            return 0, [0] * len(self.kinds)
        if self._stopped or self._emptying is not None:
            ahead = [0] * len(self.kinds)
        return max(0, self._concurrency - len(self.open) - len(self.ghosts)), list(ahead)

    def claim(self, ahead: Sequence[int], choose: Chooser) -> Flight:
        """Claims what there is room for, and settles in the same round trip what has ended.

        Some claims begin with a bell's token.
        """
        world = self._world
        free, ahead = self.room(ahead)
        guarded = sum(0 < job.losses == world.max_losses - 1 for job in self.open.values())
        turn = choose.number(0, len(self.kinds) - 1)
        kinds = self.kinds[turn:] + self.kinds[:turn]
        request = ClaimRequest(
            self.name, kinds, free + sum(ahead), free, world.max_losses, 1 - guarded, ahead,
            self._passed, self._emptying, list(self.ghosts.values()), minds=not choose.happens(5),
        )  # fmt: skip
        settlements = list(self.unsettled.values())[:3]
        token = kinds[0] if choose.happens(50) else None
        operation = self._claim(token, settlements, request)
        return self._pumps("claim", operation, lambda claimed: self._take(settlements, claimed))

    def _claim(
        self, token: str | None, settlements: Sequence[Settlement], request: ClaimRequest
    ) -> Operation[Claimed]:
        keys = self._world.keys
        if token is not None:
            yield (command("LPOP", keys.bell(token)),)
        if not settlements:
            return (yield from claim(keys, request))
        _, claimed = yield from join(settle(keys, self.name, settlements), claim(keys, request))
        return claimed

    def _take(self, settlements: Sequence[Settlement], claimed: Claimed) -> None:
        self._settled(settlements)
        self._lost_ids = []  # it is registered still, so nobody took its jobs
        self._emptying, self._stopped, self._passed = (
            claimed.emptying,
            claimed.stopped,
            claimed.passed,
        )
        for one in claimed.claims:
            delivery = f"{claimed.token}:{one.id}"
            attempts = decode_state(one.state).attempts_done if one.state else 0
            self.open[delivery] = Open(delivery, one.kind, attempts, one.losses, claimed.alone)

    # ------------------------------------------------------------------ keeping both sides the same

    def reconcile(self) -> Flight:
        """Compares its list with what it knows, and mends both."""
        return self._pumps("reconcile", self._reconcile(), self._is_sure)

    def _reconcile(self) -> Operation[None]:
        world = self._world
        listed = yield from held(world.keys, self.name)
        orphans = self._compare(listed)
        if orphans and world.habits.reconciles:
            yield from release(world.keys, self.name, orphans, self.kinds)

    def _is_sure(self, _: object) -> None:
        self.is_unsure = False

    def _compare(self, listed: Sequence[str]) -> list[str]:
        known = {**self.open, **self.unsettled, **self.to_release}
        for delivery in known:
            if delivery not in listed:
                self._lose(delivery)
        return [delivery for delivery in listed if delivery not in known]

    def _lose(self, delivery: str) -> None:
        job = self.open.pop(delivery, None)
        if job and job.started:
            self.ghosts[delivery] = id_of(delivery)
        self.unsettled.pop(delivery, None)
        self.to_release.pop(delivery, None)
        self._lost_ids.append(id_of(delivery))

    def begin_anew(self) -> Flight:
        """Its lease is lost: it drops what it held and takes a new id."""
        for delivery in [*self.open, *self.unsettled, *self.to_release]:
            self._lose(delivery)
        return self._pumps("farewell", self._farewell(), self._take_new_name)

    def _farewell(self) -> Operation[None]:
        keys = self._world.keys
        left = yield from held(keys, self.name)
        if left:
            yield from release(keys, self.name, left, self.kinds)
        yield from unregister(keys, self.name)

    def _take_new_name(self, _: object) -> None:
        self.name = f"{self._base}.{next(self._incarnations)}"
        self.is_lost = self.is_unsure = self.is_registered = False
        self._emptying = None

    def leave(self) -> Flight:
        """Settles and gives back what it holds, and has itself forgotten."""
        self.is_leaving = True
        for delivery in list(self.open):
            self.give_back(delivery)
        return self._pumps("leave", self._leave(), self._is_gone)

    def _leave(self) -> Operation[None]:
        keys = self._world.keys
        if self.to_release:
            yield from release(keys, self.name, list(self.to_release), self.kinds)
        if self.unsettled:
            yield from settle(keys, self.name, list(self.unsettled.values()))
        self.to_release, self.unsettled = {}, {}
        if (yield from unregister(keys, self.name)):
            yield from self._reconcile()
            yield from unregister(keys, self.name)

    def _is_gone(self, _: object) -> None:
        self.has_left = True


def _told(
    settlements: Sequence[Settlement],
) -> tuple[list[Settlement], dict[str, dict[str, bytes]]]:
    """As workers tell them: those that are plainly done by kind."""
    others: list[Settlement] = []
    done: dict[str, dict[str, bytes]] = {}
    for one in settlements:
        if one.letter == b"D" and one.attempts_done == 1:
            done.setdefault(one.kind, {})[one.delivery] = one.body
        else:
            others.append(one)
    return others, done
