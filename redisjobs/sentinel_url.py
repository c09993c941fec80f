"""URLs that name the Sentinels of a service:
`redis+sentinel://[[user]:password@]host:port,host:port/service[/db][?options]`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.connection import parse_url

SCHEMES = ("redis+sentinel", "rediss+sentinel")
SENTINEL_PORT = 26379
# How a Sentinel's own user is named in the query, and to redis-py.
_OF_SENTINELS = {"sentinel_username": "username", "sentinel_password": "password"}
_PATH = re.compile(r"/([^/]+)(?:/(\d*))?")


class SentinelUrl(NamedTuple):
    """What such a URL says.

    Attributes:
        hosts: where the Sentinels are.
        for_sentinels: redis-py's settings for connections to them.
        service: what they call the primary and its replicas.
        for_servers: redis-py's settings for connections to these.
    """

    hosts: list[tuple[str, int]]
    for_sentinels: dict[str, Any]
    service: str
    for_servers: dict[str, Any]

    @classmethod
    def read(cls, url: str) -> SentinelUrl:
        """Reads it. With `rediss+sentinel` both Sentinels and servers are spoken to by TLS.

        Raises:
            ValueError: it cannot be read.
        """
        parts = urlsplit(url)
        credentials, at, hosts = parts.netloc.rpartition("@")
        path = _PATH.fullmatch(parts.path)
        if path is None or not hosts:
            raise ValueError("the hosts or the service are missing")
        for_sentinels, options = {}, []
        for name, value in parse_qsl(parts.query, keep_blank_values=True, strict_parsing=False):
            if name in _OF_SENTINELS:
                for_sentinels[_OF_SENTINELS[name]] = value
            elif name.startswith("sentinel_"):
                raise ValueError("an option for Sentinels that there is not")
            else:
                options.append((name, value))
        of_servers = f"redis://{credentials}{at}localhost/{path[2] or 0}?{urlencode(options)}"
        settings: dict[str, Any] = dict(parse_url(of_servers))  # type: ignore[no-untyped-call]
        del settings["host"]
        if parts.scheme == "rediss+sentinel":
            settings["ssl"] = True
        of_tls = {name: value for name, value in settings.items() if name.startswith("ssl")}
        return cls(
            [_host_and_port(host) for host in hosts.split(",")],
            for_sentinels | of_tls,
            unquote(path[1]),
            settings,
        )

    def client(self, library: Any) -> Any:
        """A client of the primary, by `redis.sentinel` or `redis.asyncio.sentinel`."""
        manager = library.Sentinel(self.hosts, sentinel_kwargs=self.for_sentinels)
        return manager.master_for(self.service, **self.for_servers)


def _host_and_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.netloc != text or "@" in text:
        raise ValueError("no host")
    return parts.hostname, parts.port or SENTINEL_PORT
