"""What a queue should hold: a few dicts.

What each script does to them is in `expect`, what a claim may do in `claims`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tests.stateful.stored import STATUS_OF_LETTER

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR_US = 3_600_000_000
DEFAULT_SETTINGS = {
    "retention_us": HOUR_US,
    "retention_limit": 10_000,
    "failed_retention_us": 7 * 24 * HOUR_US,
    "failed_limit": 100_000,
}


class BrokenError(AssertionError):
    """The queue did what it must not."""


def require(holds: object, message: str) -> None:
    """Something must hold.

    Raises:
        BrokenError: it does not.
    """
    if not holds:
        raise BrokenError(message)


def same(what: str, got: object, expected: object) -> None:
    """Two things must be equal.

    Raises:
        BrokenError: they are not.
    """
    if got != expected:
        raise BrokenError(f"{what}: {got!r}, expected {expected!r}")


class Order(NamedTuple):
    """Where a job stands among the waiting of its kind.

    By time; before equals (group 0), if it was given back; then by call and place.
    """

    time: int
    group: int
    call: int
    place: int


class Waiting(NamedTuple):
    """Not before `at`. `score` is what Redis chose; None until it was looked at."""

    at: int
    order: Order
    score: float | None = None


class Holding(NamedTuple):
    worker: str
    delivery: str


class Finished(NamedTuple):
    letter: str
    time: int


Place: TypeAlias = Waiting | Holding | Finished


@dataclass(eq=False)
class ModelJob:
    """A job, with its record and state as the server has them."""

    id: str
    kind: str
    record: bytes
    place: Place
    state: bytes | None = None
    losses: int = 0
    last_token: int = 0

    @property
    def attempts_and_body(self) -> tuple[int, bytes] | None:
        if self.state is None:
            return None
        head, _, body = self.state.split(b":", 2)
        return int(head[1:]), body

    def end(self, letter: str, attempts: int, time: int, body: bytes) -> None:
        self.state = b"%b%d:%d:%b" % (letter.encode(), attempts, time, body)
        self.place = Finished(letter, time)
        self.losses = 0


@dataclass
class Model:
    """The queue. `time` is the server's, of the call that is looked at.

    Attributes:
        added: how many finished records of a status and kind this call added: it must drop up to
            twice as many others.
        rung: the kinds whose bell must hold a token after this call, and how many.
        handed_out: every delivery there was, with its worker and kind.
        headed: what this call gave back, which must now head its due set in this order.
    """

    time: int = 0
    jobs: dict[str, ModelJob] = field(default_factory=dict)
    processing: dict[str, list[str]] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)
    infos: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, int] = field(default_factory=dict)
    requests: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    totals: Counter[str] = field(default_factory=Counter)
    token: int = 0
    marks: dict[str, tuple[int, str]] = field(default_factory=dict)
    added: Counter[tuple[str, str]] = field(default_factory=Counter)
    rung: dict[str, int] = field(default_factory=dict)
    headed: dict[str, list[str]] = field(default_factory=dict)
    handed_out: list[tuple[str, str, str]] = field(default_factory=list)
    calls: int = 0

    def begin_call(self, time: int) -> None:
        self.time = time
        self.calls += 1
        self.added.clear()
        self.rung.clear()
        self.headed.clear()

    def waiting(self, kind: str) -> list[tuple[ModelJob, Waiting]]:
        """The waiting jobs of a kind as Redis orders them."""
        found = [
            (job, job.place)
            for job in self.jobs.values()
            if job.kind == kind and isinstance(job.place, Waiting)
        ]
        return sorted(found, key=lambda one: (one[1].score or 0.0, one[0].id.encode()))

    def ready(self, kind: str) -> list[ModelJob]:
        """Those that Redis counts as due now."""
        return [job for job, place in self.waiting(kind) if (place.score or 0.0) <= self.time]

    def is_registered(self, worker: str) -> bool:
        """Whether this worker may claim and beat: nobody has begun to reap it."""
        return self.leases.get(worker, 0) > 0

    def keep(self, letter: str) -> tuple[int, int]:
        """For how long records of this state are kept, and how many."""
        names = (
            ("retention_us", "retention_limit")
            if letter == "D"
            else ("failed_retention_us", "failed_limit")
        )
        time, limit = (self.settings.get(name, DEFAULT_SETTINGS[name]) for name in names)
        return time, limit

    def is_kept(self, letter: str) -> bool:
        return min(self.keep(letter)) > 0

    def is_past(self, job: ModelJob) -> bool:
        """Whether this is a finished record past its time, which counts as absent."""
        if not isinstance(job.place, Finished):
            return False
        keep_us, limit = self.keep(job.place.letter)
        return job.place.time + keep_us <= self.time or limit == 0

    def finished(self, status: str, kind: str) -> list[tuple[ModelJob, Finished]]:
        """The finished records of a status and kind, the oldest first, also past their time."""
        found = [
            (job, job.place)
            for job in self.jobs.values()
            if job.kind == kind
            and isinstance(job.place, Finished)
            and STATUS_OF_LETTER[job.place.letter] == status
        ]
        return sorted(found, key=lambda one: one[1].time)

    def to_be_shed(self, status: str, kind: str) -> int:
        """How many records of a finished set are past their time or over their limit."""
        found = self.finished(status, kind)
        if not found:
            return 0
        past = sum(self.is_past(job) for job, _ in found)
        return max(past, len(found) - self.keep(found[0][1].letter)[1])

    def wait(self, job: ModelJob, at: int, place: int = 0) -> None:
        """Lets a job wait until this time."""
        job.place = Waiting(at, Order(at, 1, self.calls, place))

    def give_back(self, kind: str, ids: Sequence[str]) -> None:
        """Lets jobs wait before all others of their kind, in this order."""
        others = self.waiting(kind)
        before = min((place.order.time for _, place in others), default=self.time)
        head = int(min(self.time, before))
        for place, id in enumerate(ids):
            self.jobs[id].place = Waiting(head, Order(head, 0, -self.calls, place))
        self.headed[kind] = list(ids)
        self.rung[kind] = 1

    def end(self, job: ModelJob, letter: str, attempts: int, body: bytes) -> None:
        """Ends a job; where nobody keeps its record, it is gone."""
        job.end(letter, attempts, self.time, body)
        if self.is_kept(letter):
            self.added[STATUS_OF_LETTER[letter], job.kind] += 1
        else:
            del self.jobs[job.id]

    def take_from(self, worker: str, delivery: str) -> bool:
        """Takes a delivery out of a worker's list. False: it is not there."""
        held = self.processing.get(worker, [])
        if delivery not in held:
            return False
        held.remove(delivery)
        if not held:
            del self.processing[worker]
        return True

    def forget(self, worker: str) -> None:
        self.leases.pop(worker, None)
        self.infos.pop(worker, None)
