"""The server that a user's client speaks to: how to connect to it, what it is called in messages,
and what its errors mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.exceptions import AuthenticationError, InvalidResponse, ResponseError

from redisjobs.connections import Connections
from redisjobs.errors import ConfigurationError, RedisJobsError
from redisjobs.patience import LineError
from redisjobs.sentinel import NoPrimaryError, Sentinels
from redisjobs.sentinel_url import SCHEMES, SentinelUrl
from redisjobs.sentinel_watch import Watch

OLDEST_SERVER = (6, 2)
_DATABASE = re.compile(r"/?\d*")


class Address:
    """Where a client's server is and how to connect to it, without the client's retries.

    Args:
        client: a `redis.Redis`, or with `is_async` a `redis.asyncio.Redis`.

    Raises:
        ConfigurationError: the client is none that such a queue can use.
    """

    def __init__(self, client: Any, *, is_async: bool = False) -> None:
        pool = getattr(client, "connection_pool", None)
        wanted = redis.asyncio.Redis if is_async else redis.Redis
        if not isinstance(client, wanted) or pool is None:
            raise ConfigurationError(_wrong_client(client, is_async=is_async))
        settings: Mapping[str, Any] = pool.connection_kwargs
        if settings.get("decode_responses"):
            raise ConfigurationError(
                "the Redis client has decode_responses=True, which would corrupt payloads:"
                " make it without"
            )
        self._connections = Connections(pool, is_async=is_async)
        self._sentinels = (
            Sentinels(pool, is_async=is_async) if hasattr(pool, "sentinel_manager") else None
        )
        self._watch = None if self._sentinels is None else Watch(self._sentinels)
        self.name = _name_of(settings, self._sentinels)
        self.checked = False  # whether the server was seen to be new enough

    def connection(self, timeout_s: float) -> Any:
        """A blocking connection, not yet open, whose sending and receiving each take at most
        `timeout_s`.

        Raises:
            LineError: Sentinels were asked, and name no primary.
            ConfigurationError: the client is an asyncio one whose kind of connection has no
                blocking counterpart, or the Sentinels do not know the service.
        """
        if self._sentinels is None:
            return self._connections.blocking(timeout_s)
        with self._no_primary_told():
            found = self._sentinels.primary(timeout_s)
        return self._connections.blocking(timeout_s, host=found.host, port=found.port)

    async def async_connection(self, timeout_s: float) -> Any:
        """An asyncio connection, not yet open. Only of an asyncio client's server."""
        if self._sentinels is None:
            return self._connections.asyncio(timeout_s)
        with self._no_primary_told():
            found = await self._sentinels.primary_async(timeout_s)
        return self._connections.asyncio(timeout_s, host=found.host, port=found.port)

    @contextmanager
    def _no_primary_told(self) -> Iterator[None]:
        try:
            yield
        except NoPrimaryError as err:
            what = "there is no primary" if err.is_awaited else "no Sentinel can be reached"
            raise LineError(
                f"Redis at {self.name}: {what} ({_without_secrets(str(err))})",
                sent=False,
                awaits_failover=err.is_awaited,
            ) from None

    def opened(self, connection: Any, end: Callable[[], None]) -> None:
        """Heeds a connection that was opened: with Sentinels, `end` is called when its server is
        the primary no more, from another thread. It must not refer to the connection.
        """
        if self._watch is not None:
            self._watch.cover(connection, end)

    @property
    def questions(self) -> tuple[tuple[str, ...], ...]:
        """What a server is asked once it is connected to. Not each user may ask it."""
        version = () if self.checked else (("INFO", "server"),)
        return version if self._sentinels is None else (*version, ("ROLE",))

    def heed(self, question: Sequence[str], answer: Any) -> None:
        """Looks at what the server answered; None, if it was not permitted.

        Raises:
            ConfigurationError: the server is too old.
            LineError: it is not the primary that the Sentinels said it was.
        """
        if question[0] == "INFO":
            self.check_version(bytes(answer or b""))
        elif answer and bytes(answer[0]) != b"master":
            raise self.unavailable(ConnectionError("it is the primary no more"), sent=False)

    def check_version(self, info: bytes) -> None:
        """Looks at what `INFO server` said; nothing, if it was not permitted.

        Raises:
            ConfigurationError: the server is too old.
        """
        version = re.search(rb"redis_version:((\d+)\.(\d+)\S*)", info)
        if version and (int(version[2]), int(version[3])) < OLDEST_SERVER:
            raise ConfigurationError(
                f"Redis at {self.name} is version {version[1].decode()};"
                " redisjobs needs 6.2 or newer"
            )
        self.checked = True

    def unavailable(self, err: BaseException, *, sent: bool) -> LineError:
        """The error of a connection that could not be made, or broke."""
        what = (
            "the connection broke, and what was asked may have been carried out"
            if sent
            else "cannot be reached"
        )
        reason = _without_secrets(str(err)) or type(err).__name__
        return LineError(
            f"Redis at {self.name}: {what} ({reason})",
            sent=sent,
            awaits_failover=self._sentinels is not None,
        )

    def not_opened(self, err: Exception, handled: BaseException | None) -> RedisJobsError:
        """The error of a connection that was not made: one that another try may mend, or where the
        server answered with an error, a certificate cannot be read, or one of both sides does not
        accept the other's TLS, one that only a person can. `handled`: what was being handled when
        connecting began.
        """
        reason = _without_secrets(str(err))
        if isinstance(err, AuthenticationError | ResponseError):
            return ConfigurationError(f"Redis at {self.name} refuses the connection: {reason}")
        if isinstance(err, InvalidResponse):
            return ConfigurationError(
                f"what listens at {self.name} does not speak as Redis does ({reason}): if it is a"
                " Redis that wants TLS, its URL begins with rediss://"
            )
        if trouble := self._connections.trouble_of_tls(err, handled):
            return ConfigurationError(
                f"Redis at {self.name}: no TLS connection ({trouble}): look at ssl_ca_certs and"
                " the certificates; for a Redis without TLS the URL begins with redis://"
            )
        if isinstance(err, redis.TimeoutError) and self._connections.is_tls:
            err = redis.TimeoutError("no TLS connection in time; does it speak TLS?")
        return self.unavailable(err, sent=False)


def _wrong_client(client: object, *, is_async: bool) -> str:
    needs = (
        "AsyncRedisQueue needs a redis.asyncio.Redis"
        if is_async
        else "RedisQueue needs a redis.Redis"
    )
    hint = "Redis Cluster is not supported yet"
    if isinstance(client, redis.Redis):
        hint = "a redis.Redis is for RedisQueue"
    elif isinstance(client, redis.asyncio.Redis):
        hint = "a redis.asyncio.Redis is for AsyncRedisQueue"
    return f"{needs} client, not {type(client).__name__} ({hint})"


def _without_secrets(message: str) -> str:
    """Without URLs, without the settings that redis-py shows of a connection, and without the words
    of a command that a server does not know, which it repeats: AUTH's is the password.
    """
    message = re.sub(r"\S*://\S+", "…", message)
    message = re.sub(r" : <redis\b.*", "", message, flags=re.DOTALL)
    return re.sub(r",? with args beginning with.*", "", message, flags=re.DOTALL)


def _name_of(settings: Mapping[str, Any], sentinels: Sentinels | None) -> str:
    """Host and port, or the socket's path, for messages. Never the URL: it may hold the
    password.
    """
    if path := settings.get("path"):
        return str(path)
    if sentinels is not None:
        return f"Sentinel service {sentinels.service}"
    return f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"


def client_from_url(url: object) -> redis.Redis:
    """A client for this URL.

    Raises:
        ConfigurationError: it cannot be read. The message does not quote it: it may hold a
            password.
    """
    client: redis.Redis = _made_from_url(redis, url)
    return client


def async_client_from_url(url: object) -> redis.asyncio.Redis:
    """As `client_from_url`, an asyncio one."""
    client: redis.asyncio.Redis = _made_from_url(redis.asyncio, url)
    return client


def _made_from_url(library: Any, url: object) -> Any:
    if not isinstance(url, str):
        raise ConfigurationError(f"the Redis URL must be a str, not {type(url).__name__}")
    if not url.strip():
        raise ConfigurationError(
            "the Redis URL is blank: set REDISJOBS_URL, e.g. redis://localhost:6379/0"
        )
    try:
        _refuse_split_password(url)
        parts = urlsplit(url)
        if parts.scheme in ("redis", "rediss") and not _DATABASE.fullmatch(parts.path):
            raise ValueError("the database is no number")
        if parts.scheme in SCHEMES:
            return SentinelUrl.read(url).client(library.sentinel)
        return library.Redis.from_url(url)
    except Exception as err:  # noqa: BLE001 - whatever a wrong URL makes redis-py raise
        # Without the cause: redis-py shows a password that contains "/" as the port.
        raise ConfigurationError(
            "the Redis URL cannot be read: it should look like"
            " redis://[[user]:password@]host:port/0, rediss://…, unix:///path or"
            " redis+sentinel://host:26379,host:26379/service (a password needs its special"
            f" characters escaped as %XX; {type(err).__name__})"
        ) from None


def _refuse_split_password(url: str) -> None:
    """A password with a bare "/" or "#" ends the host there. If it begins with digits, redis-py
    takes them for the port of another server.
    """
    parts = urlsplit(url)
    schemes = ("redis", "rediss", *SCHEMES)
    if parts.scheme in schemes and "@" in parts.path + parts.fragment:
        raise ValueError("the host ends within the password")
