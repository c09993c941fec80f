"""Where the primary of a service is, as its Sentinels say.

redis-py's own search takes the retries and time-outs of the user's client, and until a failover has
ended, it is told the address of the primary that is gone. This one is bounded, and asks for the
address of the replica that is being promoted.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeAlias

from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from redisjobs.connections import Connections
from redisjobs.errors import ConfigurationError

# How long one Sentinel may take to be reached, and to answer.
LONGEST_ASK_S = 1.0

_Words: TypeAlias = tuple[str, ...]
_Replies: TypeAlias = Sequence[Any]
# Yields the number of the Sentinel to ask; receives its replies, or why there are none.
_Search: TypeAlias = Generator[int, "_Replies | Exception", "Primary"]


class Primary(NamedTuple):
    """Where it listens."""

    host: str
    port: int


class NoPrimaryError(Exception):
    """`is_awaited`: a Sentinel says that the service has none now, so a failover is to be awaited;
    False: no Sentinel can be asked.
    """

    def __init__(self, message: str, *, is_awaited: bool) -> None:
        super().__init__(message)
        self.is_awaited = is_awaited


class Sentinels:
    """The Sentinels of the pool of a `redis.sentinel.Sentinel(...).master_for(...)`, or of its
    asyncio counterpart.

    Raises:
        ConfigurationError: the pool is one of replicas.
    """

    def __init__(self, pool: Any, *, is_async: bool) -> None:
        manager = pool.sentinel_manager
        self.service = str(pool.service_name)
        if not pool.is_master:
            raise ConfigurationError(
                f"the Redis client reads from replicas of the Sentinel service {self.service!r}:"
                " a queue needs its primary, which master_for() gives"
            )
        self._connections = [
            Connections(sentinel.connection_pool, is_async=is_async)
            for sentinel in manager.sentinels
        ]
        self._peers = int(manager.min_other_sentinels)
        self._forced_host = getattr(manager, "_force_master_ip", None)
        self._first = 0  # the one that answered last
        self._questions: tuple[_Words, ...] = (
            ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service),
            ("SENTINEL", "MASTER", self.service),
        )

    def primary(self, timeout_s: float) -> Primary:
        """Asks one after the other, for about `timeout_s` in all.

        Raises:
            NoPrimaryError: there is none now, or none of them can be asked.
            ConfigurationError: they do not know the service, or refuse the credentials.
        """
        search, limit_s = self._search(), self._limit_s(timeout_s)
        try:
            number = next(search)
            while True:
                number = search.send(self._ask(self._connections[number], limit_s))
        except StopIteration as end:
            found: Primary = end.value
            return found

    async def primary_async(self, timeout_s: float) -> Primary:
        """As `primary`, awaited."""
        search, limit_s = self._search(), self._limit_s(timeout_s)
        try:
            number = next(search)
            while True:
                number = search.send(await self._ask_async(self._connections[number], limit_s))
        except StopIteration as end:
            found: Primary = end.value
            return found

    def connection(self, timeout_s: float) -> Any:
        """A blocking connection, not yet open, to the Sentinel that is asked first."""
        return self._connections[self._first].blocking(timeout_s)

    def switched(self, said: bytes) -> Primary | None:
        """Which server this message of a switch names, if it is about the service."""
        words = said.decode().split(" ")
        if len(words) != 5 or words[0] != self.service:
            return None
        return Primary(self._forced_host or words[3], int(words[4]))

    def _limit_s(self, timeout_s: float) -> float:
        return min(LONGEST_ASK_S, timeout_s / len(self._connections))

    def _ask(self, connections: Connections, limit_s: float) -> _Replies | Exception:
        connection = connections.blocking(limit_s)
        replies: list[Any] = []
        try:
            connection.connect()
            for words in self._questions:
                connection.send_command(*words, check_health=False)
                try:
                    replies.append(connection.read_response(disable_decoding=True))
                except ResponseError as err:
                    replies.append(err)
        except Exception as err:  # noqa: BLE001 - also what the user's own credentials raise
            return err
        finally:
            connection.disconnect()
        return replies

    async def _ask_async(self, connections: Connections, limit_s: float) -> _Replies | Exception:
        connection = connections.asyncio(limit_s)
        replies: list[Any] = []
        try:
            await connection.connect()
            for words in self._questions:
                await connection.send_command(*words, check_health=False)
                try:
                    replies.append(await connection.read_response(disable_decoding=True))
                except ResponseError as err:
                    replies.append(err)
        except Exception as err:  # noqa: BLE001 - also what the user's own credentials raise
            return err
        finally:
            connection._close()  # without waiting: the task may be under cancellation
        return replies

    def _search(self) -> _Search:
        troubles: list[str] = []
        of_tls: list[str] = []
        is_awaited, refused, unknown = False, False, False
        handled = sys.exception()
        count, first = len(self._connections), self._first
        for number in ((first + step) % count for step in range(count)):
            answer = yield number
            if isinstance(answer, Exception):
                troubles.append(str(answer) or type(answer).__name__)
                refused = refused or isinstance(answer, AuthenticationError | ResponseError)
                if trouble := self._connections[number].trouble_of_tls(answer, handled):
                    of_tls.append(trouble)
                continue
            address, master = answer
            if isinstance(address, Exception):
                troubles.append(str(address))
                refused = refused or isinstance(address, AuthenticationError | NoPermissionError)
                continue
            if address is None:
                unknown = True
                continue
            not_counted = self._trouble(address, _fields(master))
            if not_counted is None:
                self._first = number
                return Primary(self._forced_host or address[0].decode(), int(address[1]))
            is_awaited = True
            troubles.append(not_counted)
        # Certificates are each Sentinel's own: one that is away may be the one that can answer.
        all_of_tls = len(of_tls) == count
        if is_awaited or not (unknown or refused or all_of_tls):
            raise NoPrimaryError(_joined(troubles), is_awaited=is_awaited)
        if unknown:
            raise ConfigurationError(
                f"the Sentinels know no service {self.service!r}: see what SENTINEL MASTERS names"
            )
        if not refused:
            raise ConfigurationError(
                f"the Sentinels of service {self.service!r}: no TLS connection ({of_tls[0]}): look"
                " at ssl_ca_certs and the certificates; for Sentinels without TLS the URL begins"
                " with redis+sentinel://"
            )
        raise ConfigurationError(
            f"the Sentinels of service {self.service!r} refuse the connection:"
            f" {_joined(troubles)}; the credentials for Sentinels are others than those for Redis"
        )

    def _trouble(self, address: Sequence[bytes], master: dict[bytes, bytes]) -> str | None:
        """Why this answer does not count, if it does not."""
        if int(master.get(b"num-other-sentinels", self._peers)) < self._peers:
            return f"a Sentinel sees fewer than {self._peers} others"
        flags = master.get(b"flags", b"").split(b",")
        is_this_one = [master.get(b"ip"), master.get(b"port")] == list(address)
        if is_this_one and (b"s_down" in flags or b"o_down" in flags):
            return f"the primary at {address[0].decode()}:{int(address[1])} is down"
        return None


def _fields(master: Any) -> dict[bytes, bytes]:
    """Names and values of a reply; nothing, if it was not permitted."""
    if isinstance(master, Exception) or not master:
        return {}
    return dict(zip(master[::2], master[1::2], strict=False))


def _joined(troubles: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(troubles)) or "there are none"
