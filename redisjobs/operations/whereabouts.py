"""whereabouts: how one job stands, and which worker holds it."""

from __future__ import annotations

from typing import NamedTuple

from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.operations.operation import Call, Operation, reply_of
from redisjobs.operations.places import look_everywhere
from redisjobs.operations.refusals import names
from redisjobs.operations.sections import Standing
from redisjobs.states import Status


class Whereabouts(NamedTuple):
    """`worker`: of a job that runs, the id of the one that holds it."""

    standing: Standing
    worker: str | None


def whereabouts(keys: Keys, job: Job) -> Operation[Whereabouts]:
    """Looks where this job is by now. One that ended or vanished since it was read stands as it did
    then.
    """
    if job.status is not Status.PENDING:
        return Whereabouts(Standing(job.status.lower()), None)
    id, kind = job.id.encode(), job.kind.encode()
    for facts in (yield from look_everywhere(keys, [id], [kind], [])):
        stem = b"processing:"
        holders = [place[len(stem) :] for place in facts.places if place.startswith(stem)]
        if holders:
            return Whereabouts(Standing.RUNNING, names(holders)[0])
    replies = yield (Call("list", [keys.meta], [0, "all", "", ""]),)
    (time_us,) = map(int, reply_of(replies))
    ready = (job._run_at_us or 0) <= time_us
    return Whereabouts(Standing.READY if ready else Standing.SCHEDULED, None)
