"""Whom a search for the primary asks, and what it makes of the answers."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import redis.sentinel
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from redisjobs import ConfigurationError
from redisjobs.patience import LineError, Patience
from redisjobs.sentinel import NoPrimaryError, Primary, Sentinels

Sentinel: Any = redis.sentinel.Sentinel  # it has no types of its own
DEAD = ConnectionRefusedError("nobody listens")
UNKNOWN: list[Any] = [None, ResponseError("No such master with that name")]


def sentinels(count: int = 3, **settings: Any) -> Sentinels:
    hosts = [(f"sentinel-{number}", 26379) for number in range(count)]
    client = Sentinel(hosts, **settings).master_for("shop")
    return Sentinels(client.connection_pool, is_async=False)


def names(port: int, *, flags: str = "master", others: int = 2, at: int | None = None) -> list[Any]:
    """What a Sentinel answers. `at`: where the primary is that it tells about."""
    about = {"ip": "10.0.0.1", "port": at or port, "flags": flags, "num-other-sentinels": others}
    flat = [str(word).encode() for pair in about.items() for word in pair]
    return [[b"10.0.0.1", str(port).encode()], flat]


def search(asked: Sentinels, *answers: Any) -> tuple[list[int], Primary]:
    """The numbers of those that were asked, and what came of it."""
    searching, numbers = asked._search(), []
    try:
        numbers.append(next(searching))
        for answer in answers:
            numbers.append(searching.send(answer))
    except StopIteration as end:
        return numbers, end.value
    raise AssertionError(f"asks on: {numbers}")


def test_the_first_that_knows_is_believed() -> None:
    assert search(sentinels(), names(7001)) == ([0], Primary("10.0.0.1", 7001))


def test_those_that_do_not_answer_are_passed_and_next_time_asked_last() -> None:
    asked = sentinels()
    assert search(asked, DEAD, names(7001)) == ([0, 1], Primary("10.0.0.1", 7001))
    assert search(asked, DEAD, DEAD, names(7002)) == ([1, 2, 0], Primary("10.0.0.1", 7002))


@pytest.mark.parametrize("flags", ["master,s_down", "master,s_down,o_down,failover_in_progress"])
def test_a_primary_that_is_down_is_none(flags: str) -> None:
    one = names(7001, flags=flags)
    assert search(sentinels(), one, names(7002))[1] == Primary("10.0.0.1", 7002)
    with pytest.raises(NoPrimaryError, match=r"10\.0\.0\.1:7001 is down") as caught:
        search(sentinels(), one, DEAD, one)
    assert caught.value.is_awaited


def test_the_replica_that_is_being_promoted_is_up_though_the_old_primary_is_down() -> None:
    promoted = names(7002, flags="master,s_down,o_down,failover_in_progress", at=7001)
    assert search(sentinels(), promoted)[1] == Primary("10.0.0.1", 7002)


def test_one_that_sees_too_few_others_is_not_believed() -> None:
    asked = sentinels(min_other_sentinels=2)
    assert search(asked, names(7001, others=1), names(7002))[1] == Primary("10.0.0.1", 7002)


def test_what_may_not_be_told_is_done_without() -> None:
    answer = [names(7001)[0], NoPermissionError("no permissions to run 'sentinel|master'")]
    assert search(sentinels(), answer)[1] == Primary("10.0.0.1", 7001)


def test_a_host_that_the_client_insists_on_replaces_the_one_that_is_named() -> None:
    manager = Sentinel([("one", 26379)])
    manager._force_master_ip = "192.0.2.1"
    asked = Sentinels(manager.master_for("shop").connection_pool, is_async=False)
    assert search(asked, names(7001))[1] == Primary("192.0.2.1", 7001)


def test_nobody_answers() -> None:
    with pytest.raises(NoPrimaryError, match="nobody listens") as caught:
        search(sentinels(), DEAD, DEAD, DEAD)
    assert not caught.value.is_awaited


def test_nobody_knows_the_service() -> None:
    with pytest.raises(ConfigurationError, match="no service 'shop'"):
        search(sentinels(), UNKNOWN, DEAD, UNKNOWN)
    # One that was reset does not know it yet.
    assert search(sentinels(), UNKNOWN, names(7001))[1] == Primary("10.0.0.1", 7001)


@pytest.mark.parametrize(
    "refusal",
    [
        AuthenticationError("invalid username-password pair"),
        [NoPermissionError("no permissions to run 'sentinel'"), NoPermissionError("neither")],
    ],
)
def test_all_refuse(refusal: Any) -> None:
    with pytest.raises(ConfigurationError, match="refuse the connection"):
        search(sentinels(), refusal, DEAD, refusal)


def test_patience_lasts_for_a_failover() -> None:
    """But not while nobody can say that there will be one."""
    for awaits_failover in (True, False):
        patience = Patience(repeatable=True)
        err = LineError("away", sent=False, awaits_failover=awaits_failover)
        assert patience.tries_again_after(err)
        assert patience.limit_s == (20.0 if awaits_failover else 3.0)


def by_tls(**settings: str) -> Sentinels:
    return sentinels(sentinel_kwargs={"ssl": True} | settings)


def of_tls() -> ssl.SSLError:
    err = ssl.SSLError(1, "it does not hold")
    err.reason = "CERTIFICATE_VERIFY_FAILED"
    return err


def test_where_none_has_a_certificate_that_holds_nobody_waits() -> None:
    with pytest.raises(ConfigurationError, match=r"service 'shop': no TLS connection \("):
        search(by_tls(), *(trouble(of_tls()) for _ in range(3)))


def test_a_file_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    asked = by_tls(ssl_ca_certs=str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigurationError, match=r"ssl_ca_certs: \S*gone\.pem cannot be read"):
        search(asked, *(trouble(FileNotFoundError()) for _ in range(3)))
    with pytest.raises(NoPrimaryError):
        search(asked, DEAD, DEAD, DEAD)


def test_one_whose_certificate_does_not_hold_says_nothing_of_those_that_are_away() -> None:
    with pytest.raises(NoPrimaryError):
        search(by_tls(), trouble(of_tls()), DEAD, DEAD)


def test_what_the_caller_was_handling_is_no_trouble_of_the_sentinels() -> None:
    handled = of_tls()
    try:
        raise handled
    except ssl.SSLError:
        with pytest.raises(NoPrimaryError):
            search(by_tls(), *(trouble(handled) for _ in range(3)))


def trouble(behind: Exception) -> Exception:
    """As redis-py raises it."""
    err = ConnectionError("cannot connect")
    err.__context__ = behind
    return err
