"""A server that answers what a test says, to clients that speak Redis's protocol."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

import hiredis

if TYPE_CHECKING:
    from collections.abc import Callable


class StubServer:
    """Listens on a loopback port until it is closed.

    Args:
        answer: takes a command in capitals, gives the bytes of its reply.

    Attributes:
        asked: the commands that came, in capitals.
    """

    def __init__(self, answer: Callable[[str], bytes]) -> None:
        self._answer = answer
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        reader = hiredis.Reader()
        with client:
            while data := client.recv(65536):
                reader.feed(data)
                while (words := reader.gets()) is not False:
                    command = words[0].decode().upper()
                    self.asked.append(command)
                    client.sendall(self._answer(command))


def bulk(text: str) -> bytes:
    """A reply of text."""
    return b"$%d\r\n%b\r\n" % (len(text), text.encode())
