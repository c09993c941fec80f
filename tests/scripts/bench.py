"""A queue on which the scripts are tried one by one, and what is stored for it."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.limits import MAX_JOBS_PER_CALL
from redisjobs.operations import enqueue as enqueueing
from redisjobs.operations import membership, one_job
from redisjobs.operations.claim import Claimed, ClaimRequest, claim
from redisjobs.operations.giving_back import Reaped, reap, release
from redisjobs.operations.operation import Argument, Call, Calls, Operation, Replies
from redisjobs.operations.settle import Settlement, settle
from redisjobs.record import EncodedJob, State, decode_state, encode_job, encode_state_body
from redisjobs.transport import Lines
from tests.clock import Clock, library_with_moving_clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    import redis

    from redisjobs.operations.library import Library
    from redisjobs.states import Status

T = TypeVar("T")

KIND = "email"
LEASE_US = 15_000_000
# Records in which no kind can be read: shapeless, no UTF-8, a name that no job can have, empty.
DAMAGED = (b"junk", b"1\xff\0\0\x95", b"1 Spaced \0\0\x95", b"1" + b"k" * 201 + b"\0\0", b"")
MAX_PAYLOAD = 2**24


class Stored(NamedTuple):
    """One key as it stands."""

    type: str
    value: Any
    expires: bool


class Steps(Generic[T]):
    """An operation that is carried out one round trip at a time.

    Attributes:
        codes: the code of each answer so far.
        value: what the operation returned; None before its end.
    """

    def __init__(self, bench: Bench, operation: Operation[T]) -> None:
        self._bench = bench
        self._operation = operation
        self._calls: Calls | None = None
        self.codes: list[str] = []
        self.value: T | None = None

    def step(self) -> bool:
        """One round trip, unless it is at its end. Returns whether it goes on."""
        if self.value is not None:
            return False
        try:
            if self._calls is None:
                self._calls = next(self._operation)
            answers = self._bench.run(_once(self._calls))
            self.codes += self._bench.codes
            self._calls = self._operation.send(answers)
        except StopIteration as end:
            self.value = end.value
            return False
        return True

    def finish(self) -> T:
        """What it returns in the end."""
        while self.step():
            pass
        assert self.value is not None
        return self.value


def _once(calls: Calls) -> Operation[Replies]:
    replies = yield calls
    return replies


class Bench:
    """A queue with a clock that tests move; operations run on it with the plainest arguments.

    Attributes:
        answers: the reply to each call of the last operation, as the server gave it.
        calls: those calls.
    """

    def __init__(self, client: redis.Redis, name: str, library: Library | None = None) -> None:
        self.client: Any = client  # redis-py's own types allow for replies decoded to str
        self.keys = Keys(name)
        self.clock = Clock(client, self.keys)
        self.lines = Lines(client, library or library_with_moving_clock())
        self.answers: list[Any] = []
        self.calls: list[Call] = []
        self._numbers = count(1)
        self._marks = count(1)

    def close(self) -> None:
        self.clock.reset()
        self.lines.close()

    def staffed(self) -> Self:
        """The bench, with two workers."""
        self.register("w")
        self.register("v")
        return self

    # Running operations

    def run(self, operation: Operation[T]) -> T:
        self.answers, self.calls = [], []
        return self.lines.run_once(self._noted(operation))

    def _noted(self, operation: Operation[T]) -> Operation[T]:
        try:
            calls: Calls = next(operation)
            while True:
                replies: Replies = yield calls
                self.calls += calls
                self.answers += replies
                calls = operation.send(replies)
        except StopIteration as end:
            value: T = end.value
            return value

    def call(self, script: str, keys: Sequence[bytes], *arguments: Argument) -> Any:
        """The reply of one call of a script, an error reply raised."""

        def operation() -> Operation[Any]:
            replies = yield (Call(script, keys, arguments),)
            if isinstance(replies[0], Exception):
                raise replies[0]
            return replies[0]

        return self.run(operation())

    @property
    def codes(self) -> list[str]:
        """The code of each answer of the last operation, as in ["kind", "ok"]."""
        return [answer[0].decode() for answer in self.answers]

    # Operations

    def jobs(
        self,
        kind: str = KIND,
        number: int = 1,
        *,
        ids: Sequence[str] | None = None,
        mark: int | None = None,
        **fields: Any,
    ) -> list[EncodedJob]:
        """Jobs of one call, encoded. Without `ids` they are called by their kind and numbered."""
        mark = next(self._marks) if mark is None else mark
        if ids is None:
            ids = [f"{kind}-{next(self._numbers):05}" for _ in range(number)]
        return [encode_job(Job(kind, id=id, **fields), mark, MAX_PAYLOAD) for id in ids]

    def store(self, *jobs: EncodedJob, producer: str = "producer", number: int = 0) -> None:
        """Enqueue encoded jobs, as the producer's next call unless a number is given."""
        number = number or next(self._numbers)
        self.run(enqueueing.enqueue(self.keys, producer, number, jobs))

    def enqueue(self, kind: str = KIND, number: int = 1, **more: Any) -> list[str]:
        """Enqueue jobs as `jobs` makes them. Returns their ids."""
        jobs = self.jobs(kind, number, **more)
        for first in range(0, len(jobs), MAX_JOBS_PER_CALL):
            self.store(*jobs[first : first + MAX_JOBS_PER_CALL])
        return [job.id for job in jobs]

    def register(
        self,
        worker: str = "w",
        *,
        lease_us: int = LEASE_US,
        info: bytes = b"{}",
        held_before: Sequence[str] = (),
        **settings: int,
    ) -> str:
        self.run(membership.register(self.keys, worker, lease_us, info, settings, held_before))
        return worker

    def beat(
        self, worker: str = "w", lease_us: int = LEASE_US, info: bytes = b""
    ) -> membership.Beat:
        return self.run(membership.beat(self.keys, worker, lease_us, info))

    def claim(
        self,
        worker: str = "w",
        kinds: Sequence[str] = (KIND,),
        limit: int = 1000,
        *,
        free: int | None = None,
        max_losses: int = 3,
        guarded_room: int = 4,
        **more: Any,
    ) -> Claimed:
        """Claim; all of what is claimed has a free slot unless `free` says less."""
        free = limit if free is None else free
        request = ClaimRequest(worker, kinds, limit, free, max_losses, guarded_room, **more)
        return self.run(claim(self.keys, request))

    def take(
        self, worker: str = "w", kinds: Sequence[str] = (KIND,), limit: int = 1000, **more: Any
    ) -> list[str]:
        """The deliveries that a claim hands out."""
        claimed = self.claim(worker, kinds, limit, **more)
        return [f"{claimed.token}:{one.id}" for one in claimed.claims]

    def settle(
        self,
        *deliveries: str,
        worker: str = "w",
        letter: bytes = b"D",
        kind: str = KIND,
        attempts: int = 1,
        delay_us: int = 0,
        body: bytes | None = None,
    ) -> list[str]:
        """Settle deliveries, all alike. Returns those that were refused."""
        if body is None:
            body = encode_state_body(0, 0, None, None)
        settlements = [
            Settlement(one, kind, letter, attempts, delay_us, body) for one in deliveries
        ]
        return [one.delivery for one in self.run(settle(self.keys, worker, settlements))]

    def release(self, *deliveries: str, worker: str = "w", kinds: Sequence[str] = (KIND,)) -> None:
        self.run(release(self.keys, worker, deliveries, kinds))

    def reap(
        self,
        worker: str = "w",
        judged: str | None = None,
        *,
        max_losses: int = 3,
        kinds: Sequence[str] = (KIND,),
    ) -> Reaped:
        return self.run(reap(self.keys, worker, judged, max_losses, kinds))

    def get(self, id: str) -> Job | None:
        return self.run(one_job.get(self.keys, id))

    def end(self, *ids: str, letter: bytes = b"D", kind: str = KIND) -> None:
        """Let the jobs at the head of their due set, which these must be, end with this state."""
        self.register("ender")
        deliveries = self.take("ender", [kind], len(ids))
        assert [one.partition(":")[2] for one in deliveries] == list(ids)
        assert self.settle(*deliveries, worker="ender", letter=letter, kind=kind) == []
        self.run(membership.unregister(self.keys, "ender"))

    # What is stored

    def waiting(self, kind: str = KIND) -> list[str]:
        """The ids that wait, the next one first."""
        return [id.decode() for id in self.client.zrange(self.keys.due(kind), 0, -1)]

    def score(self, id: str, kind: str = KIND) -> float | None:
        score: float | None = self.client.zscore(self.keys.due(kind), id)
        return score

    def held(self, worker: str = "w") -> list[str]:
        """The deliveries that a worker holds, in order."""
        held = self.client.lrange(self.keys.processing(worker), 0, -1)
        return [delivery.decode() for delivery in held]

    def tokens(self, kind: str = KIND) -> int:
        """How many tokens the bell of a kind holds."""
        return int(self.client.llen(self.keys.bell(kind)))

    def silence(self, kind: str = KIND) -> None:
        """Take all tokens off a bell, as sleeping workers do."""
        self.client.delete(self.keys.bell(kind))

    def state(self, id: str) -> State | None:
        raw = self.client.hget(self.keys.state, id)
        return None if raw is None else decode_state(raw)

    def stored_ids(self) -> set[str]:
        """The ids that have a record."""
        return {id.decode() for id in self.client.hkeys(self.keys.jobs)}

    def finished(self, status: Status, kind: str = KIND) -> list[str]:
        """The ids that ended with this status, the oldest first."""
        ids = self.client.zrange(self.keys.finished(status, kind), 0, -1)
        return [id.decode() for id in ids]

    def losses(self) -> dict[str, int]:
        stored = self.client.hgetall(self.keys.losses)
        return {id.decode(): int(number) for id, number in stored.items()}

    def set_losses(self, number: int, *ids: str) -> None:
        self.client.hset(self.keys.losses, mapping=dict.fromkeys(ids, number))

    def totals(self) -> dict[str, int]:
        stored = self.client.hgetall(self.keys.totals)
        return {name.decode(): int(number) for name, number in stored.items()}

    def snapshot(self, *but: bytes) -> dict[str, Stored]:
        """Everything that is stored for the queue, except the keys named."""
        pattern = re.sub(rb"([*?\[\]\\^])", rb"\\\1", self.keys.prefix) + b"*"
        names = sorted(self.client.scan_iter(match=pattern, count=1000))
        return {
            name[len(self.keys.prefix) :].decode(): self._stored(name)
            for name in names
            if name not in but
        }

    def _stored(self, key: bytes) -> Stored:
        kind = self.client.type(key).decode()
        client: Any = self.client
        read = {
            "string": client.get,
            "hash": client.hgetall,
            "set": client.smembers,
            "list": lambda name: client.lrange(name, 0, -1),
            "zset": lambda name: client.zrange(name, 0, -1, withscores=True),
        }[kind]
        return Stored(kind, read(key), self.client.pttl(key) > 0)
