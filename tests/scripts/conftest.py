"""Queues on which scripts are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fakeredis
import pytest
import redis

from tests.scripts.bench import Bench
from tests.servers import KINDS, WHERE_FROM, first_found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import SharedServers

FAKE = "fakeredis"


def _bench_on(kind: str, shared_servers: SharedServers, name: str) -> Iterator[Bench]:
    if kind == FAKE:
        client: redis.Redis = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    elif KINDS[kind]() is None:
        pytest.skip(WHERE_FROM[kind])
    else:
        client = redis.Redis.from_url(shared_servers.get(kind).url)
    made = Bench(client, name)
    yield made
    made.close()
    client.close()


@pytest.fixture(params=[*KINDS, FAKE])
def bench(
    request: pytest.FixtureRequest, shared_servers: SharedServers, queue_name: str
) -> Iterator[Bench]:
    """A queue of the test's own on each kind of server in turn, and on fakeredis."""
    yield from _bench_on(request.param, shared_servers, queue_name)


@pytest.fixture(params=list(KINDS))
def real_bench(
    request: pytest.FixtureRequest, shared_servers: SharedServers, queue_name: str
) -> Iterator[Bench]:
    """As `bench`, on real servers only: for what a fake is too slow or too lenient for."""
    yield from _bench_on(request.param, shared_servers, queue_name)


@pytest.fixture
def one_bench(shared_servers: SharedServers, queue_name: str) -> Iterator[Bench]:
    """As `bench`, on one real server: for what takes long and is alike on all of them."""
    yield from _bench_on(first_found(), shared_servers, queue_name)
