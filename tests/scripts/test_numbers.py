"""Large numbers stay exact: Lua would write them as 1.79e+15, and doubles end at 2^53."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from redisjobs.operations import one_job
from redisjobs.operations.sweep import sweep

if TYPE_CHECKING:
    from tests.scripts.bench import Bench

LAST_MOMENT = datetime(2199, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
LAST_MOMENT_US = 7_258_118_399_999_999
EXPONENT = re.compile(rb"\de[+-]?\d")


def numbers_in(reply: Any) -> list[int]:
    if isinstance(reply, list):
        return [number for part in reply for number in numbers_in(part)]
    return [reply] if isinstance(reply, int) else []


def texts_of(bench: Bench) -> list[bytes]:
    """All that scripts have written as text, members and scores too, but no record."""
    texts: list[bytes] = []
    for name, stored in bench.snapshot().items():
        key = bench.keys.prefix + name.encode()
        if stored.type == "hash" and name not in ("jobs", "worker-info"):
            texts += stored.value.values()
        elif stored.type == "zset":
            texts += (repr(int(score)).encode() for _, score in stored.value)
        elif stored.type == "string":
            texts.append(bench.client.get(key))
        elif stored.type == "list":
            texts += stored.value
    return texts


def test_a_run_at_at_the_end_of_the_year_2199_is_exact(bench: Bench) -> None:
    (id,) = bench.enqueue(run_at=LAST_MOMENT)
    assert bench.score(id) == LAST_MOMENT_US
    job = bench.get(id)
    assert job is not None
    assert job.run_at == LAST_MOMENT


def test_such_a_job_is_not_handed_out_early_and_not_late(bench: Bench) -> None:
    bench.register()
    ids = bench.enqueue(run_at=LAST_MOMENT)
    bench.clock.advance(timedelta(microseconds=LAST_MOMENT_US - bench.clock.now_us, minutes=-5))
    claimed = bench.claim()
    assert claimed.claims == []
    assert claimed.next_due_us is not None
    assert 0 < claimed.next_due_us <= 300_000_000
    bench.clock.advance(timedelta(minutes=5))
    assert [one.id for one in bench.claim().claims] == ids


def test_no_number_has_an_exponent_or_is_beyond_a_double_in_the_year_2199(bench: Bench) -> None:
    bench.clock.advance(timedelta(microseconds=LAST_MOMENT_US - bench.clock.now_us, days=-1))
    replies: list[Any] = []

    def noted() -> None:
        replies.extend(bench.answers)
        for text in texts_of(bench):
            assert not EXPONENT.search(text), text
            assert all(int(digits) < 2**53 for digits in re.findall(rb"\d+", text)), text

    bench.register("w")
    noted()
    bench.register("v", lease_us=1)
    bench.beat("w")
    noted()
    first, second, third, fourth, fifth = bench.enqueue(number=5)
    bench.enqueue("later", delay=timedelta(microseconds=50))
    bench.claim("w", ["email", "later"], limit=4)
    noted()
    done, failed, again, back = bench.held("w")
    bench.settle(done, body=b"")
    bench.settle(failed, letter=b"F", body=b"")
    bench.settle(again, letter=b"P", delay_us=10**9, body=b"")
    noted()
    bench.release(back)
    noted()
    bench.run(one_job.retry(bench.keys, second))
    bench.run(one_job.cancel(bench.keys, third))
    noted()
    bench.claim("w", limit=1)
    bench.set_losses(3, fifth)
    bench.claim("w", limit=1)
    noted()
    bench.reap("w", max_losses=0)
    bench.run(sweep(bench.keys, ["email"]))
    noted()
    assert max(numbers_in(replies)) < 2**53
    assert {first, fourth} <= bench.stored_ids()


def test_a_token_is_written_whole_however_many_there_were(bench: Bench) -> None:
    bench.register()
    bench.client.hset(bench.keys.meta, "token", 2**52)
    ids = bench.enqueue(number=2)
    claimed = bench.claim()
    assert claimed.token == 2**52 + 1
    assert bench.held() == [f"{2**52 + 1}:{id}" for id in ids]
    assert bench.settle(*bench.held()) == []


def test_call_numbers_are_compared_as_numbers(bench: Bench) -> None:
    bench.store(*bench.jobs(), number=999_999_999_999)
    bench.store(*bench.jobs(), number=1_000_000_000_000)
    assert bench.codes == ["ok"]


def test_the_offset_of_a_clock_by_hours_changes_no_rule(bench: Bench) -> None:
    for hours in (9, -21):
        bench.clock.advance(timedelta(hours=hours))
        bench.register()
        ids = bench.enqueue(number=3)
        (later,) = bench.enqueue(delay=timedelta(hours=2))
        assert [one.id for one in bench.claim().claims] == ids
        bench.settle(*bench.held(), letter=b"P", delay_us=3_600_000_000)
        assert bench.take() == []
        bench.clock.advance(timedelta(hours=1))
        assert [one.id for one in bench.claim().claims] == ids
        bench.settle(*bench.held())
        bench.clock.advance(timedelta(hours=1))
        assert [one.id for one in bench.claim().claims] == [later]
        bench.settle(*bench.held())
