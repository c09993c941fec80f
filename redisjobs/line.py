"""One blocking connection, and operations driven over it: EVALSHA, and scripts that the server has
forgotten.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import redis
from redis.exceptions import ResponseError

from redisjobs.address import Address
from redisjobs.errors import RedisJobsError
from redisjobs.operations.library import Library
from redisjobs.operations.operation import Calls, Operation
from redisjobs.wire import Exchange, errors_of_ours, exchanging, not_now, pack

T = TypeVar("T")


class Line:
    """One connection, opened when it is needed, for one caller at a time.

    Args:
        timeout_s: how long each wait for a reply may take, and connecting, where that gives up no
            sooner by itself.
    """

    def __init__(self, address: Address, library: Library, timeout_s: float) -> None:
        self._address = address
        self._library = library
        self._timeout_s = timeout_s
        self._connection: Any = None
        self._awaited = False  # whether `prepare` sent what is not answered yet

    @property
    def is_open(self) -> bool:
        """Whether a connection stands, as far as this side knows."""
        return self._connection is not None

    def connect(self) -> Any:
        """The open connection.

        Raises:
            LineError: the server cannot be reached.
            ConfigurationError: it refuses the credentials, or is too old.
        """
        if self._connection is None:
            handled = sys.exception()
            connection = self._address.connection(self._timeout_s)
            try:
                connection.connect()
                self._check_server(connection)
            except (redis.RedisError, OSError) as err:
                connection.disconnect()
                raise self._address.not_opened(err, handled) from None
            except RedisJobsError:
                connection.disconnect()
                raise
            except Exception as err:
                # The user's own code, such as a provider of credentials that cannot reach its
                # service: it may work next time.
                connection.disconnect()
                raise self._address.unavailable(err, sent=False) from err
            except BaseException:
                connection.disconnect()
                raise
            sock = connection._sock
            self._address.opened(connection, lambda: _shut(sock))
            self._connection = connection
        return self._connection

    def _check_server(self, connection: Any) -> None:
        for question in self._address.questions:
            connection.send_command(*question)
            try:
                answer = connection.read_response(disable_decoding=True)
            except ResponseError:  # not permitted, or a fake without it: the scripts will tell
                answer = None
            self._address.heed(question, answer)

    def close(self) -> None:
        """Closes the connection. The next exchange opens another."""
        connection, self._connection = self._connection, None
        self._awaited = False
        if connection is not None:
            connection.disconnect()

    def freshen(self) -> None:
        """Closes an idle connection that the server has closed: it has something to read, which
        can only be its end. What is sent next then need not fail.
        """
        if self._connection is None:
            return
        try:
            stale = self._connection.can_read(timeout=0)
        except (redis.RedisError, OSError):
            stale = True
        if stale:
            self.close()

    def exchange(self, calls: Calls) -> Sequence[Any]:
        """One round trip: the reply to each call, an error reply as an exception in its place.

        A script that the server does not know is sent whole, in a second round trip that repeats
        nothing else.

        Raises:
            LineError: no or not all replies came. The connection is closed.
        """
        exchange = exchanging(calls, self._library)
        return self._exchanged(exchange, self._round_trip(next(exchange)))

    def prepare(self, calls: Calls) -> Callable[[], Callable[[], Sequence[Any]]]:
        """Puts together what `exchange` sends. What it returns sends it; what that returns reads
        the replies: until then nothing else may use the line.

        Raises, when it is sent:
            LineError: not all could be sent. The connection is closed.
        """
        exchange = exchanging(calls, self._library)
        packed = next(exchange)

        def send() -> Callable[[], Sequence[Any]]:
            connection = self._send(packed)
            return lambda: self._exchanged(exchange, self._receive(connection, len(packed)))

        return send

    def _exchanged(self, exchange: Exchange[list[Any]], heard: list[Any]) -> Sequence[Any]:
        try:
            while True:
                heard = self._round_trip(exchange.send(heard))
        except StopIteration as end:
            replies: list[Any] = end.value
        if refusal := not_now(replies):
            self.close()
            raise self._address.unavailable(refusal.error, sent=refusal.in_part)
        return replies

    def begin_pop(self, keys: Sequence[bytes]) -> int | None:
        """Sends a blocking pop of these lists and leaves it pending. Returns the socket to wait on,
        or None if the connection has none (fakeredis): nothing was sent then.

        Raises:
            LineError: the server cannot be reached.
        """
        connection = self.connect()
        if not isinstance(connection._sock, socket.socket):
            return None
        with self._closed_on_failure():
            _send(connection, [pack(("BLPOP", *keys, 0))])
        return connection._sock.fileno()

    def has_reply(self) -> bool:
        """Whether the pending pop, whose socket is readable, has ended: over TLS it may be that
        nothing was said but by TLS itself, such as its tickets.
        """
        connection = self.connect()
        if not isinstance(connection._sock, ssl.SSLSocket):
            return True
        try:
            return bool(connection._parser.read_from_socket(timeout=0, raise_on_timeout=False))
        except (redis.RedisError, OSError):
            return True  # the connection's end

    def end_pop(self) -> bytes | None:
        """Reads the reply of the pending pop. Returns the list that it came from.

        Raises:
            LineError: the connection broke.
        """
        connection = self.connect()
        with self._closed_on_failure():
            reply = _read(connection)
        if isinstance(reply, Exception):
            self.close()
            raise self._address.unavailable(reply, sent=False)
        return None if reply is None else bytes(reply[0])

    def listen(self, channel: bytes) -> None:
        """Opens a connection that hears what is published on this channel from now on.

        Raises:
            LineError: the server cannot be reached.
        """
        self.close()
        connection = self.connect()
        with self._closed_on_failure():
            _send(connection, [pack(("SUBSCRIBE", channel))])
            reply = _read(connection)
        if isinstance(reply, Exception):
            self.close()
            with errors_of_ours():
                raise reply

    def heard(self, seconds: float) -> bytes | None:
        """What is published next, or None if nothing is for so long.

        Raises:
            LineError: the connection broke.
        """
        connection = self.connect()
        with self._closed_on_failure():
            if not connection.can_read(timeout=max(0.0, seconds)):
                return None
            return bytes(_read(connection)[2])

    def _round_trip(self, packed: list[bytes]) -> list[Any]:
        connection = self._free_connection()
        # Both in one: what interrupts between them (a Ctrl-C) leaves replies behind, which the next
        # caller would take for its own.
        with self._closed_on_failure():
            _send(connection, _in_one(packed))
            return [_read(connection) for _ in packed]

    def _send(self, packed: list[bytes]) -> Any:
        connection = self._free_connection()
        with self._closed_on_failure():
            _send(connection, _in_one(packed))
        self._awaited = True
        return connection

    def _receive(self, connection: Any, count: int) -> list[Any]:
        if connection is not self._connection:
            raise self._address.unavailable(ConnectionError("it was closed"), sent=True)
        with self._closed_on_failure():
            replies = [_read(connection) for _ in range(count)]
        self._awaited = False
        return replies

    def _free_connection(self) -> Any:
        """The open connection, on which no reply is awaited: whoever asks for one while some are
        would take them for its own.
        """
        if self._awaited:
            self.close()
        return self.connect()

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        """What fails here leaves the connection in mid-reply: nobody may use it again."""
        try:
            yield
        except (redis.RedisError, OSError) as err:
            self.close()
            raise self._address.unavailable(err, sent=True) from None
        except BaseException:
            self.close()
            raise


def _shut(sock: Any) -> None:
    """Ends a connection from another thread: who reads from it finds its end, and closes it."""
    with suppress(OSError):  # it was closed, or broke
        # Not a TLS socket's own, which would have the other thread go on without TLS.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _send(connection: Any, packed: list[bytes]) -> None:
    connection.send_packed_command(packed, check_health=False)


def _in_one(packed: list[bytes]) -> list[bytes]:
    """As one piece, since each is sent by itself: a copy costs less than a system call."""
    return packed if len(packed) == 1 else [b"".join(packed)]


def _read(connection: Any) -> Any:
    try:
        return connection.read_response(disable_decoding=True)
    except ResponseError as err:
        return err


def drive(operation: Operation[T], line: Line) -> T:
    """Carries an operation out over one line, once.

    Raises:
        LineError: the connection broke.
        QueueFullError: the server is at its memory limit.
        RedisJobsError: what the operation itself raises.
    """
    with errors_of_ours():
        try:
            calls = next(operation)
            while True:
                calls = operation.send(line.exchange(calls))
        except StopIteration as end:
            value: T = end.value
            return value


def prepare(operation: Operation[T], line: Line) -> Callable[[], Callable[[], T]]:
    """Puts an operation's first round trip together. What it returns sends it, at most once; what
    that returns hears its replies and carries the operation out: until then nothing else may use
    the line.

    Raises, when it is sent:
        LineError: the connection broke.
    """
    try:
        calls = next(operation)
    except StopIteration as end:
        value: T = end.value
        return lambda: lambda: value
    send = line.prepare(calls)

    def send_it() -> Callable[[], T]:
        heard = send()
        return lambda: _landed(operation, heard, line)

    return send_it


def _landed(operation: Operation[T], heard: Callable[[], Sequence[Any]], line: Line) -> T:
    with errors_of_ours():
        try:
            calls = operation.send(heard())
            while True:
                calls = operation.send(line.exchange(calls))
        except StopIteration as end:
            value: T = end.value
            return value
