"""What the demo does with its queue's keys beyond what a queue offers."""

from __future__ import annotations

from redisjobs.keys import Keys
from redisjobs.operations.operation import Operation, command, reply_of
from redisjobs.operations.scanning import Walk

KEYS_AT_ONCE = 5000


def held(keys: Keys, worker_id: str) -> Operation[dict[str, int]]:
    """The jobs that a worker holds, by id, each with the token of its delivery."""
    replies = yield (command("LRANGE", keys.processing(worker_id), 0, -1),)
    return dict(map(_id_and_token, reply_of(replies)))


def _id_and_token(delivery: bytes) -> tuple[str, int]:
    token, _, id = delivery.partition(b":")
    return id.decode(), int(token)


def remove_all(keys: Keys) -> Operation[None]:
    """Removes every key of the queue. Nobody may use it any more."""
    walk = Walk("SCAN", match=keys.prefix + b"*", most=KEYS_AT_ONCE)
    while not walk.ended:
        found = yield from walk.step()
        if found:
            yield tuple(command("UNLINK", key) for key in found)
