"""check of a queue that is in use: what moves meanwhile is no damage."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations import inspect
from redisjobs.operations.membership import unregister
from redisjobs.operations.one_job import delete
from tests.moving import Mover, run_while
from tests.scripts.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from redisjobs.operations.inspect import CheckReport


@pytest.fixture
def bench(every_client: redis.Redis, queue_name: str) -> Iterator[Bench]:
    made = Bench(every_client, queue_name)
    yield made
    made.close()


def check_while(bench: Bench, move: Callable[[], object]) -> CheckReport:
    """A check, with a move before each of its round trips."""
    return run_while(bench, inspect.check(bench.keys), move)


@pytest.mark.parametrize("seed", range(5))
def test_jobs_that_move_meanwhile_are_no_damage(bench: Bench, seed: int) -> None:
    mover = Mover(bench, seed)
    mover.enqueue("email", 1500)
    mover.enqueue("sms", 700)
    for _ in range(10):
        mover.step()
    assert check_while(bench, mover.step) == []


@pytest.mark.parametrize("seed", range(3))
def test_damage_is_found_while_jobs_move(bench: Bench, seed: int) -> None:
    mover = Mover(bench, seed)
    mover.enqueue("email", 1500)
    bench.enqueue("fax", ids=["broken"])
    bench.client.zrem(bench.keys.due("fax"), "broken")
    bench.silence("fax")
    [sentence] = check_while(bench, mover.step)
    assert sentence.startswith("I1: job 'broken' of kind 'fax' has not ended, but is in no due")


def test_a_job_that_goes_to_a_new_worker_at_every_step_is_no_damage(bench: Bench) -> None:
    bench.enqueue(ids=["hopping"])
    left = count()
    holder = delivery = ""

    def hop() -> None:
        nonlocal holder, delivery
        if holder:
            bench.release(delivery, worker=holder)
            bench.run(unregister(bench.keys, holder))
        holder = bench.register(f"w{next(left)}")
        [delivery] = bench.take(holder)

    hop()
    assert check_while(bench, hop) == []
    assert bench.held(holder) == [delivery]


def test_a_job_that_changes_its_kind_meanwhile_is_no_damage(bench: Bench) -> None:
    left = count()

    def renew() -> None:
        for id in ("one", "two"):
            bench.run(delete(bench.keys, id))
        bench.enqueue(f"kind-{next(left)}", ids=["one", "two"])

    renew()
    assert check_while(bench, renew) == []
