"""enqueue: stores jobs, all or none of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from redisjobs.errors import InvalidJobError, JobExistsError
from redisjobs.keys import SCHEMA_VERSION, Keys
from redisjobs.operations.operation import Argument, Call, Operation, reply_of
from redisjobs.operations.refusals import names, newer_schema, readable_kind
from redisjobs.record import EncodedJob


def enqueue(keys: Keys, producer: str, number: int, jobs: Sequence[EncodedJob]) -> Operation[None]:
    """Stores these jobs as call `number` of this producer. To repeat it with the same number does
    no harm.

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
            return
        if code == b"exists":
            raise JobExistsError(names(rest), keys.name)
        if code == b"schema":
            raise newer_schema(keys, rest[0])
        finished_kinds = sorted({*finished_kinds, *_readable(rest)})


def _readable(kinds: Iterable[bytes]) -> Iterator[str]:
    for raw in kinds:
        kind = readable_kind(raw)
        if kind is None:
            raise InvalidJobError(
                "nothing was written: an id of these jobs stands in a record that cannot be read"
            )
        yield kind
