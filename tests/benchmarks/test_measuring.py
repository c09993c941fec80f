"""That each benchmark runs, and yields what its table shows. Nothing here is about how fast."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import (
    floor,
    keeping_floor,
    kinds_floor,
    latency,
    memory,
    profiling,
    scale,
    scheduled,
    throughput,
    work,
)
from benchmarks.contender import Ours
from benchmarks.drain import drain
from benchmarks.peers import __main__ as peers
from benchmarks.peers.install import NotHere
from benchmarks.processes import running
from benchmarks.report import Benchmark, Options
from benchmarks.servers import KINDS, serving
from benchmarks.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVER = next(kind for kind, executable in KINDS.items() if executable())
OPTIONS = Options(runs=1, jobs=200, server=SERVER)


def rows_of(benchmark: Benchmark, *only: str, **changes: Any) -> Mapping[str, Mapping[str, float]]:
    """One run of some rows; each value has a column."""
    rows = benchmark.run(replace(OPTIONS, only=only, **changes))
    columns = {metric.name for metric in benchmark.metrics}
    for name, row in rows.items():
        assert columns & row.keys(), f"{name} has nothing to show"
        assert all(value >= 0 for value in row.values()), (name, row)
    return rows


def test_throughput_yields_rates_costs_and_fractions() -> None:
    rows = rows_of(throughput.BENCHMARK, "redisjobs, sync", "floor", "one job each", "one by one")
    assert {
        "jobs_per_s", "worker_cpu_us", "redis_life_us", "bulk_per_s", "of_floor", "of_large_floor",
    } <= set(rows["redisjobs, sync"])  # fmt: skip
    assert {"enqueue_per_s", "bare_per_s", "of_bare"} <= set(rows["redisjobs, one by one"])
    assert len(rows) == 2 + len(throughput.FLOORS)
    kept = rows["floor: bare scripts that keep records, 100 a call"]
    assert kept["of_without_retention"] > 0


def test_no_prefetch_is_compared_with_ten_jobs_a_call() -> None:
    rows = rows_of(throughput.BENCHMARK, "prefetch=0", "10 a call")
    assert rows["redisjobs, prefetch=0"]["of_small_floor"] > 0
    assert rows["redisjobs, prefetch=0"]["of_threads"] > 0


def test_the_floor_that_keeps_records_sheds_the_oldest() -> None:
    with serving(SERVER) as served:
        keeping_floor.scripts_that_keep(served, keeping_floor.LIMIT + 250, 100)
        # How many are left of each the floor has looked itself.
        assert not served.client.hexists(floor.JOBS, b"%020d" % 0)
        assert served.client.hexists(floor.JOBS, b"%020d" % 250)


def test_two_processes_share_a_drain() -> None:
    rows = rows_of(throughput.BENCHMARK, "redisjobs, 2 processes, async", jobs=2000)
    assert rows["redisjobs, 2 processes, async"]["jobs_per_s"] > 0


def test_the_profile_tells_threads_and_commands_apart() -> None:
    rows = rows_of(profiling.BENCHMARK, "async", jobs=4000)
    assert {"async: worker, redisjobs-pump", "async: worker, redisjobs-loop"} <= set(rows)
    assert rows["async: Redis, evalsha"]["calls"] > 0


def test_work_compares_with_what_slots_and_gil_permit() -> None:
    # Not of handlers that compute: with so few jobs their share differs by more than the overhead.
    rows = rows_of(work.BENCHMARK, "5 ms wait, async, processes: 1")
    assert {"overhead_us", "of_ideal"} <= set(rows["redisjobs, 5 ms wait, async, processes: 1"])


def test_the_floor_of_work_is_its_handlers_without_a_queue() -> None:
    rows = rows_of(work.BENCHMARK, "floor: bare threads, 5 ms", "floor: bare tasks, 1 ms")
    assert 0 < rows["floor: bare threads, 5 ms wait"]["of_ideal"] <= 1
    # 1 ms of each thread's time is 1 ms of the process's.
    assert rows["floor: bare tasks, 1 ms CPU"]["worker_cores"] <= 1.05


def test_latency_measures_every_job() -> None:
    rows = rows_of(latency.BENCHMARK, jobs=5)
    assert set(rows) == {*latency.ROWS, *latency.FLOORS}
    assert all(row["p50_ms"] <= row["p99_ms"] <= row["max_ms"] for row in rows.values())


def test_scheduled_jobs_are_late_and_never_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduled, "ROWS", {"redisjobs, spread": ("late", 0.2)})
    floors = {"floor, spread": (1, 0.2), "floor, one instant": (3, 0.0)}
    monkeypatch.setattr(scheduled, "FLOORS", floors)
    monkeypatch.setattr(scheduled, "PEERS", ())
    rows = rows_of(scheduled.BENCHMARK, jobs=10)
    assert set(rows) == {"redisjobs, spread", *floors}
    assert all(row["least_ms"] >= 0 for row in rows.values())


def test_memory_is_explained_to_the_byte() -> None:
    parts = ("hash_bytes", "payload_bytes", "envelope_bytes", "due_bytes", "rest_bytes")
    rows = memory.BENCHMARK.run(replace(OPTIONS, only=(SERVER,), jobs=1000))
    assert rows
    for row in rows.values():
        assert sum(row[part] for part in parts) == pytest.approx(row["bytes_per_job"])


def test_scale_has_a_row_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "SIZES", (10_000, 80_000))
    monkeypatch.setattr(scale, "KINDS", (2,))
    monkeypatch.setattr(scale, "WORKERS", (4,))
    monkeypatch.setattr(scale, "_WORKERS_A_PROCESS", 2)
    monkeypatch.setattr(scale, "PROCESSES", (1,))
    monkeypatch.setattr(scale, "IDLE_S", 0.2)
    monkeypatch.setattr(scale, "DUE_S", 0.2)
    monkeypatch.setattr(scale, "SETTLE_S", 0.2)
    monkeypatch.setattr(scale, "LONG_S", 0.1)
    rows = rows_of(scale.BENCHMARK)
    assert list(rows)[:8] == [
        "redisjobs beside waiting: 10,000",
        "redisjobs beside waiting: 80,000",
        "floor: bare scripts beside waiting: 10,000",
        "floor: bare scripts beside waiting: 80,000",
        "redisjobs with kinds: 2",
        "floor: bare scripts with kinds: 2",
        "redisjobs with idle workers: 4",
        "floor: PING as often, connections: 4",
    ]
    assert "redisjobs with processes: 1" in rows
    assert sum(name.startswith("redisjobs, another kind") for name in rows) == 1
    assert rows["redisjobs, long jobs on two workers"]["max_ms"] > 0


@pytest.mark.parametrize("name", ["redisjobs, prefetch=0", "redisjobs, typed task"])
def test_our_own_row_among_the_peers(name: str) -> None:
    rows = rows_of(peers.BENCHMARK, name)
    assert {"jobs_per_s", "bytes_per_job"} <= set(rows[name])


def test_every_other_run_goes_from_the_last_row_to_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []

    def noted(_: Options, name: str) -> dict[str, dict[str, float]]:
        order.append(name)
        return {name: {"jobs_per_s": 1.0}}

    monkeypatch.setattr(peers, "_rows_of_ours", noted)
    forth, back = (peers.run(replace(OPTIONS, turn=turn, only=("redisjobs",))) for turn in (0, 1))
    assert order == [*peers.OURS, *reversed(peers.OURS)]
    assert list(forth) == list(back) == list(peers.OURS)


def test_a_peer_that_cannot_be_measured_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: object) -> None:
        raise NotHere("no Node")

    monkeypatch.setattr(peers, "install", away)
    options = replace(OPTIONS, only=("bullmq",), failures=[])
    assert peers.run(options) == {}
    assert all("no Node" in failure for failure in options.failures)
    assert len(options.failures) == 2


def test_a_drain_that_ran_a_job_too_many_has_no_figures() -> None:
    with serving(SERVER) as served:
        ours = Ours(served)
        ours.fill(41)
        with pytest.raises(AssertionError, match="40 jobs ran 41 times"):
            drain(served, ours, 40)


@pytest.mark.parametrize("number", [1, 7, 41])
def test_the_floor_with_kinds_runs_all_of_them(number: int) -> None:
    with serving(SERVER) as served:  # which asserts that nothing is left
        assert kinds_floor.scripts_with_kinds(served, 2500, number)["jobs_per_s"] > 0


def test_what_a_failed_process_wrote_is_told_and_not_on_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = replace(OPTIONS, failures=[])
    command = [sys.executable, "-c", "raise SystemExit('no such thing')"]

    def is_over() -> bool:
        processes.check()
        return False

    log = tmp_path / "log"
    with pytest.raises(RuntimeError) as caught, running(command, 1, {}, log) as processes:
        wait_for("it to fail", is_over)
    options.failed("it", caught.value)
    assert "no such thing" in capsys.readouterr().err
    [told] = options.failures
    assert told.startswith("it: ")
    assert "wrote" not in told


def test_what_is_left_behind_has_no_figures() -> None:
    with serving(SERVER) as served:
        ours = Ours(served)
        ours.fill(3)
        with pytest.raises(AssertionError, match="instead of 3 done"):
            ours.verify(3)
