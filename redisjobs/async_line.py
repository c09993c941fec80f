"""One asyncio connection, and operations driven over it: the counterpart of `line.Line`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

import redis
from redis.exceptions import ResponseError

from redisjobs.address import Address
from redisjobs.errors import RedisJobsError
from redisjobs.operations.library import Library
from redisjobs.operations.operation import Calls, Operation
from redisjobs.patience import LineError
from redisjobs.wire import errors_of_ours, exchanging, not_now, pack

T = TypeVar("T")


class AsyncLine:
    """One connection, opened when it is needed, for one task of one event loop at a time."""

    def __init__(self, address: Address, library: Library, timeout_s: float) -> None:
        self._address = address
        self._library = library
        self.timeout_s = timeout_s
        self._connection: Any = None

    @property
    def is_open(self) -> bool:
        """Whether a connection stands, as far as this side knows."""
        return self._connection is not None

    async def connect(self) -> Any:
        """The open connection.

        Raises:
            LineError: the server cannot be reached.
            ConfigurationError: it refuses the credentials, or is too old.
        """
        if self._connection is None:
            handled = sys.exception()
            with _cancellation_heeded():
                connection = await self._address.async_connection(self.timeout_s)
            try:
                with _cancellation_heeded():
                    await connection.connect()
                    await self._check_server(connection)
            except (redis.RedisError, OSError) as err:
                _close(connection)
                raise self._address.not_opened(err, handled) from None
            except RedisJobsError:
                _close(connection)
                raise
            except Exception as err:
                # The user's own code, such as a provider of credentials: it may work next time.
                _close(connection)
                raise self._address.unavailable(err, sent=False) from err
            except BaseException:
                _close(connection)
                raise
            self._address.opened(connection, _ending(connection._writer))
            self._connection = connection
        return self._connection

    async def _check_server(self, connection: Any) -> None:
        for question in self._address.questions:
            await connection.send_command(*question)
            try:
                answer = await connection.read_response(disable_decoding=True)
            except ResponseError:  # not permitted, or a fake without it: the scripts will tell
                answer = None
            self._address.heed(question, answer)

    def close(self) -> None:
        """Closes the connection, without waiting: a task that is being cancelled may not wait for
        anything. The next exchange opens another.
        """
        connection, self._connection = self._connection, None
        if connection is not None:
            _close(connection)

    async def wait_closed(self) -> None:
        """Closes the connection, and waits until it is."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect()

    def freshen(self) -> None:
        """Closes an idle connection that the server has closed: what is sent next need not fail."""
        reader = getattr(self._connection, "_reader", None)
        if reader is not None and reader.at_eof():
            self.close()

    async def exchange(self, calls: Calls) -> Sequence[Any]:
        """As `Line.exchange`. A cancelled exchange closes its connection, which is in mid-reply.

        Raises:
            LineError: no or not all replies came. The connection is closed.
        """
        exchange = exchanging(calls, self._library)
        packed = next(exchange)
        try:
            while True:
                packed = exchange.send(await self._round_trip(packed))
        except StopIteration as end:
            replies: list[Any] = end.value
        if refusal := not_now(replies):
            self.close()
            raise self._address.unavailable(refusal.error, sent=refusal.in_part)
        return replies

    async def _round_trip(self, packed: list[bytes]) -> list[Any]:
        connection = await self.connect()
        async with self._closed_on_failure():
            # Not redis-py's own sending, which may swallow a cancellation (see below).
            connection._writer.writelines(packed)
            async with asyncio.timeout(self.timeout_s):
                await connection._writer.drain()
            return [await _read(connection) for _ in packed]

    @asynccontextmanager
    async def _closed_on_failure(self) -> AsyncIterator[None]:
        """What fails here leaves the connection in mid-reply: nobody may use it again."""
        try:
            yield
        except (redis.RedisError, OSError) as err:
            self.close()
            raise self._address.unavailable(err, sent=True) from None
        except BaseException:
            self.close()
            raise

    async def begin_listening(self) -> None:
        """Opens a connection that may be silent for any time: `post` and `message` are for it.

        Raises:
            LineError: the server cannot be reached.
        """
        connection = await self.connect()
        connection.socket_timeout = None

    def post(self, *words: bytes) -> None:
        """Sends a command of a few bytes without waiting, also while `message` waits.

        Raises:
            LineError: the connection broke.
        """
        writer = getattr(self._connection, "_writer", None)
        if writer is None:
            raise self._address.unavailable(ConnectionError("closed"), sent=False)
        writer.writelines([pack(words)])

    def silent(self) -> LineError:
        """The error of a server that does not answer what was posted."""
        return self._address.unavailable(TimeoutError("no answer"), sent=True)

    async def message(self) -> Any:
        """The next thing that the server says.

        Raises:
            LineError: the connection broke.
            RedisJobsError: it was an error.
        """
        async with self._closed_on_failure():
            reply = await _read(await self.connect())
            with errors_of_ours():
                if isinstance(reply, ResponseError):
                    raise reply
            return reply


@contextmanager
def _cancellation_heeded() -> Iterator[None]:
    """redis-py connects by `asyncio.wait_for`, which before Python 3.12 swallows a cancellation
    that comes in the instant in which what it waits for is done.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    yield
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError


def _ending(writer: Any) -> Callable[[], None]:
    """What ends a connection from any thread: who reads from it finds its end, and closes it."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(writer.transport.abort)

    return end


def _close(connection: Any) -> None:
    connection._close()


async def _read(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as err:
        return err


async def drive(operation: Operation[T], line: AsyncLine) -> T:
    """As `transport.drive`, awaited."""
    with errors_of_ours():
        try:
            calls = next(operation)
            while True:
                calls = operation.send(await line.exchange(calls))
        except StopIteration as end:
            value: T = end.value
            return value
