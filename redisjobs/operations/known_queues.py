"""known_queues: which queues a server has."""

from __future__ import annotations

from redisjobs.operations.operation import Operation
from redisjobs.operations.refusals import names
from redisjobs.operations.scanning import Walk

MOST_STEPS = 100
MOST_KEYS = 1000

_STEM, _ENDS = b"redisjobs:{", (b"}:kinds", b"}:meta")


def known_queues() -> Operation[list[str]]:
    """The names of the server's queues, as far as they are found among its first 100,000 keys or
    so.
    """
    found: set[bytes] = set()
    walk = Walk("SCAN", match=_STEM + b"*}:[km]*", most=MOST_KEYS)
    for _ in range(MOST_STEPS):
        for key in (yield from walk.step()):
            for end in _ENDS:
                if key.endswith(end):
                    found.add(key[len(_STEM) : -len(end)])
        if walk.ended:
            break
    return sorted(names(found))
