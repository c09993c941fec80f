"""A Redis that takes connections and answers nothing: every command ends soon, with 69."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from redisjobs import Job, QueueUnavailableError
from redisjobs.cli import connection, enqueue
from redisjobs.cli.connection import answer_within, open_queue
from redisjobs.patience import REPEAT_FOR_S, LineError
from tests.cli.conftest import Run
from tests.cli.test_cli import ON_A_QUEUE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redisjobs import RedisQueue
    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer

LIMIT_S = 0.3
# Less than one wait, or all tries, of a service.
SOON_S = 3.0


@contextlib.contextmanager
def stopped(server: EmbeddedServer) -> Iterator[None]:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.fixture
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_WITHIN_S", LIMIT_S)
    monkeypatch.setattr(enqueue, "_STORED_WITHIN_S", LIMIT_S)


def test_what_people_and_probes_wait_for_is_less_than_10_seconds() -> None:
    assert connection.ANSWER_WITHIN_S <= 5
    assert enqueue._STORED_WITHIN_S <= 8


@pytest.mark.parametrize("tcp", [True, False])
def test_every_command_gives_up_soon(own_server: OwnServer, prompt: None, tcp: bool) -> None:
    server = own_server(tcp=tcp)
    run = Run(server.url, "q")
    with stopped(server):
        for words in (*ON_A_QUEUE, ["workers", "--check", "--timeout", "300ms"]):
            if words == ["workers", "--check"]:
                continue  # it waits for as long as its option says
            began = time.monotonic()
            result = run(*words)
            assert (result.exit_code, result.stdout) == (69, ""), words
            assert result.stderr.startswith("Error: Redis at "), words
            assert time.monotonic() - began < SOON_S, words


def test_also_where_it_hangs_in_the_midst_of_a_command(own_server: OwnServer, prompt: None) -> None:
    server = own_server()
    queue = open_queue(server.url, "q")
    with contextlib.closing(queue):
        queue.enqueue(Job("mail", id="a"))
        began = time.monotonic()
        with stopped(server), pytest.raises(QueueUnavailableError, match="may have been carried"):
            queue.enqueue(Job("mail", id="b"))
        assert time.monotonic() - began < SOON_S


def test_a_connection_that_breaks_is_still_mended(own_server: OwnServer) -> None:
    server = own_server()
    queue = open_queue(server.url, "q")
    with contextlib.closing(queue):
        queue.enqueue(Job("mail", id="a"))
        server.crash()
        server.restart()
        assert queue.get("a") is None


def test_a_failover_is_waited_for_as_ever() -> None:
    patience = connection._Impatience(LIMIT_S, repeatable=True)
    patience.tries_again_after(LineError("hung", sent=True))
    assert patience.limit_s == LIMIT_S
    patience.tries_again_after(LineError("no primary", sent=False, awaits_failover=True))
    assert patience.limit_s == REPEAT_FOR_S


def test_what_takes_long_in_many_steps_is_not_waited_for(queue: RedisQueue) -> None:
    let_go = threading.Event()
    with pytest.raises(QueueUnavailableError, match=r"no answer within 0.05 s") as raised:
        answer_within(0.05, queue, lambda: let_go.wait(30))
    let_go.set()
    assert queue.address.name in str(raised.value)


def test_what_comes_in_time_is_returned_or_raised(queue: RedisQueue) -> None:
    def fail() -> None:
        raise LookupError("on purpose")

    assert answer_within(30, queue, lambda: 5) == 5
    with pytest.raises(LookupError, match="on purpose"):
        answer_within(30, queue, fail)
