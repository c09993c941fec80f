"""wait: whether a job has ended, and that its end is told to those who listen."""

from __future__ import annotations

from enum import Enum

from redisjobs.keys import Keys
from redisjobs.operations.operation import Call, Operation, reply_of

DELETED = b"-"


class Sight(Enum):
    """What was seen of a job that somebody waits for."""

    NONE = b"none"
    ENDED = b"ended"
    WAITS = b"waits"


def look(keys: Keys, id: str, keep_ms: int) -> Operation[Sight]:
    """Whether the job has ended. If not, its end is told on its channel, should it come within
    `keep_ms`.
    """
    call_keys = [keys.jobs, keys.state, keys.meta, keys.waited]
    replies = yield (Call("wait", call_keys, [id, keep_ms]),)
    return Sight(reply_of(replies))
