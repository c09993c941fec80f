"""A server for each example, named where the example looks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.running import RunningWorker

if TYPE_CHECKING:
    from redisjobs import Worker
    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer


@pytest.fixture
def server(own_server: OwnServer, monkeypatch: pytest.MonkeyPatch) -> EmbeddedServer:
    """A fresh server that the environment names."""
    server = own_server()
    monkeypatch.setenv("REDISJOBS_URL", server.url)
    return server


@contextmanager
def working(make_worker: Callable[[], Worker]) -> Iterator[None]:
    """The example's own worker runs meanwhile."""
    worker = RunningWorker(make_worker())
    try:
        yield
    finally:
        worker.stop()
