"""sweep: drops finished records past their time."""

from __future__ import annotations

from collections.abc import Sequence

from redisjobs.keys import FINISHED_STATUSES, Keys
from redisjobs.operations.operation import Argument, Call, Operation, reply_of
from redisjobs.states import LETTER_OF_STATUS

MOST_KINDS = 50


def sweep(keys: Keys, kinds: Sequence[str], most: int = 1000) -> Operation[int]:
    """Drops at most `most` finished records of the first 50 of these kinds. Returns how many it
    dropped.
    """
    call_keys = [keys.jobs, keys.state, keys.meta]
    arguments: list[Argument] = [most]
    for kind in kinds[:MOST_KINDS]:
        call_keys += keys.all_finished(kind)
        arguments += (LETTER_OF_STATUS[status] for status in FINISHED_STATUSES)
    replies = yield (Call("sweep", call_keys, arguments),)
    dropped: int = reply_of(replies)
    return dropped
