"""How connections of our own are made with the settings of a user's client: blocking ones, and
where it is an asyncio client, asyncio ones too.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from redisjobs.errors import ConfigurationError

# What redis-py hands to connections for its own pools, and would act on behind our back.
_POOL_BUSINESS = (
    "connection_pool",
    "maint_notifications_config",
    "maint_notifications_pool_handler",
    "oss_cluster_maint_notifications_handler",
    "orig_host_address",
    "orig_socket_timeout",
    "orig_socket_connect_timeout",
    "event_dispatcher",
    "himport_registry",
)

# The settings that name files, read each time that a connection is made.
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

# How long a host may take to accept a connection, and a blocking one's TLS as long again: one that
# drops packets never would, nor would a Redis that speaks no TLS answer a handshake. A first packet
# that was lost is sent again after 1 s and after 3.
CONNECT_S = 3.5
# To look up a name is part of it with asyncio only, and takes 5 s where the first nameserver is
# dead.
LOOK_UP_S = 3.0


class _TlsConnection(redis.SSLConnection):
    """redis-py waits for the handshake as long as for any reply.

    And it sends without having looked. With TLS 1.3 a server that wants a certificate of this side
    refuses what it got only after the handshake, and hangs up: then the first command cannot be
    sent, and why is there to be read.
    """

    def _wrap_socket_with_ssl(self, sock: Any) -> Any:
        if self.socket_timeout is not None:
            sock.settimeout(min(CONNECT_S, self.socket_timeout))
        wrapped = super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]
        wrapped.settimeout(self.socket_timeout)
        return wrapped

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """As redis-py's own, which closes the socket before anybody can read why it broke."""
        sock: Any = self._sock
        if sock is None:
            super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]
            return
        try:
            for part in [command] if isinstance(command, str | bytes) else command:
                sock.sendall(part)
        except TimeoutError:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise redis.TimeoutError("Timeout writing to socket") from None
        except OSError as err:
            said = _last_words(sock)
            self.disconnect()  # type: ignore[no-untyped-call]
            raise _unsent(said or err) from (said or err)
        except BaseException:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise


def _unsent(why: Exception) -> redis.ConnectionError:
    # In a function of its own: a local that holds the cause would keep the connection, and what
    # was to be sent, until the garbage is collected.
    return redis.ConnectionError(f"Error while writing to socket: {why}")


def _last_words(sock: Any) -> ssl.SSLError | None:
    """Why the other side ended a TLS connection, if it said so."""
    try:
        sock.settimeout(0)
        while sock.recv(65536):
            pass
    except ssl.SSLWantReadError:
        return None
    except ssl.SSLError as err:
        return err
    except OSError:
        return None
    return None


# What stands for redis-py's own. A connection of a Sentinel's pool asks that pool where the primary
# is, with its patience: ours are told where to connect.
_OURS = {
    redis.SSLConnection: _TlsConnection,
    redis.sentinel.SentinelManagedConnection: redis.Connection,
    redis.sentinel.SentinelManagedSSLConnection: _TlsConnection,
    redis.asyncio.sentinel.SentinelManagedConnection: redis.asyncio.Connection,
    redis.asyncio.sentinel.SentinelManagedSSLConnection: redis.asyncio.SSLConnection,
}

# What a blocking connection is made with in place of an asyncio one, and what means something else
# to it.
_BLOCKING = {
    redis.asyncio.Connection: redis.Connection,
    redis.asyncio.SSLConnection: _TlsConnection,
    redis.asyncio.UnixDomainSocketConnection: redis.UnixDomainSocketConnection,
}
_ASYNC_ONLY = ("parser_class", "encoder_class", "redis_connect_func")


class Connections:
    """Makes connections as this pool would, without its retries; none is opened yet.

    Args:
        pool: of a `redis.Redis`, or with `is_async` of a `redis.asyncio.Redis`.

    Raises:
        ConfigurationError: connections of its class cannot be told where to connect.
    """

    def __init__(self, pool: Any, *, is_async: bool) -> None:
        if "connection_pool" in pool.connection_kwargs and pool.connection_class not in _OURS:
            raise ConfigurationError(
                f"the Redis client connects to Sentinels by {pool.connection_class.__name__}:"
                " give it a connection class of redis.sentinel, or no class at all"
            )
        self.is_tls = issubclass(
            pool.connection_class, redis.SSLConnection | redis.asyncio.SSLConnection
        )
        self._class = _OURS.get(pool.connection_class, pool.connection_class)
        self._is_async = is_async
        self._settings = {
            **{
                name: value
                for name, value in pool.connection_kwargs.items()
                if name not in _POOL_BUSINESS
            },
            "retry_on_timeout": False,
            "retry_on_error": [],
            "health_check_interval": 0,
            "protocol": 2,
        }

    def trouble_of_tls(self, err: BaseException | None, handled: BaseException | None) -> str:
        """Why no TLS connection can be made: a file that cannot be read, or that the two sides do
        not agree; nothing, if the connection just ended or is no TLS connection: a server that
        restarts looks so.

        Args:
            handled: what was being handled when connecting began. Python hangs that on behind.
        """
        while self.is_tls and err is not None and err is not handled:
            if isinstance(err, ssl.SSLError) and not isinstance(err, ssl.SSLEOFError):
                verdict: str = getattr(err, "verify_message", "")
                return verdict or (getattr(err, "reason", None) or "").lower().replace("_", " ")
            if isinstance(err, FileNotFoundError | PermissionError | IsADirectoryError):
                return self._unreadable_file()
            err = err.__cause__ or err.__context__
        return ""

    def _unreadable_file(self) -> str:
        for name in _FILES:
            path = self._settings.get(name)
            try:
                if path:
                    Path(path).open("rb").close()
            except OSError:
                return f"{name}: {path} cannot be read"
        return ""

    def blocking(self, timeout_s: float, **where: Any) -> Any:
        """A blocking connection whose sending and receiving each take at most `timeout_s`,
        connecting CONNECT_S, if that is less; `where` has the host and port, if they are not those
        of the client.

        Raises:
            ConfigurationError: the client is an asyncio one whose kind of connection has no
                blocking counterpart.
        """
        settings = self._settings | _time_limits(timeout_s) | where
        settings["retry"] = Retry(NoBackoff(), 0)
        if not self._is_async:
            return self._class(**settings)
        blocking = _BLOCKING.get(self._class)
        if blocking is None:
            raise ConfigurationError(
                f"a worker needs blocking connections, and {self._class.__name__} has"
                " no counterpart among them: give it a RedisQueue"
            )
        for name in _ASYNC_ONLY:
            settings.pop(name, None)
        return blocking(**settings)

    def asyncio(self, timeout_s: float, **where: Any) -> Any:
        """An asyncio connection, with the same limits, but LOOK_UP_S longer for connecting. Only of
        an asyncio client's server.
        """
        settings = self._settings | _time_limits(timeout_s, LOOK_UP_S) | where
        return self._class(**settings | {"retry": AsyncRetry(NoBackoff(), 0)})


def _time_limits(timeout_s: float, besides_s: float = 0.0) -> dict[str, float]:
    connect_s = min(CONNECT_S + besides_s, timeout_s)
    return {"socket_timeout": timeout_s, "socket_connect_timeout": connect_s}
