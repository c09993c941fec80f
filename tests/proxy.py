"""A proxy between a client and a server, which fails where a test says: before a command, or
between a command and its reply.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import selectors
import socket
import threading
from enum import Enum
from importlib.resources import files
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

import hiredis

from redisjobs.operations.library import standard
from tests.waiting import wait_for_event

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 65536
BLOCKING = ("BLPOP",)


class When(Enum):
    """BEFORE: the server never hears the command. AFTER: it carries it out, and its reply is
    lost.
    """

    BEFORE = "before"
    AFTER = "after"


class Fault:
    """One failure to come: the connection ends at the `nth` command of this name.

    Args:
        command: a script's name, or a plain command in capitals.
        behind: only where this one came just before it and is not answered yet: one round trip.
    """

    def __init__(self, command: str, when: When, nth: int, behind: str | None) -> None:
        self.command = command
        self.when = when
        self.behind = behind
        self.happened = threading.Event()
        self._left = nth

    def strikes(self, command: str, unanswered: Sequence[str]) -> bool:
        """Whether this is the command at which it happens."""
        if command != self.command:
            return False
        if self.behind is not None and (not unanswered or unanswered[-1] != self.behind):
            return False
        self._left -= 1
        if self._left == 0:
            self.happened.set()
        return self._left == 0

    def wait(self, timeout: float = 10.0) -> None:
        """Return when it has happened."""
        wait_for_event(self.happened, f"the connection is cut {self.when.value} {self}", timeout)

    def __str__(self) -> str:
        return f"{self.command} behind {self.behind}" if self.behind else self.command


class Proxy:
    """Listens on a loopback port until it is closed, and forwards to the server at this URL.

    Attributes:
        refused: how many connections were refused while it was down.
        cuts: how many connections ended at a command.
        swallowed: how many commands came while it was stalled.
    """

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._faults: list[Fault] = []
        self._links: set[_Link] = set()
        self._lock = threading.Lock()
        self._is_down = self.stalled = False
        self._open = threading.Event()
        self._open.set()
        self._chance, self._share = random.Random(0), 0.0
        self.refused = self.cuts = self.swallowed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        # close() alone would leave accept() waiting
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def cut(
        self, command: str, when: When = When.AFTER, *, nth: int = 1, behind: str | None = None
    ) -> Fault:
        """Have a connection end at a command to come."""
        fault = Fault(command, when, nth, behind)
        self._faults.append(fault)
        return fault

    def cut_often(self, seed: int, share: float) -> None:
        """Have each command end its connection with this probability, before or after it."""
        self._chance, self._share = random.Random(seed), share

    def down(self) -> None:
        """End all connections, and each new one at once."""
        with self._lock:
            self._is_down = True
            links = list(self._links)
        for link in links:
            link.end()

    def up(self) -> None:
        """Let connections through again."""
        with self._lock:
            self._is_down = False

    def hold_new_connections(self) -> None:
        """New connections wait; those that stand are served."""
        self._open.clear()

    def let_through(self) -> None:
        """Serves the connections that wait."""
        self._open.set()

    def stall(self) -> None:
        """From now on nothing gets through, and no connection ends: a network that is half open."""
        self.stalled = True

    def resume(self) -> None:
        """Ends the connections that were stalled, and lets new ones through."""
        self.stalled = False
        with self._lock:
            links = list(self._links)
        for link in links:
            link.end()

    def strikes(self, command: str, unanswered: Sequence[str]) -> When | None:
        """When the connection is to end at this command, if it is."""
        with self._lock:
            fault = next((one for one in self._faults if one.strikes(command, unanswered)), None)
            when = fault.when if fault else None
            if when is None and self._chance.random() < self._share:
                when = self._chance.choice(list(When))
            self.cuts += when is not None
        return when

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.wait()
            with self._lock:
                if self._is_down:
                    self.refused += 1
                    client.close()
                    continue
                link = _Link(self, client, _connect(self._server_url))
                self._links.add(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: _Link) -> None:
        try:
            link.run()
        except OSError:
            link.end()
        finally:
            link.close()
            with self._lock:
                self._links.discard(link)


class _Link:
    """One connection of a client, and the one to the server that goes with it."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._requests = hiredis.Reader()
        self._replies = hiredis.Reader()
        self._unanswered: list[str] = []

    def run(self) -> None:
        """Forwards until either side ends, or a fault strikes."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._client, selectors.EVENT_READ, self._forward_requests)
            selector.register(self._server, selectors.EVENT_READ, self._forward_replies)
            going_on = True
            while going_on:
                for key, _ in selector.select():
                    going_on = going_on and key.data()

    def _forward_requests(self) -> bool:
        data = self._client.recv(CHUNK)
        if not data:
            return False
        self._requests.feed(data)
        while (words := self._requests.gets()) is not False:
            if self._proxy.stalled:
                self._proxy.swallowed += 1
                continue
            name = _name_of(words)
            cut = self._proxy.strikes(name, self._unanswered)
            if cut is not When.BEFORE:
                self._unanswered.append(name)
                self._server.sendall(hiredis.pack_command(tuple(words)))
            if cut is not None:
                self._hear_what_comes()
                return False
        return True

    def _hear_what_comes(self) -> None:
        """Waits until the server has carried out what it was sent. A pop may never end."""
        while self._unanswered and self._unanswered[-1] not in BLOCKING:
            self._hear_replies()

    def _forward_replies(self) -> bool:
        data = self._hear_replies()
        if data and not self._proxy.stalled:
            self._client.sendall(data)
        return bool(data)

    def _hear_replies(self) -> bytes:
        data = self._server.recv(CHUNK)
        if not data:
            self._unanswered.clear()
            return data
        self._replies.feed(data)
        while self._replies.gets() is not False:
            del self._unanswered[:1]
        return data

    def end(self) -> None:
        """Has `run` end, from another thread."""
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Gives both sockets back."""
        self._client.close()
        self._server.close()


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        server = socket.socket(socket.AF_UNIX)
        server.connect(unquote(parts.path))
        return server
    server = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379))
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return server


def _scripts_by_digest() -> dict[bytes, str]:
    names = [
        entry.name.removesuffix(".lua")
        for entry in files("redisjobs.operations").iterdir()
        if entry.name.endswith(".lua")
    ]
    return {standard()[name].sha: name for name in names}


_SCRIPTS = _scripts_by_digest()


def _name_of(words: Sequence[bytes]) -> str:
    command = words[0].decode().upper()
    if command == "EVALSHA":
        return _SCRIPTS.get(words[1], command)
    if command == "EVAL":
        digest = hashlib.sha1(words[1], usedforsecurity=False).hexdigest().encode()
        return _SCRIPTS.get(digest, command)
    return command
