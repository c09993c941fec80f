"""The worker: claims jobs, runs their handlers, settles what came of them."""

from __future__ import annotations

from redisjobs.worker.worker import Worker

__all__ = ["Worker"]
