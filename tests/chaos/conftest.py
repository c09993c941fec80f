"""A queue on the server that tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from redisjobs import RedisQueue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redisjobs.embedded import EmbeddedServer


@pytest.fixture
def queue(redis_server: EmbeddedServer, queue_name: str) -> Iterator[RedisQueue]:
    """A queue of the test's own."""
    made = RedisQueue.from_url(redis_server.url, queue_name)
    yield made
    made.close()
