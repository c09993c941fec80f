"""The model beside what is stored. What Redis may choose is taken over; all else must be equal."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tests.stateful.model import BrokenError, Finished, Model, Waiting, require
from tests.stateful.stored import STATUS_OF_LETTER, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator

# A job's place in its call, in quarters of a microsecond, may show in its score.
_PLACES_US = 500
_QUARTERS_END_US = 2**51


def compare(model: Model, stored: Stored) -> None:
    """Checks what is stored after a call, and lets the model take over what was Redis's to choose.

    Raises:
        BrokenError: names all that differs.
    """
    wrong = [*stored.broken()]
    wrong += _adopt_shed(model, stored)
    wrong += _adopt_scores(model, stored)
    wrong += _differences(model, stored)
    wrong += _disorder(model, stored)
    wrong += (
        f"the bell of {kind!r} holds {stored.bells.get(kind, 0)} tokens, not {least}"
        for kind, least in model.rung.items()
        if stored.bells.get(kind, 0) < least
    )
    if wrong:
        raise BrokenError("; ".join(wrong))


def _adopt_shed(model: Model, stored: Stored) -> Iterator[str]:
    """Finished records may go when their time is over, or over their limit, the oldest first."""
    gone = [job for job in model.jobs.values() if job.id not in stored.jobs]
    dropped: dict[tuple[str, str], int] = {}
    for job in gone:
        place = job.place
        if not isinstance(place, Finished):
            yield f"I3: the record of {job.id!r} is gone, but it is {place}"
            continue
        of_set = (STATUS_OF_LETTER[place.letter], job.kind)
        dropped[of_set] = dropped.get(of_set, 0) + 1
        rest = [(other, at) for other, at in model.finished(*of_set) if other.id in stored.jobs]
        over_limit = len(rest) >= model.keep(place.letter)[1]
        oldest = all(place.time <= at.time for _, at in rest)
        if not model.is_past(job) and not (over_limit and oldest):
            yield f"I7: the record of {job.id!r} is gone before its time: {place}"
    for of_set, added in model.added.items():
        to_be_shed = model.to_be_shed(*of_set)
        if dropped.get(of_set, 0) < min(to_be_shed, 2 * added):
            yield f"{of_set} holds {to_be_shed} too many, and {added} came without dropping others"
    for job in gone:
        del model.jobs[job.id]


def _adopt_scores(model: Model, stored: Stored) -> Iterator[str]:
    for job in model.jobs.values():
        place = job.place
        if isinstance(place, Waiting) and place.score is None:
            score = stored.due.get(job.kind, {}).get(job.id)
            if score is None:
                yield f"I3: {job.id!r} should wait as {job.kind!r}, but does not"
                continue
            if place.order.group and not place.at <= score < place.at + _PLACES_US:
                yield f"{job.id!r} is scored {score}, but is due at {place.at}"
            if not place.order.group and score > model.time:
                yield f"{job.id!r} was given back at {model.time}, but is due at {score} only"
            job.place = place._replace(score=score)


def _differences(model: Model, stored: Stored) -> Iterator[str]:
    for what, is_stored, expected in _pairs(model, stored):
        if is_stored != expected:
            yield f"{what}: stored {is_stored!r}, expected {expected!r}"


def _pairs(model: Model, stored: Stored) -> Iterator[tuple[str, object, object]]:
    jobs = model.jobs.values()
    yield "records", stored.jobs, {job.id: job.record for job in jobs}
    yield "state", stored.state, {job.id: job.state for job in jobs if job.state is not None}
    yield "losses", stored.losses, {job.id: job.losses for job in jobs if job.losses}
    yield "held", stored.processing, model.processing
    yield "waiting", stored.due, _by_kind(model)
    yield "finished", stored.finished, _by_status(model)
    yield "leases", stored.workers, model.leases
    yield "worker info", stored.worker_info, model.infos
    yield "totals", stored.totals, dict(model.totals)
    yield "kinds", stored.kinds, model.kinds
    yield "marks of last chances", stored.last_chance, model.marks
    requests = {
        name: "\n".join([str(number), "\0".join(refused)]) if refused else str(number)
        for name, (number, refused) in model.requests.items()
    }
    yield "requests", stored.requests, requests
    meta = {**model.settings, **({"token": model.token} if model.token else {})}
    yield "meta", {name: value for name, value in stored.meta.items() if name != "schema"}, meta


def _by_kind(model: Model) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for job in model.jobs.values():
        if isinstance(job.place, Waiting):
            found.setdefault(job.kind, {})[job.id] = job.place.score
    return found


def _by_status(model: Model) -> dict[tuple[str, str], dict[str, int]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for job in model.jobs.values():
        if isinstance(job.place, Finished):
            of_set = (STATUS_OF_LETTER[job.place.letter], job.kind)
            found.setdefault(of_set, {})[job.id] = job.place.time
    return found


def _disorder(model: Model, stored: Stored) -> Iterator[str]:
    """Waiting jobs stand in the order in which they came due; what was given back stands first."""
    for kind in stored.due:
        waiting = model.waiting(kind)
        for (one, before), (other, after) in pairwise(waiting):
            if before.order > after.order and not _may_swap(before, after):
                yield f"{one.id!r} waits before {other.id!r} of {kind!r}: {before}, {after}"
        head = [job.id for job, _ in waiting][: len(model.headed.get(kind, ()))]
        if head != model.headed.get(kind, []):
            yield f"{kind!r} begins with {head}, not with what was given back: {model.headed[kind]}"


def _may_swap(before: Waiting, after: Waiting) -> bool:
    """Jobs of two calls for one moment may swap, and those of one call from 2041 on.

    Also one that comes for the very moment at which an earlier one stands at the head: that is not
    due (the clock was set back), and their places differ by less than a microsecond.
    """
    one, other = before.order, after.order
    if one[:3] == other[:3] and one.time > _QUARTERS_END_US:
        return True
    if one.time == other.time and (one.group, other.group) == (1, 0):
        return one.call > -other.call
    return one[:2] == other[:2] and one.group == 1 and one.call != other.call


def check_unchanged(before: Stored, after: Stored, but_requests: bool) -> None:
    """I5: a call that was refused has written nothing.

    Raises:
        BrokenError: it has.
    """
    if before == after:
        return
    changed = [
        name
        for name in vars(before)
        if name not in ("time", "names") and getattr(before, name) != getattr(after, name)
    ]
    if but_requests:
        changed = [name for name in changed if name != "requests"]
    require(not changed, f"I5: a call was refused, but wrote {changed}")
