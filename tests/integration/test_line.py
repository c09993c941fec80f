"""One connection: what interrupts a call, what its making runs into, and what errors tell."""

from __future__ import annotations

import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.credentials import CredentialProvider

from redisjobs import (
    ConfigurationError,
    Job,
    QueueUnavailableError,
    RedisJobsError,
    RedisQueue,
    line,
    transport,
)
from redisjobs.address import client_from_url
from redisjobs.line import Line, drive, prepare
from redisjobs.operations import one_job
from redisjobs.patience import LineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from tests.conftest import OwnServer


def _interrupt_at(step: int) -> Any:
    """A trace function that raises at this step of what the transport does."""
    steps = count()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in (transport.__file__, line.__file__):
            return None
        if event == "line" and next(steps) == step:
            raise KeyboardInterrupt
        return trace

    return trace


def test_a_call_that_is_interrupted_leaves_no_reply_for_the_next(queue: RedisQueue) -> None:
    """Wherever a Ctrl-C comes: the next caller gets its own answer."""
    queue.enqueue(Job("kind", b"one", id="one"), Job("kind", b"two", id="two"))
    assert queue.get("one")
    before = sys.gettrace()
    for step in count():
        sys.settrace(_interrupt_at(step))
        try:
            queue.get("one")
        except KeyboardInterrupt:
            continue
        else:
            break
        finally:
            sys.settrace(before)
            found = queue.get("two")
            assert found is not None
            assert found.payload == b"two", f"interrupted at step {step}"
    assert step > 10


class _Vault(CredentialProvider):
    """Credentials from a service that is away at first."""

    def __init__(self) -> None:
        self.calls = 0

    def get_credentials(self) -> tuple[str, str]:
        self.calls += 1
        if self.calls < 3:
            raise LookupError("the vault is sealed")
        return ("default", "password")


def test_credentials_that_cannot_be_had_now_are_asked_for_again(own_server: OwnServer) -> None:
    server = own_server(tcp=True)
    settings = client_from_url(server.url).connection_pool.connection_kwargs
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", "default", ">password")
    vault = _Vault()
    queue = RedisQueue(
        redis.Redis(host=settings["host"], port=settings["port"], credential_provider=vault)
    )
    queue.enqueue(Job("kind"))
    assert vault.calls == 3
    queue.close()


def test_no_error_tells_the_password_that_a_server_repeats(own_server: OwnServer) -> None:
    server = own_server(tcp=True, options={"rename-command": 'AUTH ""'})
    settings = client_from_url(server.url).connection_pool.connection_kwargs
    queue = RedisQueue(redis.Redis(host=settings["host"], port=settings["port"], password="secret"))
    with pytest.raises(RedisJobsError, match="unknown command") as caught:
        queue.get("id")
    assert "secret" not in str(caught.value)


def test_no_error_tells_what_redis_py_shows_of_a_sentinel(queue: RedisQueue) -> None:
    err = redis.sentinel.MasterNotFoundError(
        "No master found for 'm' : <redis.client.Redis(<redis.connection.ConnectionPool(<redis."
        "connection.Connection(password=secret,host=h)>)>)> - ConnectionError('…')"
    )
    told = str(queue.lines.address.unavailable(err, sent=False))
    assert "No master found for 'm'" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    "url",
    [
        "redis://:123/secret@host:6379/0",
        "redis://user:123/secret@host/0",
        "redis://:123#secret@host:6379",
        "rediss://:123/sec#ret@host",
    ],
)
def test_a_password_that_ends_the_host_too_early_is_refused(url: str) -> None:
    """Or its beginning would be the port of another server, which errors name."""
    with pytest.raises(ConfigurationError, match="escaped") as caught:
        RedisQueue.from_url(url)
    assert "123" not in str(caught.value)
    assert QueueUnavailableError not in type(caught.value).__mro__


class TestACallThatIsBegun:
    @pytest.fixture
    def line(self, queue: RedisQueue) -> Iterator[Line]:
        made = queue.lines.new_line(5.0)
        yield made
        made.close()

    def test_is_carried_out_when_it_is_heard(self, queue: RedisQueue, line: Line) -> None:
        queue.enqueue(Job("kind", id="one"), Job("kind", id="two"))
        landing = prepare(one_job.get(queue.keys, "one"), line)()
        found = landing()
        assert found is not None
        assert found.id == "one"
        other = drive(one_job.get(queue.keys, "two"), line)
        assert other is not None
        assert other.id == "two"

    def test_leaves_no_reply_for_one_that_comes_between(
        self, queue: RedisQueue, line: Line
    ) -> None:
        queue.enqueue(Job("kind", id="one"), Job("kind", id="two"))
        landing = prepare(one_job.get(queue.keys, "one"), line)()
        found = drive(one_job.get(queue.keys, "two"), line)
        assert found is not None
        assert found.id == "two"
        with pytest.raises(LineError, match="may have been carried out"):
            landing()

    def test_is_sent_whole_where_its_script_was_forgotten(
        self, queue: RedisQueue, line: Line, client: redis.Redis
    ) -> None:
        queue.enqueue(Job("kind", id="one"))
        client.script_flush()
        found = prepare(one_job.get(queue.keys, "one"), line)()()
        assert found is not None
        assert found.id == "one"
