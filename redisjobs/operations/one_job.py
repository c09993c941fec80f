"""get, cancel, retry and delete: what is done to one job by its id."""

from __future__ import annotations

from redisjobs.errors import InvalidJobError
from redisjobs.job import Job
from redisjobs.keys import Keys
from redisjobs.operations.operation import Argument, Call, Operation, reply_of
from redisjobs.operations.refusals import readable_kind
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
    """Removes a job that waits or has ended. False: there is none, or it runs."""
    return _of_kind(keys, "delete", id, [*_fixed(keys), keys.waited], slice(0, 4))


def _fixed(keys: Keys) -> list[bytes]:
    return [keys.jobs, keys.state, keys.losses, keys.meta]


def _of_kind(
    keys: Keys, script: str, id: str, fixed: list[bytes], finished: slice, *more: Argument
) -> Operation[bool]:
    """A script that learns the job's kind by its first call, and acts in its second with the keys
    of that kind.
    """
    of_kind: tuple[bytes, ...] = ()
    kind: str | None = ""
    while kind is not None:
        replies = yield (Call(script, [*fixed, *of_kind], [id, kind, *more]),)
        code, *values = reply_of(replies)
        if code != b"kind":
            return bool(code == b"ok")
        kind = readable_kind(values[0])
        if kind is not None:
            of_kind = (*keys.of_kind(kind)[:2], *keys.all_finished(kind)[finished])
    return False
