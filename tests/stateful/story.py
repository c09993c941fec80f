"""What may happen next. An action takes its choices from a chooser, and may find nothing to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redisjobs.job import Job
from redisjobs.operations.membership import Lapse
from redisjobs.operations.one_job import cancel, delete, get, retry
from redisjobs.operations.settle import Settlement, settle
from redisjobs.operations.sweep import sweep
from redisjobs.record import encode_job, encode_state_body
from tests.stateful.actors import LEASE_US, Producer, Worker
from tests.stateful.model import HOUR_US, Holding
from tests.stateful.wire import id_of
from tests.stateful.world import MINUTE_US, SECOND_US, Flight, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from redisjobs.record import EncodedJob
    from tests.stateful.chooser import Chooser
    from tests.stateful.ticking import TickingLibrary
    from tests.stateful.world import Habits

KINDS = ("email", "größe", "a:b c")
# Few, so that they meet; some look like parts of what is stored.
IDS = (
    "j1", "j2", "j3", "j4", "7:j5", "j 6", "zwölf", "new\nline", "{j9}", "P1:2:3", "%w", "'", "7",
    ":", "j15", "j16", "j17", "j18", "j19", "j20",
)  # fmt: skip
DAY_US = 24 * HOUR_US
MOST_WORKERS = 4

RETENTIONS: tuple[dict[str, int], ...] = (
    {},
    {"retention_us": 0},
    {"retention_us": 0, "failed_retention_us": 0},
    {"retention_us": 2 * SECOND_US, "failed_retention_us": 5 * SECOND_US},
    {"retention_limit": 1, "failed_limit": 2},
    {"retention_limit": 0, "failed_retention_us": 0},
    {"failed_limit": 0},
)
STEPS_IN_TIME = (
    1000, 50_000, SECOND_US, SECOND_US, 3 * SECOND_US, LEASE_US // 3, LEASE_US // 3,
    LEASE_US + SECOND_US, LEASE_US + SECOND_US, 2 * MINUTE_US, 2 * HOUR_US, 8 * DAY_US,
    -3 * SECOND_US, -2 * MINUTE_US,
)  # fmt: skip


class Story:
    """Several producers, workers and an operator on one queue.

    Args:
        choose: chooses how the queue is set up.
    """

    def __init__(
        self,
        client: redis.Redis,
        name: str,
        choose: Chooser,
        library: TickingLibrary,
        habits: Habits,
    ) -> None:
        self.world = World(client, name, library, habits, choose.one_of((3, 2, 3, 1, 3, 0)))
        self.producers = [Producer(self.world, name) for name in ("p", "q", "r")]
        self.workers: list[Worker] = []
        self._marks = 0
        self._settings = choose.one_of(RETENTIONS)
        for _ in range(2):
            self.start_worker(choose)

    def close(self) -> None:
        self.world.close()

    # ------------------------------------------------------------------ carrying out

    def _go(self, flight: Flight, choose: Chooser, percent_lost: int = 6) -> None:
        """Goes on with an operation, to its end or until it is lost or left under way at a call."""
        while not flight.is_over and not choose.happens(15):
            if choose.happens(percent_lost):
                self.world.lose(flight, choose)
            else:
                self.world.advance(flight)

    def advance(self, choose: Chooser) -> None:
        """The next call of some operation that is under way."""
        if self.world.flights:
            flight = choose.one_of(self.world.flights)
            if choose.happens(15):
                self.world.lose(flight, choose)
            else:
                self.world.advance(flight)

    def arrive(self, choose: Chooser) -> None:
        """Something that was given up arrives late."""
        if self.world.late:
            self.world.arrive(choose.one_of(self.world.late))

    def _one_worker(self, choose: Chooser) -> Worker | None:
        working = [worker for worker in self.workers if worker.may_work]
        return choose.one_of(working) if working else None

    # ------------------------------------------------------------------ producers

    def enqueue(self, choose: Chooser) -> None:
        """A producer stores some jobs, or repeats what was not answered, or gives it up."""
        producer = choose.one_of(self.producers)
        if producer.is_busy:
            return
        if producer.waits_for_an_answer:
            if choose.happens(10):
                producer.give_up()
            else:
                self._go(producer.repeat(), choose, percent_lost=20)
            return
        self._go(producer.enqueue(self._new_jobs(choose)), choose, percent_lost=20)

    def _new_jobs(self, choose: Chooser) -> list[EncodedJob]:
        self._marks += 1
        absent = [id for id in IDS if id not in self.world.model.jobs]
        wanted = absent if absent and choose.happens(75) else IDS
        ids = choose.some_of(wanted, 6) or [choose.one_of(wanted)]
        kinds = choose.some_of(KINDS, 2) or list(KINDS[:1])
        return [
            encode_job(Job(choose.one_of(kinds), b"", id=id), self._marks, 100)._replace(
                when=self._when(choose)
            )
            for id in ids
        ]

    def _when(self, choose: Chooser) -> str:
        """Due now, after a delay, or at an instant: passed, far ahead, or one that others share."""
        if choose.happens(60):
            return ""
        now = self.world.model.time
        if choose.happens(50):
            return f"+{choose.one_of((1000, SECOND_US, 20 * SECOND_US, HOUR_US))}"
        whole_minute = now - now % MINUTE_US + MINUTE_US
        return str(
            choose.one_of(
                (whole_minute, 0, now - HOUR_US, whole_minute, now + 300 * 365 * DAY_US // 2)
            )
        )

    # ------------------------------------------------------------------ workers

    def start_worker(self, choose: Chooser) -> None:
        """Another worker comes, if there is room for it."""
        if sum(worker.is_alive for worker in self.workers) >= MOST_WORKERS:
            return
        kinds = KINDS if choose.happens(70) else choose.some_of(KINDS) or KINDS[:1]
        settings = choose.one_of(RETENTIONS) if choose.happens(10) else self._settings
        name = f"w{len(self.workers) + 1}"
        worker = Worker(self.world, name, kinds, choose.number(1, 4), settings)
        self.workers.append(worker)
        self._go(worker.register(), choose)

    def claim(self, choose: Chooser) -> None:
        """A worker claims, and settles in the same round trip."""
        worker = self._one_worker(choose)
        if worker:
            prefetches = choose.happens(50)
            ahead = [choose.number(0, 3) if prefetches else 0 for _ in worker.kinds]
            self._go(worker.claim(ahead, choose), choose)

    def work(self, choose: Chooser) -> None:
        """Handlers begin and end; nobody has told Redis yet."""
        busy = [one for one in self.workers if one.is_alive and (one.open or one.ghosts)]
        if not busy:
            return
        worker = choose.one_of(busy)
        if worker.ghosts and choose.happens(30):
            worker.ghosts.pop(choose.one_of(list(worker.ghosts)))
        for delivery in choose.some_of(list(worker.open), 4):
            worker.start(delivery)
            if choose.happens(50):
                self._end(worker, delivery, choose)

    def _end(self, worker: Worker, delivery: str, choose: Chooser) -> None:
        letter = choose.one_of("DDDDPPPFXC")
        delay_us = choose.one_of((5 * SECOND_US, 0, 60 * SECOND_US)) if letter == "P" else 0
        worker.end(delivery, letter, delay_us)

    def settle(self, choose: Chooser) -> None:
        """A worker settles what has ended."""
        worker = self._one_worker(choose)
        if worker and worker.unsettled:
            self._go(worker.settle(), choose)

    def settle_stale(self, choose: Chooser) -> None:
        """A handler that lost its lock long ago ends, in the job's new worker or in another."""
        model = self.world.model
        held = [job.id for job in model.jobs.values() if isinstance(job.place, Holding)]
        wanted = set(held) if choose.happens(80) else {id_of(one[1]) for one in model.handed_out}
        past = [one for one in model.handed_out[-60:] if id_of(one[1]) in wanted]
        if not past:
            return
        owner, delivery, kind = choose.one_of(past)
        by = choose.one_of([owner, *(worker.name for worker in self.workers)])
        if delivery in model.processing.get(by, []):
            return
        letter = choose.one_of("DPF")
        body = encode_state_body(0, None, "stale", None)
        settlement = Settlement(delivery, kind, letter.encode(), 9, 0, body)
        flight = Flight(f"stale settle by {by}", settle(self.world.keys, by, [settlement]))
        self._go(self.world.begin(flight), choose)

    def release(self, choose: Chooser) -> None:
        """A worker gives back some of what it has not begun."""
        worker = self._one_worker(choose)
        if not worker:
            return
        unstarted = [delivery for delivery, job in worker.open.items() if not job.started]
        wanted = set(choose.some_of(unstarted))
        for delivery in unstarted:
            if delivery in wanted:
                worker.give_back(delivery)
        if worker.to_release:
            self._go(worker.release(), choose)

    def beat(self, choose: Chooser) -> None:
        """A worker's heart beats."""
        alive = [worker for worker in self.workers if worker.is_alive and worker.is_registered]
        if alive:
            self._go(choose.one_of(alive).beat(), choose)

    def reap(self, choose: Chooser) -> None:
        """A worker takes jobs of another back: it saw its lease lapse, or knows that it is dead."""
        choices: list[tuple[Worker, Lapse | str]] = []
        leases = self.world.model.leases
        dead = [
            one for one in self.workers if one.is_dead and (one.name in leases or choose.happens(5))
        ]
        for worker in self.workers:
            if worker.is_alive:
                choices += ((worker, lapse) for lapse in worker.lapses)
                choices += ((worker, one.name) for one in dead)
        if not choices:
            return
        worker, victim = choose.one_of(choices)
        flight = worker.reap(victim) if isinstance(victim, Lapse) else worker.reap_dead(victim)
        self._go(flight, choose)

    def two_reapers(self, choose: Chooser) -> None:
        """Two workers take the jobs of a third one back at once."""
        self.start_worker(choose)
        leases = self.world.model.leases
        victims = [one for one in self.workers if one.name in leases and not one.has_left]
        reapers = [one for one in victims if one.is_alive and one.is_registered]
        if not victims:
            return
        held = self.world.model.processing
        victim = max(victims, key=lambda one: len(held.get(one.name, ())))
        reapers = [one for one in reapers if one is not victim][:2]
        self.world.move_clock_to(self.world.model.time + LEASE_US + SECOND_US)
        for reaper in reapers:
            self.world.finish(reaper.beat())
        flights = [
            reaper.reap(lapse)
            for reaper in reapers
            for lapse in list(reaper.lapses)
            if lapse.worker == victim.name
        ]
        self._take_turns(flights, choose)

    def _take_turns(self, flights: Sequence[Flight], choose: Chooser) -> None:
        """Goes on with several operations at once. Now and then one is lost, or all are left."""
        while going := [flight for flight in flights if not flight.is_over]:
            if choose.happens(5):
                return
            flight = choose.one_of(going)
            if choose.happens(5):
                self.world.lose(flight, choose)
            else:
                self.world.advance(flight)

    def stall(self, choose: Chooser) -> None:
        """A worker is silent for longer than its lease, and another one begins to reap it."""
        alive = [worker for worker in self.workers if worker.is_alive and worker.is_registered]
        holding = [worker for worker in alive if worker.open]
        if not holding or len(alive) < 2:
            return
        victim = choose.one_of(holding)
        reaper = choose.one_of([worker for worker in alive if worker is not victim])
        self.world.move_clock_to(self.world.model.time + LEASE_US + SECOND_US)
        self.world.finish(reaper.beat())
        for lapse in list(reaper.lapses):
            if lapse.worker == victim.name:
                self._go(reaper.reap(lapse), choose)

    def mend(self, choose: Chooser) -> None:
        """A worker that is unsure, unregistered, lost or leaving goes on; or one just looks."""
        idle = [worker for worker in self.workers if worker.is_alive and not worker.is_pumping]
        troubled = [worker for worker in idle if not worker.may_work]
        if troubled or idle:
            worker = choose.one_of(troubled or idle)
            self._go(mending(worker), choose, percent_lost=20 if worker.is_registered else 40)

    def crash(self, choose: Chooser) -> None:
        """A worker dies."""
        alive = [worker for worker in self.workers if worker.is_alive]
        if alive:
            choose.one_of(alive).crash(choose)

    def leave(self, choose: Chooser) -> None:
        """A worker shuts down."""
        worker = self._one_worker(choose)
        if worker:
            self._go(worker.leave(), choose)

    # ------------------------------------------------------------------ operators, time

    def operate(self, choose: Chooser) -> None:
        """An operator looks at a job, cancels, retries or deletes it."""
        there = list(self.world.model.jobs)
        id = choose.one_of(there if there and choose.happens(80) else IDS)
        what = choose.one_of((get, cancel, retry, delete))
        flight = Flight(f"{what.__name__} {id!r}", what(self.world.keys, id))
        self._go(self.world.begin(flight), choose)

    def sweep(self, choose: Chooser) -> None:
        """Finished records past their time are dropped."""
        self._go(self._begin_sweep(choose), choose)

    def two_sweepers(self, choose: Chooser) -> None:
        """Two workers sweep at once."""
        self._take_turns([self._begin_sweep(choose) for _ in range(2)], choose)

    def _begin_sweep(self, choose: Chooser) -> Flight:
        kinds = choose.some_of(KINDS) or KINDS
        operation = sweep(self.world.keys, kinds, choose.one_of((1000, 1, 3)))
        return self.world.begin(Flight("sweep", operation))

    def let_time_pass(self, choose: Chooser) -> None:
        """The server's clock goes on, or is set back."""
        by = choose.one_of(STEPS_IN_TIME[: choose.number(1, len(STEPS_IN_TIME))])
        self.world.move_clock_to(self.world.model.time + by)

    def forget_scripts(self, choose: Chooser) -> None:
        """The server forgets its scripts."""
        self.world.forget_scripts()


def mending(worker: Worker) -> Flight:
    """What a worker has to do before it can work again."""
    if not worker.is_registered:
        return worker.register()
    if worker.is_lost:
        return worker.begin_anew()
    if worker.is_leaving and not worker.is_unsure:
        return worker.leave()
    return worker.reconcile()


# How often each comes.
ACTIONS = {
    "enqueue": 14,
    "claim": 22,
    "work": 16,
    "settle": 8,
    "settle_stale": 3,
    "release": 5,
    "beat": 10,
    "reap": 10,
    "stall": 4,
    "mend": 14,
    "start_worker": 4,
    "crash": 2,
    "leave": 1,
    "operate": 5,
    "sweep": 2,
    "let_time_pass": 7,
    "advance": 14,
    "arrive": 4,
    "forget_scripts": 1,
}
# Short stories have what would hardly ever come about in them.
SHORT_ACTIONS = ACTIONS | {"two_reapers": 6, "two_sweepers": 3}
