"""Which jobs a storm has, and how each kind of them is to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redisjobs import Job, Status

if TYPE_CHECKING:
    import random

# By kind: how many of a thousand jobs, and the least and the most of their payload.
_MIX = {
    "quick": (330, 0, 0),
    "quick-async": (230, 0, 0),
    "nap": (150, 5, 120),
    "nap-async": (130, 5, 120),
    "slow": (25, 300, 2500),
    "slow-async": (25, 300, 2500),
    "later": (60, 0, 5),
    "flaky": (25, 1, 2),
    "fails": (20, 0, 0),
    "panics": (5, 0, 0),
}
KINDS = (*_MIX, "poison")
POISON = "poison"
ENDS_AS = dict.fromkeys(KINDS, Status.DONE) | {
    "fails": Status.FAILED,
    "panics": Status.PANIC,
    POISON: Status.PANIC,
}
_LATER_MS = (100, 4000)


def some_job(chance: random.Random, id: str) -> Job:
    """The next one of the mix."""
    (kind,) = chance.choices(list(_MIX), [share for share, _, _ in _MIX.values()])
    _, least, most = _MIX[kind]
    payload = str(chance.randint(least, most)).encode()
    delay_ms = chance.randint(*_LATER_MS) if kind == "later" else 0
    return Job(kind, payload, id=id, delay=delay_ms / 1000 if delay_ms else None)


def delay_ms_of(job: Job) -> int:
    """The delay that it was made with."""
    return job._delay_us // 1000
