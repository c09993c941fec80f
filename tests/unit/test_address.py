"""URLs and clients: what can be used, and errors that never quote a password."""

from __future__ import annotations

from typing import Any

import pytest
import redis
import redis.asyncio

from redisjobs import RedisQueue
from redisjobs.address import Address, client_from_url
from redisjobs.errors import ConfigurationError
from redisjobs.patience import LineError

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "  ",
        None,
        b"redis://localhost",
        "localhost:6379",
        "http://localhost",
        f"redis://:{SECRET}/part@localhost:6379/0",
        f"redis://user:{SECRET}@localhost:port/0",
        f"redis://user:{SECRET}@localhost:6379/abc",
        f"redis://user:{SECRET}@[::1/0",
    ],
)
def test_a_wrong_url_is_refused_without_quoting_it(url: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisQueue.from_url(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"redis://user:{SECRET}@queue.example:7000/3", "queue.example:7000"),
        ("redis://", "localhost:6379"),
        (f"rediss://:{SECRET}@queue.example", "queue.example:6379"),
        ("unix:///run/redis.sock?db=1", "/run/redis.sock"),
    ],
)
def test_an_address_is_named_without_its_password(url: str, name: str) -> None:
    assert Address(client_from_url(url)).name == name


def test_a_client_that_decodes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="decode_responses"):
        RedisQueue(redis.Redis(decode_responses=True))


@pytest.mark.parametrize("client", [None, "redis://localhost", redis.asyncio.Redis(), object()])
def test_what_is_no_sync_client_is_refused(client: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"redis\.Redis client"):
        RedisQueue(client)


@pytest.mark.parametrize(
    ("info", "refused"),
    [
        (b"# Server\r\nredis_version:6.0.16\r\n", "6.0.16"),
        (b"redis_version:5.0.3\r\n", "5.0.3"),
        (b"redis_version:6.2.0\r\n", ""),
        (b"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.0.0\r\n", ""),
        (b"redis_version:10.0.0\r\n", ""),
        (b"", ""),
    ],
)
def test_a_server_that_is_too_old_is_refused(info: bytes, refused: str) -> None:
    address = Address(redis.Redis())
    if not refused:
        address.check_version(info)
        assert address.checked
        return
    with pytest.raises(ConfigurationError, match=rf"version {refused}.*needs 6\.2"):
        address.check_version(info)
    assert not address.checked


@pytest.mark.parametrize(
    ("sent", "words"), [(True, "may have been carried out"), (False, "cannot be reached")]
)
def test_an_unreachable_server_is_named(sent: bool, words: str) -> None:
    err = Address(redis.Redis(port=7001)).unavailable(
        OSError(f"cannot open redis://:{SECRET}@localhost"), sent=sent
    )
    assert isinstance(err, LineError)
    assert "localhost:7001" in str(err)
    assert words in str(err)
    assert SECRET not in str(err)


@pytest.mark.parametrize(
    "setting",
    [
        {"retention": -1},
        {"retention": "1h"},
        {"retention": True},
        {"retention": float("nan")},
        {"retention": float("inf")},
        {"retention_limit": 1.5},
        {"failed_retention": None},
        {"failed_limit": -1},
        {"max_payload": "big"},
        {"max_result": -5},
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        RedisQueue(redis.Redis(), **setting)


@pytest.mark.parametrize("name", ["", "  ", "a{b", "}", "a\0b", "line\nbreak", "q" * 201, None, 5])
def test_a_queue_name_that_cannot_be_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="queue"):
        RedisQueue(redis.Redis(), name)


def test_only_settings_that_were_given_are_stored() -> None:
    assert RedisQueue(redis.Redis()).settings.to_store == {}
    given = RedisQueue(redis.Redis(), retention=3600.0, failed_limit=100_000).settings.to_store
    assert given == {"retention_us": 3_600_000_000, "failed_limit": 100_000}
