"""A network between clients and the server that gets worse and better again.

It knows nothing of what it carries. (`tests/proxy.py` fails at a command of one's choice; this one
costs a busy fleet little.)
"""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path

CHUNK = 65536


class Relay:
    """Listens on a loopback port and carries bytes to the server behind this unix socket.

    Attributes:
        delay_s: how much later each part arrives, either way.
        held_back: how many parts had to wait, since it was made.
        refused: how many connections were refused while it was down.
        lost_replies: the probability with which a reply is dropped, and its connection with it.
    """

    def __init__(self, server_socket: Path, seed: str) -> None:
        self._server_socket = server_socket
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._links: set[tuple[socket.socket, socket.socket]] = set()
        self._is_down = False
        self._flowing = threading.Event()
        self._flowing.set()
        self.held_back = self.refused = 0
        self.delay_s = self.lost_replies = 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        self._flowing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def down(self) -> None:
        """Ends all connections, and each new one at once."""
        with self._lock:
            self._is_down = True
        self.end_all()

    def end_all(self) -> None:
        """Ends all connections that there are."""
        with self._lock:
            links = list(self._links)
        for link in links:
            _end(*link)

    def up(self) -> None:
        """Lets connections through again."""
        self._is_down = False

    def hold(self) -> None:
        """From now on nothing gets through, and no connection ends."""
        self._flowing.clear()

    def let_go(self, *, ending: bool) -> None:
        """What was held goes on its way: requests arrive late, also those of clients that have gone
        meanwhile. With `ending`, all connections end instead, and what was held is lost.
        """
        if ending:
            self.end_all()
        self._flowing.set()

    def heal(self) -> None:
        """All is well again."""
        self.delay_s = self.lost_replies = 0.0
        self._flowing.set()
        self.up()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self._server_socket))
                with self._lock:  # or one that comes right now would be neither refused nor ended
                    if self._is_down:
                        self.refused += 1
                        raise ConnectionRefusedError
                    self._links.add((client, server))
            except OSError:
                client.close()
                server.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._begin(client, server)

    def _begin(self, client: socket.socket, server: socket.socket) -> None:
        ways = [
            threading.Thread(target=self._carry, args=way, daemon=True)
            for way in ((client, server, False), (server, client, True))
        ]
        for way in ways:
            way.start()
        threading.Thread(target=self._bury, args=(client, server, ways), daemon=True).start()

    def _bury(
        self, client: socket.socket, server: socket.socket, ways: list[threading.Thread]
    ) -> None:
        for way in ways:
            way.join()
        with self._lock:
            self._links.discard((client, server))
        client.close()
        server.close()

    def _carry(self, source: socket.socket, sink: socket.socket, replies: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if self.delay_s:
                    time.sleep(self.delay_s)
                if not self._flowing.is_set():
                    with self._lock:
                        self.held_back += 1
                    self._flowing.wait()
                if replies and self.lost_replies and self._chance.random() < self.lost_replies:
                    break
                sink.sendall(data)
        if replies:
            _end(source, sink)
        else:
            # The client has gone. What it had sent was carried first, however late.
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_WR)


def _end(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def socket_of(url: str) -> str:
    """The path of the socket that a `unix://` URL names."""
    return unquote(urlsplit(url).path)
