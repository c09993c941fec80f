"""Fixtures that all tests share, and the rule that no test is skipped in CI."""

from __future__ import annotations

import os
import re
import signal
import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest
import redis
from hypothesis import settings

from redisjobs.embedded import EmbeddedServer
from tests.servers import KINDS, WHERE_FROM, SharedServers, first_found

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

# The same examples in every run; `--hypothesis-profile=explore` looks for new ones.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("repeatable")

URLS = ("REDISJOBS_URL", "REDIS_URL")
STARTED_WITH_URLS = [name for name in URLS if os.environ.get(name)]


def pytest_configure() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Whoever started this in the background has it ignored, and so would all that tests start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # No test may reach a server that is not its own.
    for name in URLS:
        os.environ.pop(name, None)


def pytest_report_header() -> list[str]:
    names = " and ".join(STARTED_WITH_URLS)
    return [f"{names} set, but tests use servers of their own"] if names else []


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Under .ci/run all servers and tools are there, so a skip hides a hole."""
    if os.environ.get("REDISJOBS_CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"no test may be skipped in CI, but: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _skip_if_missing(kind: str) -> None:
    if KINDS[kind]() is None:
        pytest.skip(WHERE_FROM[kind])


class OwnServer(Protocol):
    """Starts a fresh server that the test may restart, flush or crash; ended after the test."""

    def __call__(
        self,
        kind: str | None = None,
        *,
        tcp: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> EmbeddedServer: ...


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[SharedServers]:
    """The servers that this session's tests share (with xdist: this worker's tests)."""
    servers = SharedServers()
    yield servers
    servers.close()


@pytest.fixture(scope="session")
def redis_server(shared_servers: SharedServers) -> EmbeddedServer:
    """The server to test on where it does not matter which; shared, so never flush it."""
    return shared_servers.get(first_found())


@pytest.fixture(params=list(KINDS))
def every_server(request: pytest.FixtureRequest, shared_servers: SharedServers) -> EmbeddedServer:
    """Each kind of server in turn; shared, so never flush it."""
    _skip_if_missing(request.param)
    return shared_servers.get(request.param)


@pytest.fixture
def client(redis_server: EmbeddedServer) -> Iterator[redis.Redis]:
    """A connection to `redis_server`, with redis-py's own settings."""
    with redis.Redis.from_url(redis_server.url) as connected:
        yield connected


@pytest.fixture
def every_client(every_server: EmbeddedServer) -> Iterator[redis.Redis]:
    """A connection to each kind of server in turn."""
    with redis.Redis.from_url(every_server.url) as connected:
        yield connected


@pytest.fixture
def queue_name(request: pytest.FixtureRequest, shared_servers: SharedServers) -> Iterator[str]:
    """A name that no other test has; the queue's keys are deleted after the test."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40]
    name = f"{test}-{uuid.uuid4().hex[:8]}"
    yield name
    shared_servers.delete_queue(name)


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    """A factory of servers of the test's own."""
    with ExitStack() as servers:

        def start(
            kind: str | None = None,
            *,
            tcp: bool = False,
            options: Mapping[str, str] | None = None,
        ) -> EmbeddedServer:
            kind = kind or first_found()
            _skip_if_missing(kind)
            server = EmbeddedServer(executable=KINDS[kind](), tcp=tcp, options=options)
            return servers.enter_context(server)

        yield start
