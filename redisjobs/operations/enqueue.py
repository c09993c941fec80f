"""enqueue: stores jobs, all or none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from redisjobs.errors import InvalidJobError, JobExistsError, NotReplicatedError
from redisjobs.keys import SCHEMA_VERSION, Keys
from redisjobs.operations.operation import Argument, Call, Operation, command, reply_of
from redisjobs.operations.refusals import names, newer_schema, readable_kind
from redisjobs.record import EncodedJob


def enqueue(keys: Keys, producer: str, number: int, jobs: Sequence[EncodedJob]) -> Operation[bool]:
    """Stores these jobs as call `number` of this producer. To repeat it with the same number does
    no harm. Returns whether this try did it, and no earlier one.

    Raises:
        JobExistsError: some ids exist; nothing was written.
        IncompatibleQueueError: the queue holds data of a newer release.
        InvalidJobError: the record of an id that is past its time cannot be read.
    """
    groups: dict[str, list[Argument]] = {}
    for job in jobs:
        group = groups.get(job.kind)
        if group is None:
            group = groups[job.kind] = []
        group += (job.id, job.record, job.when)
    call_keys = [keys.jobs, keys.request(producer), keys.kinds, keys.state, keys.meta]
    arguments: list[Argument] = []
    for kind, group in groups.items():
        call_keys += keys.of_kind(kind)[:2]
        arguments += (kind, len(group) // 3)
        arguments += group
    head = (number, len(groups), SCHEMA_VERSION)
    finished_kinds: list[str] = []
    while True:
        finished_keys = [key for kind in finished_kinds for key in keys.all_finished(kind)]
        replies = yield (
            Call(
                "enqueue",
                call_keys + finished_keys,
                [*head, len(finished_kinds), *arguments, *finished_kinds],
            ),
        )
        code, *rest = reply_of(replies)
        if code in (b"ok", b"again"):
            return bool(code == b"ok")
        if code == b"exists":
            raise JobExistsError(names(rest), keys.name)
        if code == b"schema":
            raise newer_schema(keys, rest[0])
        finished_kinds = sorted({*finished_kinds, *_readable(rest)})


def replicated(
    keys: Keys, enqueueing: Operation[bool], ids: Sequence[str], replicas: int, timeout_ms: int
) -> Operation[None]:
    """An enqueue that waits, in the same round trip, until so many replicas have its jobs.

    Raises:
        NotReplicatedError: they have not, in time. The jobs are stored.
    """
    waiting = command("WAIT", replicas, timeout_ms)
    stored_now, reached = True, 0
    try:
        calls = next(enqueueing)
        while True:
            *replies, reached = yield (*calls, waiting)
            calls = enqueueing.send(replies)
    except StopIteration as end:
        stored_now = end.value
    if not stored_now:
        # A WAIT is only for what its own connection has written, and this was another one. What is
        # published goes to the replicas, too, also where there is no memory left.
        _, reached = yield (command("PUBLISH", keys.end_of(""), b""), waiting)
    if reply_of((reached,)) < replicas:
        raise NotReplicatedError(ids, keys.name, reached, replicas, timeout_ms / 1000)


def _readable(kinds: Iterable[bytes]) -> Iterator[str]:
    for raw in kinds:
        kind = readable_kind(raw)
        if kind is None:
            raise InvalidJobError(
                "nothing was written: an id of these jobs stands in a record that cannot be read"
            )
        yield kind
