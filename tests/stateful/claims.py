"""Which answers to a claim are legal: due jobs in turn, fairly, and suspects by their own rules."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.stateful.expect import expect
from tests.stateful.model import Holding, Model, ModelJob, Waiting, require, same
from tests.stateful.wire import AskClaim

if TYPE_CHECKING:
    from tests.stateful.stored import Stored

LAST_CHANCE_US = 30_000_000


@dataclass(frozen=True)
class Answer:
    """A claim's reply, read as its header names it."""

    token: int
    next_due_us: int
    keeps_done: bool
    stopped: bool
    alone: bool
    passed: int
    draining: tuple[str, str] | None
    left_over: list[str]  # kinds
    taken: list[tuple[str, str, bytes, bytes | None, int | None]]

    @classmethod
    def of(cls, asked: AskClaim, reply: Any) -> Answer:
        head, ids, records, runs, states, losses = reply
        places = [
            place
            for place, length in zip(runs[::2], runs[1::2], strict=True)
            for _ in range(length)
        ]
        _, token, next_due_us, keeps_done, flags, passed, kind, id, left_over = head
        count = len(ids)
        rows = zip(
            ids, places, records, states or [None] * count, losses or [None] * count, strict=True
        )
        taken = [
            (id.decode(), asked.kinds[place - 1], record, state, lost)
            for id, place, record, state, lost in rows
        ]
        draining = (asked.kinds[kind - 1], id.decode()) if kind else None
        same("flag of a last chance", b"d" in flags, draining is not None)
        return cls(
            token, next_due_us, bool(keeps_done), b"s" in flags, b"a" in flags, passed, draining,
            [asked.kinds[place - 1] for place in left_over], taken,
        )  # fmt: skip


@expect.register
def _(asked: AskClaim, model: Model, reply: Any) -> None:
    if not model.is_registered(asked.worker):
        return same("claim", reply, [[b"unregistered"]])
    answer = Answer.of(asked, reply)
    for id, *_ in answer.taken:
        require(id in model.jobs, f"{id!r} was taken, but there is no such job")
    return _Claim(asked, model, answer).follow()


class _Claim:
    """One claim that was answered, looked at while the jobs still wait in the model."""

    def __init__(self, asked: AskClaim, model: Model, answer: Answer) -> None:
        self.asked = asked
        self.model = model
        self.answer = answer
        self.ready = {kind: model.ready(kind) for kind in asked.kinds}
        self.taken = {id: place for place, (id, *_) in enumerate(answer.taken)}
        self.held_before = bool(model.processing.get(asked.worker))
        beyond = [kind for place, (_, kind, *_) in enumerate(answer.taken) if place >= asked.free]
        self.room_ahead_is_used = {
            kind: beyond.count(kind) >= asked.ahead[kind] for kind in asked.kinds
        }
        guarded = [id for id in self.taken if self._is_guarded(self.model.jobs[id])]
        self.guarded_left = max(0, asked.guarded_room) - len(guarded)

    def _is_guarded(self, job: ModelJob) -> bool:
        return 0 < job.losses == self.asked.max_losses - 1

    def _is_last_chance(self, job: ModelJob) -> bool:
        return 0 < job.losses >= self.asked.max_losses

    @property
    def ended_by_last_chance(self) -> bool:
        return self.answer.alone or self.answer.draining is not None

    @property
    def is_full(self) -> bool:
        return len(self.taken) >= self.asked.limit

    def follow(self) -> None:
        """Checks the answer and lets the model follow it."""
        self._check_size()
        for place, row in enumerate(self.answer.taken):
            self._check_one(place, *row)
        for kind in self.asked.kinds:
            self._check_turns(kind)
        self._check_shares()
        self._check_last_chance()
        self._check_what_is_told()
        self._move()

    def _check_size(self) -> None:
        asked, count = self.asked, len(self.answer.taken)
        same("jobs taken twice in one claim", len(self.taken), count)
        require(count <= asked.limit, f"{count} jobs taken, {asked.limit} were wanted")
        for kind, used in asked.ahead.items():
            beyond = [one for one in self.answer.taken[asked.free :] if one[1] == kind]
            require(
                len(beyond) <= used,
                f"{len(beyond)} of {kind!r} are prefetched, the room was {used}",
            )
        require(self.guarded_left >= 0, f"more guarded jobs than its room of {asked.guarded_room}")
        if count:
            require(
                self.answer.token > self.model.token,
                f"I2: token {self.answer.token} after {self.model.token}",
            )

    def _check_one(
        self, place: int, id: str, kind: str, record: bytes, state: bytes | None, lost: int | None
    ) -> None:
        job = self.model.jobs[id]
        require(isinstance(job.place, Waiting), f"I2: {id!r} was taken, but is {job.place}")
        require(
            isinstance(job.place, Waiting) and job.place.at <= self.model.time,
            f"I4: {id!r} was taken at {self.model.time}, before its RunAt: {job.place}",
        )
        same(
            f"what a claim says of {id!r}", (kind, record, state), (job.kind, job.record, job.state)
        )
        same(f"losses of {id!r} as claimed", lost or 0, job.losses)
        require(id not in self.asked.occupied, f"{id!r} still runs in the process that took it")
        require(not job.losses or place < self.asked.free, f"the suspect {id!r} found no free slot")
        require(self.answer.token > job.last_token, f"I2: the token of {id!r} does not grow")

    def _check_turns(self, kind: str) -> None:
        """A kind's first jobs are taken, save those it passes, and as many as it has room for."""
        at_end = False
        for job in self.ready[kind]:
            if job.id in self.taken:
                it_emptied_itself = self.answer.alone and self.asked.emptying == (kind, job.id)
                require(
                    not at_end or it_emptied_itself,
                    f"{job.id!r} of {kind!r} was taken out of its turn",
                )
            elif self._is_passed(job):
                if job.losses and self.answer.stopped and len(self.taken) >= self.asked.free:
                    return  # passed, or it ended the claim of its kind: both are legal
            elif not at_end:
                at_end = True
                require(
                    self.is_full
                    or self.ended_by_last_chance
                    or (len(self.taken) >= self.asked.free and self._stops(job, kind)),
                    f"{job.id!r} of {kind!r} is due and there is room, but it was not taken",
                )

    def _stops(self, job: ModelJob, kind: str) -> bool:
        """Whether a job ends the claim of its kind, once all free slots are taken."""
        return self.room_ahead_is_used[kind] or (job.losses > 0 and self.answer.stopped)

    def _is_passed(self, job: ModelJob) -> bool:
        if job.id in self.asked.occupied:
            return True
        if self._is_last_chance(job):
            return self._is_others_chance(job)
        return self._is_guarded(job) and self.guarded_left <= 0

    def _is_others_chance(self, job: ModelJob) -> bool:
        deadline, owner = self.model.marks.get(job.id, (0, ""))
        return (
            owner != self.asked.worker
            and deadline > self.model.time
            and self.model.is_registered(owner)
        )

    def _check_shares(self) -> None:
        """A flood of one kind leaves the others their share."""
        busy = [kind for kind in self.asked.kinds if self.ready[kind]]
        limit = self.asked.limit
        if self.ended_by_last_chance or self.asked.free < limit or limit < len(busy):
            return
        for kind in busy:
            share = limit // len(busy)
            plain = 0
            for job in self.ready[kind][:share]:
                if job.losses or job.id in self.asked.occupied:
                    break
                plain += 1
            got = sum(1 for id in self.taken if self.model.jobs[id].kind == kind)
            require(got >= plain, f"{got} of {kind!r} were taken, its share was {plain}")

    def _check_last_chance(self) -> None:
        """It runs alone: where its worker is empty, or has tried to become so for long enough."""
        asked, answer, model = self.asked, self.answer, self.model
        last = [id for id in self.taken if self._is_last_chance(model.jobs[id])]
        same("flag of a job that runs alone", answer.alone, bool(last))
        if last:
            deadline, owner = model.marks.get(last[0], (0, ""))
            same("jobs on their last chance, and the last one taken", last, list(self.taken)[-1:])
            require(
                not self._is_others_chance(model.jobs[last[0]]), "another's last chance is taken"
            )
            require(
                (len(self.taken) == 1 and not self.held_before)
                or (owner == asked.worker and deadline <= model.time),
                f"the last chance of {last[0]!r} does not run alone",
            )
        if answer.draining:
            kind, id = answer.draining
            job = model.jobs[id]
            require(
                job in self.ready[kind] and self._is_last_chance(job) and id not in self.taken,
                f"a worker empties itself for {id!r}, which is no suspect of this kind",
            )
            require(not self._is_others_chance(job), f"two workers empty themselves for {id!r}")
        self._check_emptying()

    def _check_emptying(self) -> None:
        if self.asked.emptying is None:
            return
        kind, id = self.asked.emptying
        job = self.model.jobs.get(id)
        if (
            job in self.ready[kind]
            and self._is_last_chance(job)
            and not self._is_others_chance(job)
        ):
            require(
                self.taken.keys() <= {id},
                f"took {list(self.taken)}, while it empties itself for {id!r}",
            )

    def _check_what_is_told(self) -> None:
        answer, asked = self.answer, self.asked
        same("whether DONE records are kept", answer.keeps_done, self.model.is_kept("D"))
        rest = [job for jobs in self.ready.values() for job in jobs if job.id not in self.taken]
        if not rest:
            require(not answer.left_over, "it says that due jobs are left over, but none is")
        elif not answer.left_over:
            same("jobs that were passed", answer.passed >= len(rest), True)
        for kind in asked.kinds:
            is_left = bool(set(self.ready[kind]) & set(rest))
            if not answer.passed:
                same(f"whether due jobs of {kind!r} are left", kind in answer.left_over, is_left)
            if answer.left_over and not answer.passed and is_left:
                self.model.rung[kind] = 1

    def _move(self) -> None:
        asked, answer, model = self.asked, self.answer, self.model
        if answer.taken:
            model.token = answer.token
        for id, kind, *_ in answer.taken:
            delivery = f"{answer.token}:{id}"
            model.handed_out.append((asked.worker, delivery, kind))
            model.processing.setdefault(asked.worker, []).append(delivery)
            job = model.jobs[id]
            job.place, job.last_token = Holding(asked.worker, delivery), answer.token
            if answer.alone and self._is_last_chance(job):
                model.marks.pop(id, None)
        if answer.draining:
            id = answer.draining[1]
            if model.marks.get(id, (0, ""))[1] != asked.worker:
                model.marks[id] = (model.time + LAST_CHANCE_US, asked.worker)


def check_timekeeping(asked: AskClaim, model: Model, reply: Any, stored: Stored) -> None:
    """Somebody minds the next due time of each kind that a worker with room asked for.

    Where it is this worker itself, it is told when.
    """
    if reply[0][0] == b"unregistered":
        return
    answer = Answer.of(asked, reply)
    has_room = len(answer.taken) < asked.limit and not answer.draining and not answer.alone
    if not asked.minds or not has_room:
        same("next due of a worker without room", answer.next_due_us, -1)
        return
    own: list[int] = []
    for kind in asked.kinds:
        waiting = [place.score or 0.0 for _, place in model.waiting(kind)]
        if not waiting or min(waiting) <= model.time:
            continue
        coming = min(waiting)
        minded, keeper = stored.timekeepers.get(kind, (math.inf, ""))
        require(minded <= coming, f"nobody minds that {kind!r} is due at {coming}, only {minded}")
        if keeper == asked.worker:
            own.append(math.ceil(coming - model.time))
    if own and not answer.passed:
        same("next due", answer.next_due_us, min(own))
