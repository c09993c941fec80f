"""URLs of Sentinels: what they say, and that no error quotes a password."""

from __future__ import annotations

from typing import Any

import pytest
import redis
import redis.asyncio
import redis.sentinel

from redisjobs import AsyncRedisQueue, ConfigurationError, RedisQueue
from redisjobs.address import Address, async_client_from_url, client_from_url
from redisjobs.sentinel_url import SentinelUrl

SECRET = "s3cr3t"
Sentinel: Any = redis.sentinel.Sentinel  # it has no types of its own


def test_hosts_service_and_database() -> None:
    read = SentinelUrl.read("redis+sentinel://one:7001,two,[::1]:7003/shop/3")
    assert read.hosts == [("one", 7001), ("two", 26379), ("::1", 7003)]
    assert read.service == "shop"
    assert read.for_servers == {"db": 3}
    assert read.for_sentinels == {}


def test_servers_and_sentinels_have_credentials_of_their_own() -> None:
    read = SentinelUrl.read(
        "redis+sentinel://me:p%2Fw%40@one/the%20shop?sentinel_username=eye"
        "&sentinel_password=s%26e&socket_keepalive=yes"
    )
    assert read.service == "the shop"
    assert read.for_servers == {
        "username": "me",
        "password": "p/w@",
        "socket_keepalive": True,
        "db": 0,
    }
    assert read.for_sentinels == {"username": "eye", "password": "s&e"}


def test_tls_is_for_both() -> None:
    read = SentinelUrl.read("rediss+sentinel://one/shop?ssl_ca_certs=/ca.pem")
    assert read.for_servers == {"ssl": True, "ssl_ca_certs": "/ca.pem", "db": 0}
    assert read.for_sentinels == {"ssl": True, "ssl_ca_certs": "/ca.pem"}


@pytest.mark.parametrize("queue_class", [RedisQueue, AsyncRedisQueue])
def test_both_are_connected_to_by_tls_with_the_same_authority(queue_class: Any) -> None:
    queue = queue_class.from_url("rediss+sentinel://one,two/shop?ssl_ca_certs=/ca.pem")
    address = queue.address
    for made in (address._connections, *address._sentinels._connections):
        assert made.is_tls
        assert made._settings["ssl_ca_certs"] == "/ca.pem"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://",
        "redis+sentinel://one",
        "redis+sentinel://one/",
        "redis+sentinel:///shop",
        "redis+sentinel://one,/shop",
        "redis+sentinel://one:port/shop",
        "redis+sentinel://one/shop/first",
        "redis+sentinel://one/shop/0/1",
        f"redis+sentinel://:{SECRET}@[::1/shop",
        f"redis+sentinel://:{SECRET}/part@one/shop",
        f"redis+sentinel://:{SECRET}@one/shop?sentinel_pasword={SECRET}",
        f"redis+sentinels://:{SECRET}@one/shop",
    ],
)
@pytest.mark.parametrize("queue_class", [RedisQueue, AsyncRedisQueue])
def test_a_wrong_url_is_refused_without_quoting_it(url: str, queue_class: Any) -> None:
    with pytest.raises(ConfigurationError, match="should look like") as caught:
        queue_class.from_url(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_address_is_named_by_the_service() -> None:
    queue = RedisQueue.from_url(f"redis+sentinel://:{SECRET}@one/shop")
    assert queue.address.name == "Sentinel service shop"
    assert SECRET not in repr(queue)


def test_both_clients_are_those_of_redis_py() -> None:
    url = "redis+sentinel://one/shop"
    assert isinstance(client_from_url(url).connection_pool, redis.sentinel.SentinelConnectionPool)
    pool = async_client_from_url(url).connection_pool
    assert isinstance(pool, redis.asyncio.sentinel.SentinelConnectionPool)


@pytest.mark.parametrize("library", [redis, redis.asyncio])
def test_a_client_of_replicas_is_refused(library: Any) -> None:
    client = library.sentinel.Sentinel([("one", 26379)]).slave_for("shop")
    with pytest.raises(ConfigurationError, match="master_for"):
        Address(client, is_async=library is redis.asyncio)


def test_a_client_with_connections_of_its_own_class_is_refused() -> None:
    class Mine(redis.sentinel.SentinelManagedConnection):
        pass

    manager = Sentinel([("one", 26379)])
    client = manager.master_for("shop", connection_class=Mine)
    with pytest.raises(ConfigurationError, match="Mine"):
        RedisQueue(client)
