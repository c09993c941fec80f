"""What each script must answer, and do to the model."""

from __future__ import annotations

from collections import defaultdict
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from tests.stateful.model import Finished, Holding, Model, ModelJob, Waiting, require, same
from tests.stateful.stored import MOST_TOKENS, STATUS_OF_LETTER
from tests.stateful.wire import (
    AskBeat,
    AskCancel,
    AskDelete,
    AskEnqueue,
    AskGet,
    AskHeld,
    AskReap,
    AskRegister,
    AskRelease,
    AskRetry,
    AskSettle,
    AskSweep,
    AskToken,
    AskUnregister,
    Outcome,
    id_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_OUTCOME_OF = {"D": "done", "F": "failed", "X": "panic", "C": "cancelled", "P": "retried"}


@singledispatch
def expect(asked: object, model: Model, reply: Any) -> None:
    """Checks the reply to a call and lets the model follow it.

    Raises:
        BrokenError: no sound queue would have answered so.
    """
    raise TypeError(f"no expectation for {asked!r}")


def _asks_for_kinds(reply: Any, kinds: Iterable[str]) -> None:
    same("code", reply[0], b"kind")
    same("the kinds asked for", {kind.decode() for kind in reply[1:]}, set(kinds))


@expect.register
def _(asked: AskEnqueue, model: Model, reply: Any) -> None:
    number, refused_before = model.requests.get(asked.producer, (0, []))
    if asked.number < number or (asked.number == number and not refused_before):
        return same("a call that was carried out", reply, [b"again"])
    if asked.number == number:
        return _is_refused(reply, refused_before)
    found = [(new, model.jobs[new.id]) for new in asked.jobs if new.id in model.jobs]
    if any(new.record == job.record for new, job in found):
        return same("a call whose jobs are there", reply, [b"again"])
    refused = [job.id for _, job in found if not model.is_past(job)]
    if refused:
        model.requests[asked.producer] = (asked.number, refused)
        return _is_refused(reply, refused)
    missing = {job.kind for _, job in found} - set(asked.finished_kinds)
    if missing:
        return _asks_for_kinds(reply, missing)
    same("reply", reply, [b"ok"])
    model.requests[asked.producer] = (asked.number, [])
    return _store(asked, model)


def _is_refused(reply: Any, ids: Sequence[str]) -> None:
    same("code of a refusal", reply[0], b"exists")
    same("the ids that exist", sorted(id.decode() for id in reply[1:]), sorted(ids))


def _store(asked: AskEnqueue, model: Model) -> None:
    by_kind: dict[str, list[int]] = defaultdict(list)
    for place, new in enumerate(asked.jobs):
        if new.when == "":
            at = model.time
        elif new.when.startswith("+"):
            at = model.time + int(new.when)
        else:
            at = max(model.time, int(new.when))
        job = ModelJob(new.id, new.kind, new.record, Finished("", 0))
        model.wait(job, at, place)
        model.jobs[new.id] = job
        by_kind[new.kind].append(at)
    for kind, times in by_kind.items():
        model.kinds.add(kind)
        _rings(model, kind, sum(at <= model.time for at in times), min(times))


def _rings(model: Model, kind: str, ready: int, earliest: int) -> None:
    """The bell rings for what is due, or else for what is now the first to come due."""
    others = [place.at for _, place in model.waiting(kind) if place.score is not None]
    if ready or all(earliest < at for at in others):
        model.rung[kind] = max(model.rung.get(kind, 0), min(MOST_TOKENS, max(1, ready)))


@expect.register
def _(asked: AskSettle, model: Model, reply: Any) -> None:
    accepted: list[Outcome] = []
    refused: list[int] = []
    for place, outcome in enumerate(asked.outcomes, 1):
        if model.take_from(asked.worker, outcome.delivery):
            accepted.append(outcome)
        else:
            refused.append(place)
    same("I2: the outcomes that were refused", reply, refused)
    for outcome in accepted:
        _settle_one(outcome, model)


def _settle_one(outcome: Outcome, model: Model) -> None:
    job = model.jobs[outcome.id]
    model.totals[f"{_OUTCOME_OF[outcome.letter]}:{job.kind}"] += 1
    if outcome.letter != "P":
        model.end(job, outcome.letter, outcome.attempts, outcome.body)
        return
    at = model.time + outcome.delay_us
    job.state = b"P%d:%d:%b" % (outcome.attempts, at, outcome.body)
    model.calls += 1  # of jobs for one moment, in one call, either may be first
    model.wait(job, at)
    _rings(model, job.kind, 0, at)


@expect.register
def _(asked: AskRelease, model: Model, reply: Any) -> None:
    kinds = {model.jobs[id_of(one)].kind for one in asked.deliveries if id_of(one) in model.jobs}
    if kinds - set(asked.kinds):
        return _asks_for_kinds(reply, kinds - set(asked.kinds))
    same("reply", reply, [b"ok", len(asked.deliveries)])
    back: dict[str, list[str]] = defaultdict(list)
    for delivery in reversed(asked.deliveries):
        if model.take_from(asked.worker, delivery):
            back[model.jobs[id_of(delivery)].kind].append(id_of(delivery))
    for kind, ids in back.items():
        model.give_back(kind, ids)
    return None


@expect.register
def _(asked: AskReap, model: Model, reply: Any) -> None:
    lease = model.leases.get(asked.worker)
    if lease is None:
        return same("reap of an unknown worker", reply, [b"gone"])
    if asked.judged and lease != 0 and str(lease) != asked.judged:
        return same("reap of a worker that has beaten since", reply, [b"alive"])
    held = model.processing.get(asked.worker, [])
    chunk = held[-asked.most :]
    jobs = [model.jobs[id_of(delivery)] for delivery in chunk]
    missing = {job.kind for job in jobs} - set(asked.kinds)
    if missing:
        return _asks_for_kinds(reply, missing)
    left = len(held) - len(chunk)
    same("reap: taken back, left", reply[:3], [b"ok", len(chunk), left])
    for delivery in chunk:
        model.take_from(asked.worker, delivery)
    model.leases[asked.worker] = 0
    if left == 0:
        model.forget(asked.worker)
    condemned = _count_losses(asked, model, jobs)
    return same("condemned", sorted(id.decode() for id in reply[3:]), sorted(condemned))


def _count_losses(asked: AskReap, model: Model, jobs: Sequence[ModelJob]) -> list[str]:
    back: dict[str, list[str]] = defaultdict(list)
    condemned: list[str] = []
    for job in jobs:
        job.losses += 1
        if job.losses > asked.max_losses:
            attempts, body = job.attempts_and_body or (0, asked.no_body)
            model.totals[f"panic:{job.kind}"] += 1
            model.end(job, "L", attempts, body)
            condemned.append(job.id)
        else:
            back[job.kind].append(job.id)
    for kind, ids in back.items():
        model.give_back(kind, ids)
    return condemned


@expect.register
def _(asked: AskRegister, model: Model, reply: Any) -> None:
    same("reply", reply, [b"ok"])
    repeated = asked.worker in model.leases
    if repeated and not model.is_registered(asked.worker):
        return  # it is being reaped, and stays so
    model.leases[asked.worker] = model.time + asked.lease_us
    model.infos[asked.worker] = asked.info
    model.settings.update(asked.settings)
    for id in [] if repeated else asked.held_before:
        if id in model.jobs and model.jobs[id].losses:
            model.jobs[id].losses -= 1


@expect.register
def _(asked: AskBeat, model: Model, reply: Any) -> None:
    if not model.is_registered(asked.worker):
        return same("beat", reply, [b"unregistered"])
    own_lapsed = model.leases[asked.worker] <= model.time
    model.leases[asked.worker] = model.time + asked.lease_us
    if asked.info:
        model.infos[asked.worker] = asked.info
    same("beat", reply[:2], [b"ok", int(own_lapsed)])
    lapses = {
        worker.decode(): (lapsed_at.decode(), info)
        for worker, lapsed_at, info in zip(reply[2::3], reply[3::3], reply[4::3], strict=True)
    }
    expected = {
        worker: (str(lease), model.infos[worker])
        for worker, lease in model.leases.items()
        if lease <= model.time
    }
    return same("the leases that have lapsed", lapses, expected)


@expect.register
def _(asked: AskUnregister, model: Model, reply: Any) -> None:
    left = len(model.processing.get(asked.worker, []))
    same("deliveries left", reply, left)
    if left == 0:
        model.forget(asked.worker)


@expect.register
def _(asked: AskHeld, model: Model, reply: Any) -> None:
    listed = [delivery.decode() for delivery in reply]
    same("the deliveries held", listed, model.processing.get(asked.worker, []))


@expect.register
def _(asked: AskToken, model: Model, reply: Any) -> None:
    require(reply in (None, b"1"), f"a bell gave {reply!r}")


def _of_kind(job: ModelJob | None, kind: str, reply: Any) -> ModelJob | None:
    """The job, if the script can act on it now; its first call only learns the kind."""
    if job is None:
        same("a job that is not there", reply, [b"no"])
        return None
    if job.kind != kind:
        same("first call", reply, [b"kind", job.kind.encode()])
        return None
    return job


@expect.register
def _(asked: AskCancel, model: Model, reply: Any) -> None:
    job = _of_kind(model.jobs.get(asked.id), asked.kind, reply)
    if job is None:
        return None
    if not isinstance(job.place, Waiting):
        return same("cancel of a job that does not wait", reply, [b"no"])
    same("cancel", reply, [b"ok"])
    attempts, body = job.attempts_and_body or (0, asked.no_body)
    model.totals[f"cancelled:{job.kind}"] += 1
    return model.end(job, "C", attempts, body)


@expect.register
def _(asked: AskRetry, model: Model, reply: Any) -> None:
    job = model.jobs.get(asked.id)
    if job and not (
        isinstance(job.place, Finished) and job.place.letter in "FXLC" and not model.is_past(job)
    ):
        return same("retry of a job in another state", reply, [b"no"])
    job = _of_kind(job, asked.kind, reply)
    if job is None:
        return None
    same("retry", reply, [b"ok"])
    _, body = job.attempts_and_body or (0, b"")
    job.state = b"P0:%d:%b" % (model.time, body)
    job.losses = 0
    model.wait(job, model.time)
    model.rung[job.kind] = 1
    return None


@expect.register
def _(asked: AskDelete, model: Model, reply: Any) -> None:
    job = _of_kind(model.jobs.get(asked.id), asked.kind, reply)
    if job is None:
        return None
    if isinstance(job.place, Holding) or model.is_past(job):
        return same("delete of a job that runs or is not there", reply, [b"no"])
    same("delete", reply, [b"ok"])
    del model.jobs[asked.id]
    return None


@expect.register
def _(asked: AskGet, model: Model, reply: Any) -> None:
    job = model.jobs.get(asked.id)
    if job is None or model.is_past(job):
        return same("get of a job that is not there", reply, [])
    got = list(reply) + [None] * (2 - len(reply))
    return same("get", got, [job.record, job.state])


@expect.register
def _(asked: AskSweep, model: Model, reply: Any) -> None:
    statuses = dict.fromkeys(STATUS_OF_LETTER.values())
    to_go = sum(model.to_be_shed(status, kind) for kind in asked.kinds for status in statuses)
    same("how many the sweep dropped", reply, min(asked.most, to_go))
