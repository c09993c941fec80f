"""The error that ends a demo."""

from __future__ import annotations

from redisjobs.errors import RedisJobsError


class DemoError(RedisJobsError):
    """The demo cannot go on. Its message says why, in words for whoever started it."""
