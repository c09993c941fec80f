"""The end of a story: sound workers run all that is left to an end, and leave nothing behind."""

from __future__ import annotations

from redisjobs.operations.giving_back import reap
from redisjobs.operations.sweep import sweep
from tests.stateful.actors import LEASE_US, Worker
from tests.stateful.chooser import Chooser
from tests.stateful.model import BrokenError, Finished, Holding, Waiting
from tests.stateful.story import DAY_US, KINDS, Story, mending
from tests.stateful.world import MINUTE_US, Flight

ROUNDS = 60
OF_THE_QUEUE = ("meta", "kinds", "totals")


class Plainest(Chooser):
    """Chooses what is plainest: nothing goes wrong any more."""

    def number(self, least: int, most: int) -> int:
        return least


PLAIN = Plainest()


def drain(story: Story) -> None:
    """Brings a story to its end.

    Raises:
        BrokenError: a job is stranded, or something is left behind.
    """
    world = story.world
    world.note("THE END BEGINS")
    while world.late:
        world.arrive(world.late[0])
    while world.flights:
        world.finish(world.flights[0])
    workers = [worker for worker in story.workers if worker.is_alive]
    workers.append(Worker(world, "last", KINDS, 2, {}))
    story.workers.append(workers[-1])
    for _ in range(ROUNDS):
        if all(isinstance(job.place, Finished) for job in world.model.jobs.values()):
            break
        _work_a_round(story, workers)
    else:
        left = [job for job in world.model.jobs.values() if not isinstance(job.place, Finished)]
        raise BrokenError(
            f"I3: nobody ends {[(job.id, job.place) for job in left]}\n{world.told()}"
        )
    _leave(story, workers)
    _clear(story)


def _run(story: Story, flight: Flight) -> None:
    story.world.finish(flight)


def _mend(story: Story, worker: Worker) -> None:
    worker.ghosts.clear()
    _run(story, mending(worker))
    for _ in range(4):
        if worker.has_left or worker.may_work:
            return
        _run(story, mending(worker))


def _work_a_round(story: Story, workers: list[Worker]) -> None:
    for worker in workers:
        if worker.is_alive:
            _mend(story, worker)
        if worker.is_alive:
            _run(story, worker.beat())
    for worker in workers:
        if worker.may_work:
            _reap_all(story, worker)
            if worker.to_release:
                _run(story, worker.release())
            _run(story, worker.claim([1] * len(worker.kinds), PLAIN))
            for delivery in list(worker.open):
                worker.end(delivery, "D")
    for worker in workers:
        if worker.may_work and worker.unsettled:
            _run(story, worker.settle())
    _wait_for_the_next(story)


def _reap_all(story: Story, worker: Worker) -> None:
    for lapse in list(worker.lapses):
        _run(story, worker.reap(lapse))
    for dead in story.workers:
        if dead.is_dead and dead.name in story.world.model.leases:
            _run(story, worker.reap_dead(dead.name))


def _wait_for_the_next(story: Story) -> None:
    """Where nothing is due any more, time passes until something is, or until a lease lapses."""
    model = story.world.model
    waiting = [job.place.at for job in model.jobs.values() if isinstance(job.place, Waiting)]
    if not waiting or min(waiting) > model.time:
        is_held = any(isinstance(job.place, Holding) for job in model.jobs.values())
        ahead = [LEASE_US // 3] if is_held else []
        ahead += [at - model.time for at in waiting]
        story.world.move_clock_to(model.time + min(ahead, default=0))


def _leave(story: Story, workers: list[Worker]) -> None:
    for worker in workers:
        if worker.is_alive:
            _mend(story, worker)
        if worker.is_alive:
            _run(story, worker.leave())
    world = story.world
    world.move_clock_to(world.model.time + LEASE_US + MINUTE_US)
    for name, lease in list(world.model.leases.items()):
        operation = reap(world.keys, name, str(lease), world.max_losses, KINDS)
        _run(story, world.begin(Flight(f"reap of {name}", operation)))


def _clear(story: Story) -> None:
    """All records' time is over, and they are swept. I8: only the queue's own keys are left."""
    world = story.world
    world.move_clock_to(world.model.time + 8 * DAY_US)
    _run(story, world.begin(Flight("sweep", sweep(world.keys, KINDS))))
    for_good = (
        name
        for name in world.stored.names
        if world.client.pttl(world.keys.prefix + name.encode()) < 0
    )
    left = [name for name in for_good if name not in OF_THE_QUEUE]
    if left or world.model.jobs:
        raise BrokenError(f"I8: left behind: {left}, {world.model.jobs}\n{world.told()}")
