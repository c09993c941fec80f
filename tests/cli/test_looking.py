"""`redisjobs stats` and `redisjobs check` on a real server."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result

from redisjobs import Job, RedisQueue, Worker
from redisjobs.cli.root import commands
from redisjobs.cli.tables import shown
from redisjobs.embedded import EmbeddedServer

PROJECT = Path(__file__).parents[2]


def fail(ctx: object, job: object) -> None:
    raise LookupError("on purpose")


@pytest.fixture
def queue(redis_server: EmbeddedServer, queue_name: str) -> Iterator[RedisQueue]:
    """One job done, one failed, two ready, one for later."""
    queue = RedisQueue.from_url(redis_server.url, queue_name)
    queue.enqueue(Job("mail"), Job("scan"))
    Worker(queue, {"mail": lambda ctx, job: b"", "scan": fail}).run(burst=True)
    queue.enqueue(Job("mail"), Job("mail"), Job("scan", delay=timedelta(hours=1)))
    yield queue
    queue.close()


@pytest.fixture
def run(redis_server: EmbeddedServer, queue_name: str) -> Run:
    return Run(redis_server.url, queue_name)


class Run:
    """Runs a command on the test's queue."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def __call__(self, command: str, *arguments: str) -> Result:
        return CliRunner().invoke(
            commands, [command, "--queue", self.name, *arguments], env={"REDISJOBS_URL": self.url}
        )

    def on_a_terminal(self, command: str) -> str:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "redisjobs", command, "--url", self.url, "--queue", self.name],
            env=os.environ | {"PYTHONPATH": str(PROJECT), "TERM": "xterm", "COLUMNS": "160"},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
        )
        os.close(theirs)
        written = b""
        try:
            while part := os.read(ours, 65536):
                written += part
        except OSError:
            pass  # so a terminal ends on Linux
        os.close(ours)
        assert process.wait(30) == 0
        return written.decode()


def test_stats_in_a_pipe_are_plain_columns(queue: RedisQueue, run: Run) -> None:
    result = run("stats")
    assert result.exit_code == 0
    heading, mail, scan = result.output.splitlines()
    assert heading.split()[:7] == [
        "kind", "scheduled", "ready", "running", "done", "failed", "cancelled",
    ]  # fmt: skip
    assert mail.split()[:7] == ["mail", "0", "2", "0", "1", "0", "0"]
    assert float(mail.split()[7]) < 60
    assert scan.split() == ["scan", "1", "0", "0", "0", "1", "0", "-"]


def test_stats_as_json_are_those_of_the_queue(queue: RedisQueue, run: Run) -> None:
    told = json.loads(run("stats", "--json").output)
    assert told["queue"] == run.name
    assert told["workers"] == []
    mail = told["kinds"]["mail"]
    assert 0 <= mail.pop("oldest_ready_age") < 60
    assert mail == {
        "scheduled": 0, "ready": 2, "running": 0, "done": 1, "failed": 0, "cancelled": 0,
    }  # fmt: skip


def test_stats_show_the_workers(
    queue: RedisQueue, run: Run, client: redis.Redis, queue_name: str
) -> None:
    told = {"host": "shop-1", "pid": 42, "kinds": ["mail", "scan"], "concurrency": 10}
    client.hset(queue.keys.worker_info, "shop-1:42:00ff", json.dumps(told))
    client.zadd(queue.keys.workers, {"shop-1:42:00ff": 9e15})
    heading, worker = run("stats").output.split("\n\n")[1].splitlines()
    assert heading.startswith("worker ")
    cells = worker.split()
    assert (cells[0], cells[1], cells[2]) == ("shop-1:42:00ff", "0", "10")
    assert cells[-2:] == ["mail,", "scan"]


def test_stats_of_a_queue_that_nobody_used_say_so(run: Run) -> None:
    result = run("stats")
    assert result.exit_code == 0
    assert result.output == f"queue {run.name!r} has seen no jobs and no workers\n"


def test_stats_on_a_terminal_are_a_table(queue: RedisQueue, run: Run) -> None:
    output = run.on_a_terminal("stats")
    assert f"Jobs in queue {run.name}" in output
    assert "─" in output
    row = next(line for line in output.splitlines() if "mail" in line)
    cells = row.replace("\N{BOX DRAWINGS LIGHT VERTICAL}", " ").split()
    assert cells[:5] == ["mail", "0", "2", "0", "1"]


def test_a_sound_queue_is_said_to_be_so(queue: RedisQueue, run: Run) -> None:
    result = run("check")
    assert result.exit_code == 0
    assert result.output.startswith(f"queue {run.name}: sound (examined: ")
    assert " 5 jobs" in result.output


def test_what_is_broken_is_told_and_is_the_exit_code(
    queue: RedisQueue, run: Run, client: redis.Redis
) -> None:
    client.zadd(queue.keys.due("mail"), {"nobody": 1})
    result = run("check")
    assert result.exit_code == 1
    sentence, verdict = result.output.splitlines()
    assert "'nobody' has no record" in sentence
    assert f"queue {run.name}: 1 broken" in verdict


def test_a_check_as_json_says_the_same(queue: RedisQueue, run: Run, client: redis.Redis) -> None:
    sound = run("check", "--json")
    assert sound.exit_code == 0
    client.zadd(queue.keys.due("mail"), {"nobody": 1})
    broken = run("check", "--json")
    assert broken.exit_code == 1
    told = json.loads(broken.output)
    assert told["queue"] == run.name
    assert told["examined"]["jobs"] == 5
    assert "'nobody' has no record" in told["broken"][0]
    assert json.loads(sound.output)["broken"] == []


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, "-"), (0, "0"), (12.345, "12.3"), ("größe", "größe"), ("a b", "a b"),
        ("\x1b[31mred", "\\x1b[31mred"), ("two\nlines", "two\\nlines"),
    ],
)  # fmt: skip
def test_cells_have_nothing_that_a_terminal_obeys(value: object, cell: str) -> None:
    assert shown(value) == cell
