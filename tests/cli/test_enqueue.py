"""`redisjobs enqueue`: one job, many alike, and what is refused."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgpack
import pytest
from click.testing import CliRunner

from redisjobs import Job, Registry, Worker
from redisjobs.cli.root import commands
from tests.cli.conftest import PROJECT
from tests.waiting import wait_until

if TYPE_CHECKING:
    from redisjobs import RedisQueue
    from tests.cli.conftest import Run


def stored(queue: RedisQueue, id: str) -> Job:
    job = queue.get(id)
    assert job is not None
    return job


def test_a_job_is_stored_and_its_id_is_written(queue: RedisQueue, run: Run) -> None:
    result = run("enqueue", " Mail ")
    assert (result.exit_code, result.stderr) == (0, "")
    job = stored(queue, result.stdout.strip())
    assert (job.kind, job.payload) == ("mail", b"")


def test_with_an_id_and_a_payload(queue: RedisQueue, run: Run) -> None:
    assert run("enqueue", "mail", "--id", "a", "--payload", "größe").stdout == "a\n"
    assert stored(queue, "a").payload == "größe".encode()


def test_as_json_a_job_is_a_line(run: Run) -> None:
    first, second = run.json_lines("enqueue", "mail", "--count", "2")
    assert first["kind"] == second["kind"] == "mail"
    assert first["id"] < second["id"]


def test_the_payload_comes_from_standard_input(queue: RedisQueue, run: Run) -> None:
    assert run("enqueue", "mail", "--id", "a", "--payload", "-", typed=b"\0\xff\n").exit_code == 0
    assert stored(queue, "a").payload == b"\0\xff\n"


def test_a_payload_that_is_no_utf_8_stays_what_it_is(queue: RedisQueue, run: Run) -> None:
    words = [sys.executable, "-m", "redisjobs", "enqueue", "mail", "--id", "a", "--payload"]
    environ = run.environ | {"PYTHONPATH": str(PROJECT)}
    subprocess.run([*words, b"\xff"], env=environ, check=True, timeout=60, capture_output=True)
    assert stored(queue, "a").payload == b"\xff"


def test_the_arguments_of_a_task(queue: RedisQueue, run: Run) -> None:
    words = ["enqueue", "mail", "--id", "a", "--args", '["a@b", 5]', "--kwargs", '{"subject": "x"}']
    assert run(*words).exit_code == 0
    assert msgpack.unpackb(stored(queue, "a").payload) == [["a@b", 5], {"subject": "x"}]
    run("enqueue", "mail", "--id", "b", "--args", "[1]")
    assert msgpack.unpackb(stored(queue, "b").payload) == [[1], {}]


def test_a_task_takes_such_arguments(queue: RedisQueue, run: Run) -> None:
    registry = Registry()

    @registry.task("add")
    def add(first: int, *, second: datetime) -> str:
        return f"{first} {second:%Y}"

    words = ["--args", "[1]", "--kwargs", '{"second": "2030-01-31T08:00:00Z"}']
    assert run("enqueue", "add", "--id", "a", *words).exit_code == 0
    Worker(queue, registry).run(burst=True)
    job = stored(queue, "a")
    assert job.last_error is None
    assert add.result(job) == "1 2030"
    assert "'1 2030'" in run("jobs", "show", "a").stdout


def test_the_error_of_a_task_without_arguments_names_the_way_out(
    queue: RedisQueue, run: Run
) -> None:
    registry = Registry()

    @registry.task("greet")
    def greet(name: str) -> str:
        return f"hello, {name}"

    run("enqueue", "greet", "--id", "text", "--payload", "you")
    run("enqueue", "greet", "--id", "other", "--payload", "5")
    run("enqueue", "greet", "--id", "right", "--args", '["you"]')
    Worker(queue, registry).run(burst=True)
    for id in ("text", "other"):
        error = stored(queue, id).last_error or ""
        assert "the payload holds no arguments of a task" in error
        assert "--args and --kwargs on the command line" in error
        assert "redisjobs.encode(" in error
    assert greet.result(stored(queue, "right")) == "hello, you"


def test_the_examples_of_the_help_fit_the_readme() -> None:
    shown = CliRunner().invoke(commands, ["enqueue", "--help"]).output
    assert "redisjobs enqueue greet --args '[\"you\"]'\n" in shown
    assert "enqueue greet --payload" not in shown


@pytest.mark.parametrize(
    ("after", "delay"),
    [("90", 90), ("10m", 600), ("1h30m", 5400), ("1.5", 1.5), ("500ms", 0.5), ("0", 0)],
)
def test_not_before_a_time_from_now(queue: RedisQueue, run: Run, after: str, delay: float) -> None:
    assert run("enqueue", "mail", "--id", "a", "--after", after).exit_code == 0
    job = stored(queue, "a")
    assert job.run_at == job.created_at + timedelta(seconds=delay)


def test_not_before_an_instant(queue: RedisQueue, run: Run) -> None:
    assert run("enqueue", "mail", "--id", "a", "--at", "2035-05-17T12:30:00+02:00").exit_code == 0
    assert stored(queue, "a").run_at == datetime(2035, 5, 17, 10, 30, tzinfo=UTC)


def test_many_are_stored_and_told(queue: RedisQueue, run: Run) -> None:
    result = run("enqueue", "mail", "--count", "10001", "--payload", "x")
    ids = result.stdout.split()
    assert len(set(ids)) == 10_001
    assert result.stderr == ""
    assert queue.stats().kinds["mail"].ready == 10_001


def test_on_a_terminal_a_bar_shows_how_far_it_is(run: Run) -> None:
    seen = run.on_a_terminal("enqueue", "mail", "--count", "2")
    assert seen.exit_code == 0
    assert "enqueue" in seen.output
    assert "of 2" in seen.output


def test_an_id_that_exists_is_refused(queue: RedisQueue, run: Run) -> None:
    run("enqueue", "mail", "--id", "a")
    result = run("enqueue", "mail", "--id", "a", "--payload", "other")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: job 'a' exists already in queue")
    assert stored(queue, "a").payload == b""


def test_of_many_it_is_told_how_many_were_stored_before_an_error(
    queue: RedisQueue, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redisjobs.cli.enqueue.MAX_JOBS_PER_CALL", 10)
    monkeypatch.setattr("redisjobs.cli.enqueue._CHUNK", 5)
    calls: list[int] = []
    real = type(queue).enqueue

    def enqueue(self: RedisQueue, *jobs: Job) -> object:
        calls.append(len(jobs))
        return real(self, *(jobs if len(calls) < 3 else (jobs[0], jobs[0])))

    monkeypatch.setattr(type(queue), "enqueue", enqueue)
    result = run("enqueue", "mail", "--count", "12")
    assert result.exit_code == 1
    assert len(result.stdout.split()) == queue.stats().kinds["mail"].ready == 10
    assert "stored before: 10 of 12 jobs\nError: job " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "give a KIND"),
        (["mail", "--jsonl", "-"], "KIND (mail) does not go with --jsonl"),
        (["--jsonl", "-", "--payload", "x"], "each line says"),
        ([" "], "must not be blank"),
        (["mail", "--id", "a", "--count", "2"], "--id names one job"),
        (["mail", "--count", "0"], "--count"),
        (["mail", "--after", "soon"], "'soon' is no duration: write seconds, or 500ms, 10m"),
        (["mail", "--after", "-5"], "is no duration"),
        (["mail", "--at", "tomorrow"], "'tomorrow' is no time: write it like 2030-01-31T08:00:00Z"),
        (["mail", "--at", "2030-01-31T08:00:00"], "names no time zone: add Z"),
        (["mail", "--at", "2030-01-31T08:00:00Z", "--after", "5"], "not both"),
        (["mail", "--payload", "x", "--args", "[]"], "not both"),
        (["mail", "--args", "{}"], "--args must be a list, not {}"),
        (["mail", "--kwargs", "[]"], "--kwargs must be an object, not []"),
        (["mail", "--args", "[1"], "--args is no JSON"),
        (["mail", "--args", "[" * 100_000], "--args is no JSON"),
        (["mail", "--args", "[5, 18446744073709551616]"], "cannot travel: argument 2: an int"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(
    queue: RedisQueue, run: Run, arguments: list[str], told: str
) -> None:
    result = run("enqueue", *arguments, typed=b"")
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
    assert queue.stats().kinds == {}


def test_an_interrupt_is_told_and_has_an_exit_code_of_its_own(run: Run, queue: RedisQueue) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "redisjobs", "enqueue", "--jsonl", "-"],
        env=os.environ | run.environ | {"PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b'{"kind": "mail"}\n' * 2500)
    process.stdin.flush()
    # Of the last chunk that is stored it may not have heard yet.
    wait_until(
        lambda: sum(kind.ready for kind in queue.stats().kinds.values()) == 2000,
        "two chunks are stored",
    )
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert re.search(rb"stored before: [12],000 jobs", told)
    assert b"interrupted" in told
    assert b"Traceback" not in told


def test_what_no_job_can_be_is_refused(run: Run) -> None:
    result = run("enqueue", "mail", "--at", "2300-01-01T00:00:00Z", "--id", "a")
    assert result.exit_code == 1
    assert "beyond the year 2200" in result.output
