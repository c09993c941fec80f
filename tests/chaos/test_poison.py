"""Jobs that kill their worker every time, and the good ones beside them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from redisjobs import Job, RedisQueue, Status
from redisjobs.record import LOST_TOO_OFTEN
from tests.chaos.misbehaving import Misbehaving
from tests.running import assert_sound, wait_for_end
from tests.waiting import Deadline

if TYPE_CHECKING:
    import redis

    from redisjobs.embedded import EmbeddedServer

WORKERS = 3
POISON, QUICK, LONG = 8, 300, 6


def test_eight_of_them_end_and_condemn_no_good_job_among_three_workers(
    redis_server: EmbeddedServer, queue: RedisQueue, client: redis.Redis
) -> None:
    poison = [Job("poison") for _ in range(POISON)]
    long = [Job("nap", b"1.5") for _ in range(LONG)]
    quick = [Job("nap", b"0.01") for _ in range(QUICK)]
    # Among the good ones: some wait beside each, and some run beside it.
    mixed = [*quick[:30], *long]
    for place, job in enumerate(poison):
        mixed += [job, *quick[30 + 30 * place : 60 + 30 * place]]
    queue.enqueue(*mixed, *quick[30 + 30 * POISON :])
    settings: dict[str, Any] = {"lease": 0.6, "max_losses": 2, "concurrency": 4}
    start = partial(Misbehaving, redis_server.url, queue.name, **settings)
    workers = [start() for _ in range(WORKERS)]
    try:

        def all_ended() -> bool:
            for place, worker in enumerate(workers):
                if worker.process.poll() is not None:  # as an init system would
                    worker.close()
                    workers[place] = start()
            counts = queue.stats().kinds
            return all(kind.scheduled + kind.ready + kind.running == 0 for kind in counts.values())

        Deadline(60).until(all_ended, "all jobs have ended")
        assert [worker.stop() for worker in workers] == [0] * WORKERS
    finally:
        for worker in workers:
            worker.close()
    ended = wait_for_end(queue, *(job.id for job in poison))
    assert {(job.status, job.last_error) for job in ended} == {(Status.PANIC, LOST_TOO_OFTEN)}
    good = [queue.get(job.id) for job in (*quick, *long)]
    assert {job.status for job in good if job is not None} == {Status.DONE}
    assert None not in good
    assert_sound(client, queue)
