"""What the mail service does, and the worker that does it: `examples.mail:make_worker`."""

from __future__ import annotations

import os

from redisjobs import RedisQueue, Registry, RetryableError, Worker

registry = Registry()


@registry.task("mail.welcome")
def send_welcome(address: str, *, language: str = "en") -> str:
    """Stands for the sending of a mail; the result is what the mail server answers."""
    if address.endswith("@busy.example"):
        raise RetryableError("the mail server is busy", retry_after=60)
    return f"250 queued for {address} ({language})"


@registry.task("mail.preview")
async def render_preview(template: str, names: list[str]) -> str:
    """The text of a mail, for somebody who waits for it."""
    return "\n".join(template.format(name=name) for name in names)


def make_worker() -> Worker:
    """Called by the process that runs the jobs; those that only enqueue make no worker."""
    return Worker(RedisQueue.from_url(os.environ["REDISJOBS_URL"], "mail"), registry)
