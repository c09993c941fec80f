"""Connections of our own to the server that a user's client speaks to: blocking ones, and where it
is an asyncio client, asyncio ones too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from redisjobs.errors import ConfigurationError
from redisjobs.patience import LineError

OLDEST_SERVER = (6, 2)
_DATABASE = re.compile(r"/?\d*")

# What redis-py hands to connections for its own pools, and would act on behind our back.
_POOL_BUSINESS = (
    "maint_notifications_config",
    "maint_notifications_pool_handler",
    "oss_cluster_maint_notifications_handler",
    "orig_host_address",
    "orig_socket_timeout",
    "orig_socket_connect_timeout",
    "event_dispatcher",
    "himport_registry",
)

# What a blocking connection is made with in place of an asyncio one, and what means something else
# to it.
_BLOCKING = {
    redis.asyncio.Connection: redis.Connection,
    redis.asyncio.SSLConnection: redis.SSLConnection,
    redis.asyncio.UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
}
_ASYNC_ONLY = ("parser_class", "encoder_class", "redis_connect_func")


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
        self._connection_class = pool.connection_class
        self._is_async = is_async
        self._settings = {
            **{name: value for name, value in settings.items() if name not in _POOL_BUSINESS},
            "retry": Retry(NoBackoff(), 0),
            "retry_on_timeout": False,
            "retry_on_error": [],
            "health_check_interval": 0,
            "protocol": 2,
        }
        self.name = _name_of(settings, pool)
        self.checked = False  # whether the server was seen to be new enough

    def connection(self, timeout_s: float) -> Any:
        """A blocking connection, not yet open, whose connecting, sending and receiving each take at
        most `timeout_s`.

        Raises:
            ConfigurationError: the client is an asyncio one whose kind of connection has no
                blocking counterpart.
        """
        settings = self._settings | _time_limits(timeout_s)
        if not self._is_async:
            return self._connection_class(**settings)
        blocking = _BLOCKING.get(self._connection_class)
        if blocking is None:
            raise ConfigurationError(
                f"a worker needs blocking connections, and {self._connection_class.__name__} has"
                " no counterpart among them: give it a RedisQueue"
            )
        for name in _ASYNC_ONLY:
            settings.pop(name, None)
        return blocking(**settings)

    def async_connection(self, timeout_s: float) -> Any:
        """An asyncio connection, with the same limits. Only of an asyncio client's server."""
        return self._connection_class(
            **self._settings | _time_limits(timeout_s) | {"retry": AsyncRetry(NoBackoff(), 0)}
        )

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
        return LineError(f"Redis at {self.name}: {what} ({reason})", sent=sent)

    def refused(self, err: BaseException) -> ConfigurationError:
        """The error of a server that answered with an error while the connection was made."""
        return ConfigurationError(
            f"Redis at {self.name} refuses the connection: {_without_secrets(str(err))}"
        )


def _time_limits(timeout_s: float) -> dict[str, float]:
    return {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}


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


def _name_of(settings: Mapping[str, Any], pool: Any) -> str:
    """Host and port, or the socket's path, for messages. Never the URL: it may hold the
    password.
    """
    if path := settings.get("path"):
        return str(path)
    if service := getattr(pool, "service_name", None):
        return f"Sentinel service {service}"
    return f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"


def client_from_url(url: object) -> redis.Redis:
    """A client for this URL.

    Raises:
        ConfigurationError: it cannot be read. The message does not quote it: it may hold a
            password.
    """
    client: redis.Redis = _made_from_url(redis.Redis, url)
    return client


def async_client_from_url(url: object) -> redis.asyncio.Redis:
    """As `client_from_url`, an asyncio one."""
    client: redis.asyncio.Redis = _made_from_url(redis.asyncio.Redis, url)
    return client


def _made_from_url(client_class: Any, url: object) -> Any:
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
        return client_class.from_url(url)
    except Exception as err:  # noqa: BLE001 - whatever a wrong URL makes redis-py raise
        # Without the cause: redis-py shows a password that contains "/" as the port.
        raise ConfigurationError(
            "the Redis URL cannot be read: it should look like"
            " redis://[[user]:password@]host:port/0, rediss://… or unix:///path (a password needs"
            f" its special characters escaped as %XX; {type(err).__name__})"
        ) from None


def _refuse_split_password(url: str) -> None:
    """A password with a bare "/" or "#" ends the host there. If it begins with digits, redis-py
    takes them for the port of another server.
    """
    parts = urlsplit(url)
    if parts.scheme in ("redis", "rediss") and "@" in parts.path + parts.fragment:
        raise ValueError("the host ends within the password")
