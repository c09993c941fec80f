"""claim: takes due jobs into a worker's processing list."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat, starmap
from typing import Any, NamedTuple

from redisjobs.errors import InvalidJobError, LockLostError
from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.operations.operation import Argument, Call, Operation, reply_of
from redisjobs.record import decode_record, decode_state, to_job

TIMEKEEPER_MS = 2000


class ClaimRequest(NamedTuple):
    """What a worker asks for.

    `limit` jobs at most, of which the first `free` start at once; `ahead`: how many of each kind
    beyond those (none: 0 each). `guarded_room`: how many more jobs it may run that are
    one loss short of their last chance. `emptying`: the kind and id for whose last chance it
    empties itself. `occupied`: ids whose older run still holds a place in its process.
    """

    worker: str
    kinds: Sequence[str]
    limit: int
    free: int
    max_losses: int
    guarded_room: int
    ahead: Sequence[int] = ()
    passed_before: int = 0
    emptying: tuple[str, str] | None = None
    occupied: Sequence[str] = ()
    minds: bool = True


class Claim(NamedTuple):
    """One job as the claim handed it out, still encoded."""

    id: str
    kind: str
    record: bytes
    state: bytes | None
    losses: int


class Claimed(NamedTuple):
    """What a claim came to. `next_due_us`: when to claim next, from now; None where that is
    nobody's or another's to mind. Its jobs are columns: `ids`, `records`, `runs` (a kind, and how
    many in a row are of it), and `states` and `losses`, which may be empty where all have none.
    `left_over`: kinds of which due jobs are left that it could take.
    """

    token: int
    ids: Sequence[bytes]
    records: Sequence[bytes]
    runs: Sequence[tuple[str, int]]
    states: Sequence[bytes | None]
    losses: Sequence[int]
    next_due_us: int | None
    keeps_done: bool
    stopped: bool
    alone: bool
    passed: int
    emptying: tuple[str, str] | None
    left_over: Sequence[str]

    @property
    def kinds(self) -> list[str]:
        """The kinds of its jobs, some perhaps more than once."""
        return [kind for kind, _ in self.runs]

    @property
    def claims(self) -> list[Claim]:
        """Its jobs, each by itself."""
        count = len(self.ids)
        columns = zip(
            map(bytes.decode, self.ids),
            chain.from_iterable(repeat(kind, length) for kind, length in self.runs),
            self.records,
            self.states or repeat(None, count),
            self.losses or repeat(0, count),
            strict=True,
        )
        return list(starmap(Claim, columns))


def claim(keys: Keys, request: ClaimRequest) -> Operation[Claimed]:
    """Takes due jobs.

    Raises:
        LockLostError: the worker is not registered (any more).
    """
    kinds = request.kinds
    call_keys = [
        keys.jobs, keys.state, keys.workers, keys.processing(request.worker), keys.losses,
        keys.meta, keys.last_chance,
    ]  # fmt: skip
    for kind in kinds:
        call_keys += keys.of_kind(kind)
    emptying_kind, emptying_id = request.emptying or ("", "")
    arguments: list[Argument] = [
        request.worker, request.limit, min(request.free, request.limit), len(kinds),
        request.max_losses, request.guarded_room, request.passed_before,
        TIMEKEEPER_MS if request.minds else 0, emptying_id,
        kinds.index(emptying_kind) + 1 if emptying_kind in kinds else 0,
        *(request.ahead or [0] * len(kinds)), *request.occupied,
    ]  # fmt: skip
    replies = yield (Call("claim", call_keys, arguments),)
    return _claimed(request, reply_of(replies))


def job_of(claim: Claim) -> Job:
    """The job that a claim handed out.

    Raises:
        InvalidJobError: its record or state cannot be read.
        IncompatibleQueueError: it was stored by a newer release.
    """
    record = decode_record(claim.record)  # first: whose format is unknown, its state may be, too
    job = to_job(claim.id, record, decode_state(claim.state) if claim.state else None)
    if job.kind != claim.kind:
        raise InvalidJobError(
            f"the record says kind {job.kind!r}, but the job waited as {claim.kind!r}"
        )
    return job


def _claimed(request: ClaimRequest, reply: Any) -> Claimed:
    head = reply[0]
    if head[0] == b"unregistered":
        raise LockLostError(f"worker {request.worker} is not registered any more")
    _, token, next_due_us, keeps_done, flags, passed, kind_place, emptying_id, left_over = head
    _, ids, records, runs, states, losses = reply
    kinds = request.kinds
    return Claimed(
        token,
        ids,
        records,
        [(kinds[place - 1], count) for place, count in zip(runs[::2], runs[1::2], strict=True)],
        states,
        losses,
        None if next_due_us < 0 else next_due_us,
        bool(keeps_done),
        b"s" in flags,
        b"a" in flags,
        passed,
        (kinds[kind_place - 1], emptying_id.decode()) if kind_place else None,
        [kinds[place - 1] for place in left_over],
    )
