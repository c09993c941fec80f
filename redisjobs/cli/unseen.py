"""The hint of commands that find nothing: perhaps it is another queue that was meant."""

from __future__ import annotations

import click

from redisjobs.cli.tables import shown
from redisjobs.errors import RedisJobsError
from redisjobs.operations.known_queues import known_queues
from redisjobs.operations.operation import Operation, command, reply_of
from redisjobs.queue import RedisQueue

_NAMED = 10


def hint_if_unseen(queue: RedisQueue) -> None:
    """Says on standard error if the queue was never used, and which queues there are."""
    if not queue.lines.run(lambda: _was_seen(queue)):
        click.echo(never_seen(queue), err=True)
        hint_at_others(queue)


def never_seen(queue: RedisQueue) -> str:
    """What is said of such a queue."""
    return f"queue {shown(queue.name)!r} has seen no jobs and no workers"


def hint_at_others(queue: RedisQueue) -> None:
    """Names the queues of the server on standard error."""
    try:
        others = queue.lines.run(known_queues)
    except RedisJobsError:
        return  # not permitted: only a hint is missing
    if others:
        named = ", ".join(map(shown, others[:_NAMED]))
        more = " and others" if len(others) > _NAMED else ""
        click.echo(f"queues on this server: {named}{more}", err=True)


def _was_seen(queue: RedisQueue) -> Operation[bool]:
    replies = yield (command("EXISTS", queue.keys.kinds, queue.keys.workers),)
    return bool(reply_of(replies))
