"""get, cancel, retry and delete: what is done to one job by its id."""

from __future__ import annotations

from redisjobs.errors import InvalidJobError
from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.operations.operation import Argument, Call, Operation, reply_of
from redisjobs.operations.refusals import readable_kind
from redisjobs.operations.scanning import Walk, all_names
from redisjobs.record import (
    UNREADABLE,
    decode_record,
    decode_state,
    encode_state_body,
    to_job,
)
from redisjobs.states import Status


def get(keys: Keys, id: str) -> Operation[Job | None]:
    """The job as it stands, or None. Of one that ended since its record cannot be read: its end,
    with an empty payload.

    Raises:
        InvalidJobError: what is stored cannot be read, and it has not ended.
        IncompatibleQueueError: it was stored by a newer release.
    """
    replies = yield (Call("get", [keys.jobs, keys.state, keys.meta], [id]),)
    reply = reply_of(replies)
    if not reply:
        return None
    record, state = (*reply, None)[:2]
    progress = decode_state(state) if state else None
    try:
        return to_job(id, decode_record(record), progress)
    except InvalidJobError:
        if progress is None or progress.status is Status.PENDING:
            raise
        return to_job(id, UNREADABLE, progress)


def cancel(keys: Keys, id: str) -> Operation[bool]:
    """Ends a waiting job as CANCELLED. False: none of this id waits."""
    fixed = [keys.jobs, keys.state, keys.losses, keys.totals, keys.meta, keys.waited]
    no_body = encode_state_body(0, None, None, None)
    return _of_kind(keys, "cancel", id, fixed, slice(3, 4), no_body)


def retry(keys: Keys, id: str) -> Operation[bool]:
    """Makes a FAILED, PANIC or CANCELLED job wait again, due now. False: it is none of these."""
    return _of_kind(keys, "retry", id, _fixed(keys), slice(1, 4))


def delete(keys: Keys, id: str) -> Operation[bool]:
    """Removes a job that waits or has ended, also where its record is damaged. False: there is
    none, or it runs.
    """
    code, kind = yield from _answer(keys, "delete", id, [*_fixed(keys), keys.waited], slice(0, 4))
    if code in (b"kind", b"damaged"):
        return (yield from _delete_damaged(keys, id, kind))
    return code == b"ok"


def _delete_damaged(keys: Keys, id: str, kind: bytes) -> Operation[bool]:
    """As `delete`, of a job that may wait or have ended as any kind. `kind`: read in its record."""
    kinds = yield from all_names(Walk("SSCAN", keys.kinds), 1)
    stems = (*keys.of_kind("")[:2], *keys.all_finished(""))
    fixed = [keys.jobs, keys.state, keys.losses, keys.workers, keys.waited]
    fixed += (stem + name for name in dict.fromkeys([*kinds, kind]) for stem in stems)
    is_odd = int(readable_kind(kind) is None)
    workers: list[bytes] = []
    while True:
        lists = [keys.processing("") + worker for worker in workers]
        arguments: list[Argument] = [id, kind, is_odd, (len(fixed) - 5) // len(stems), *workers]
        replies = yield (Call("delete_damaged", [*fixed, *lists], arguments),)
        code, *workers_now = reply_of(replies)
        if code != b"worker":
            return bool(code == b"ok")
        workers = workers_now


def _fixed(keys: Keys) -> list[bytes]:
    return [keys.jobs, keys.state, keys.losses, keys.meta]


def _of_kind(
    keys: Keys, script: str, id: str, fixed: list[bytes], finished: slice, *more: Argument
) -> Operation[bool]:
    code, _ = yield from _answer(keys, script, id, fixed, finished, *more)
    return code == b"ok"


def _answer(
    keys: Keys, script: str, id: str, fixed: list[bytes], finished: slice, *more: Argument
) -> Operation[tuple[bytes, bytes]]:
    """What a script answers that learns the job's kind by its first call, and acts in its second
    with the keys of that kind: "kind" where no kind can have that name. Also the name.
    """
    of_kind: tuple[bytes, ...] = ()
    kind: str | None = ""
    while kind is not None:
        replies = yield (Call(script, [*fixed, *of_kind], [id, kind, *more]),)
        code, *values = reply_of(replies)
        name = values[0] if values else b""
        if code != b"kind":
            break
        kind = readable_kind(name)
        if kind is not None:
            of_kind = (*keys.of_kind(kind)[:2], *keys.all_finished(kind)[finished])
    return code, name
