"""whereabouts, and known_queues: how one job stands, and which queues a server has."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs.operations.known_queues import known_queues
from redisjobs.operations.whereabouts import Whereabouts, whereabouts

if TYPE_CHECKING:
    from tests.scripts.bench import Bench


def found(bench: Bench, id: str) -> tuple[str, str | None]:
    job = bench.get(id)
    assert job is not None
    told = bench.run(whereabouts(bench.keys, job))
    assert isinstance(told, Whereabouts)
    return str(told.standing), told.worker


def test_a_job_that_waits_is_ready_or_scheduled(bench: Bench) -> None:
    [now] = bench.enqueue()
    [later] = bench.enqueue(delay=timedelta(hours=1))
    assert found(bench, now) == ("ready", None)
    assert found(bench, later) == ("scheduled", None)
    bench.clock.advance(timedelta(hours=2))
    assert found(bench, later) == ("ready", None)


def test_a_job_that_runs_is_held_by_a_worker(bench: Bench) -> None:
    bench.staffed()
    [id] = bench.enqueue()
    bench.take("v")
    assert found(bench, id) == ("running", "v")


def test_a_job_that_waits_for_another_attempt_is_scheduled(bench: Bench) -> None:
    bench.register()
    [id] = bench.enqueue()
    bench.settle(*bench.take(), letter=b"P", delay_us=3_600_000_000)
    assert found(bench, id) == ("scheduled", None)


@pytest.mark.parametrize(
    ("letter", "standing"),
    [(b"D", "done"), (b"F", "failed"), (b"X", "panic"), (b"C", "cancelled")],
)
def test_a_job_that_has_ended_stands_as_it_ended(
    one_bench: Bench, letter: bytes, standing: str
) -> None:
    [id] = one_bench.enqueue()
    one_bench.end(id, letter=letter)
    assert found(one_bench, id) == (standing, None)


def test_queues_are_known_by_their_jobs_or_by_their_workers(bench: Bench) -> None:
    other = bench.keys.prefix.replace(b"}:", b"-x}:")
    junk = b"redisjobs:{junk:kinds"
    bench.enqueue()
    bench.client.hset(other + b"meta", "schema", 1)
    bench.client.set(junk, 1)
    try:
        names = bench.run(known_queues())
    finally:
        bench.client.delete(other + b"meta", junk)
    assert {bench.keys.name, f"{bench.keys.name}-x"} <= set(names)
    assert not any("junk" in name for name in names if name != bench.keys.name)
    assert names == sorted(names)
