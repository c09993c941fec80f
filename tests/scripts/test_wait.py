"""wait.lua, and the word that the scripts which end a job have for who waits."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs.operations.one_job import cancel, delete, retry
from redisjobs.operations.wait import Sight, look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.scripts.bench import Bench

KEEP_MS = 40_000


def looks(bench: Bench, id: str) -> Sight:
    return bench.run(look(bench.keys, id, KEEP_MS))


@pytest.fixture
def heard(bench: Bench) -> Iterator[Callable[[], list[tuple[str, str]]]]:
    """What was told since it was last asked: ids, and what became of them."""
    prefix = bench.keys.end_of("")
    with bench.client.pubsub(ignore_subscribe_messages=True) as ears:
        ears.psubscribe(prefix.replace(b"{", b"\\{").replace(b"[", b"\\[") + b"*")
        ears.get_message(timeout=5)

        def so_far() -> list[tuple[str, str]]:
            # A message of our own comes behind all that was told before.
            bench.client.publish(prefix + b"over", b"over")
            said: list[tuple[str, str]] = []
            while True:
                message: Any = ears.get_message(timeout=5)
                if message is None:
                    continue
                id = message["channel"].removeprefix(prefix).decode()
                if id == "over":
                    return said
                said.append((id, message["data"].decode()))

        yield so_far


class TestALook:
    def test_at_what_is_not_there(self, bench: Bench) -> None:
        assert looks(bench, "nobody") is Sight.NONE
        assert bench.snapshot() == {}

    def test_at_a_job_that_waits_or_runs_enters_it(self, bench: Bench) -> None:
        bench.register()
        ids = bench.enqueue(number=2)
        bench.take(limit=1)
        assert [looks(bench, id) for id in ids] == [Sight.WAITS] * 2
        entries = bench.client.zrange(bench.keys.waited, 0, -1, withscores=True)
        assert {id.decode() for id, _ in entries} == set(ids)
        for _, until in entries:
            assert bench.clock.now_us - 10**6 < until - KEEP_MS * 1000 <= bench.clock.now_us
        assert 0 < bench.client.pttl(bench.keys.waited) <= KEEP_MS

    def test_at_one_that_waits_for_another_attempt_enters_it(self, bench: Bench) -> None:
        bench.register()
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"P", delay_us=10**9)
        assert looks(bench, id) is Sight.WAITS

    @pytest.mark.parametrize("letter", [b"D", b"F", b"X", b"C"])
    def test_at_one_that_has_ended_writes_nothing(self, bench: Bench, letter: bytes) -> None:
        (id,) = bench.enqueue()
        bench.end(id, letter=letter)
        before = bench.snapshot()
        assert looks(bench, id) is Sight.ENDED
        assert bench.snapshot() == before

    def test_at_one_whose_time_is_over_is_at_nothing(self, bench: Bench) -> None:
        (id,) = bench.enqueue()
        bench.end(id)
        bench.clock.advance(timedelta(hours=2))
        assert looks(bench, id) is Sight.NONE

    def test_forgets_those_whose_waits_are_over(self, bench: Bench) -> None:
        first, second = bench.enqueue(number=2)
        looks(bench, first)
        bench.clock.advance(timedelta(milliseconds=KEEP_MS + 1))
        looks(bench, second)
        assert bench.client.zrange(bench.keys.waited, 0, -1) == [second.encode()]


ENDS: dict[str, tuple[Callable[[Bench, str], Any], list[str]]] = {
    "done": (lambda bench, id: bench.settle(*bench.take(limit=1)), ["D"]),
    "failed": (lambda bench, id: bench.settle(*bench.take(limit=1), letter=b"F"), ["F"]),
    "panic": (lambda bench, id: bench.settle(*bench.take(limit=1), letter=b"X"), ["X"]),
    "cancelled": (lambda bench, id: bench.run(cancel(bench.keys, id)), ["C"]),
    "deleted": (lambda bench, id: bench.run(delete(bench.keys, id)), ["-"]),
    "condemned": (lambda bench, id: (bench.take(limit=1), bench.reap(max_losses=0)), ["L"]),
    "retried": (lambda bench, id: bench.settle(*bench.take(limit=1), letter=b"P"), []),
    "reaped": (lambda bench, id: (bench.take(limit=1), bench.reap(max_losses=9)), []),
}


class TestAnEnd:
    @pytest.mark.parametrize("how", list(ENDS))
    def test_is_told_once_to_who_waits(
        self, bench: Bench, heard: Callable[[], list[tuple[str, str]]], how: str
    ) -> None:
        end, words = ENDS[how]
        bench.register()
        id, other = bench.enqueue(number=2)
        looks(bench, id)
        end(bench, id)
        assert heard() == [(id, word) for word in words]
        still_waited = bench.snapshot().get("waited") is not None
        assert still_waited == (not words)
        assert other not in dict(heard())

    def test_is_told_to_nobody_if_nobody_waits(
        self, bench: Bench, heard: Callable[[], list[tuple[str, str]]]
    ) -> None:
        bench.register()
        ids = bench.enqueue(number=3)
        bench.settle(*bench.take(limit=3))
        assert heard() == []
        assert "waited" not in bench.snapshot()
        assert bench.stored_ids() >= set(ids)

    def test_of_one_of_many_is_told_alone(
        self, bench: Bench, heard: Callable[[], list[tuple[str, str]]]
    ) -> None:
        bench.register()
        ids = bench.enqueue(number=50)
        for id in (ids[7], ids[31]):
            looks(bench, id)
        bench.settle(*bench.take(limit=50))
        assert sorted(heard()) == sorted([(ids[7], "D"), (ids[31], "D")])

    def test_of_another_life_is_told_again(
        self, bench: Bench, heard: Callable[[], list[tuple[str, str]]]
    ) -> None:
        bench.register()
        (id,) = bench.enqueue()
        bench.settle(*bench.take(), letter=b"F")
        assert bench.run(retry(bench.keys, id))
        assert looks(bench, id) is Sight.WAITS
        bench.settle(*bench.take())
        assert heard() == [(id, "D")]
