"""The worker: claims jobs, runs their handlers, settles what came of them."""

from redisjobs.worker.worker import Worker

__all__ = ["Worker"]
