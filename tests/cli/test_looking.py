"""`redisjobs stats` and `redisjobs check` on a real server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import redis

from redisjobs import Job, RedisQueue, Worker
from redisjobs.cli.tables import shown
from redisjobs.errors import QueueUnavailableError
from tests.cli.conftest import PROJECT, Run

if TYPE_CHECKING:
    from tests.cli.conftest import Enter
    from tests.conftest import OwnServer


def fail(ctx: object, job: object) -> None:
    raise LookupError("on purpose")


@pytest.fixture
def filled(queue: RedisQueue) -> RedisQueue:
    """One job done, one failed, two ready, one for later."""
    queue.enqueue(Job("mail"), Job("scan"))
    Worker(queue, {"mail": lambda ctx, job: b"", "scan": fail}).run(burst=True)
    queue.enqueue(Job("mail"), Job("mail"), Job("scan", delay=timedelta(hours=1)))
    return queue


def test_stats_in_a_pipe_are_plain_columns(filled: RedisQueue, run: Run) -> None:
    result = run("stats")
    assert result.exit_code == 0
    heading, mail, scan = result.stdout.splitlines()
    assert heading.split()[:7] == [
        "kind", "scheduled", "ready", "running", "done", "failed", "cancelled",
    ]  # fmt: skip
    assert mail.split()[:7] == ["mail", "0", "2", "0", "1", "0", "0"]
    assert float(mail.split()[7]) < 60
    assert scan.split() == ["scan", "1", "0", "0", "0", "1", "0", "-"]


def test_stats_as_json_are_those_of_the_queue(filled: RedisQueue, run: Run) -> None:
    told = run.json("stats")
    assert told["queue"] == run.name
    assert told["workers"] == []
    mail = told["kinds"]["mail"]
    assert 0 <= mail.pop("oldest_ready_age") < 60
    assert mail == {
        "scheduled": 0, "ready": 2, "running": 0, "done": 1, "failed": 0, "cancelled": 0,
    }  # fmt: skip


def test_stats_show_the_workers(filled: RedisQueue, run: Run, enter: Enter) -> None:
    enter("shop-1:42:00ff", "mail", "scan")
    heading, worker = run("stats").stdout.split("\n\n")[1].splitlines()
    assert heading.split()[:3] == ["worker", "state", "held"]
    cells = worker.split()
    assert cells[:4] == ["shop-1:42:00ff", "alive", "0", "10"]
    assert cells[-4:] == ["shop-1", "42", "mail,", "scan"]
    [told] = run.json("stats")["workers"]
    assert (told["id"], told["state"], told["kinds"]) == (
        "shop-1:42:00ff", "alive", ["mail", "scan"],
    )  # fmt: skip


def test_kinds_that_nobody_runs_are_pointed_out(filled: RedisQueue, run: Run, enter: Enter) -> None:
    told = "no live worker runs kind 'mail', which has 2 ready jobs\n"
    assert run("stats").stderr == told
    assert run.json("stats")["unserved"] == ["mail"]
    enter("shop-1:42:00ff", "scan")
    assert run("stats").stderr == told
    enter("shop-1:42:00aa", "mail")
    assert run("stats").stderr == ""
    assert run.json("stats")["unserved"] == []


def test_workers_whose_lease_has_lapsed_are_pointed_out(
    filled: RedisQueue, run: Run, enter: Enter
) -> None:
    enter("shop-1:42:00ff", "mail", lapses=1.0)
    result = run("stats")
    assert " lapsed " in result.stdout
    unserved, lapsed = result.stderr.splitlines()
    assert "no live worker runs kind 'mail'" in unserved
    assert lapsed.startswith("the lease of worker shop-1:42:00ff has lapsed: a live worker")
    assert lapsed.endswith("(0 jobs)")


def test_stats_of_a_queue_that_nobody_used_say_so_and_which_there_are(
    run: Run, client: redis.Redis
) -> None:
    client.sadd(f"redisjobs:{{{run.name}-other}}:kinds", "mail")
    try:
        result = run("stats")
    finally:
        client.delete(f"redisjobs:{{{run.name}-other}}:kinds")
    assert result.exit_code == 0
    assert result.stdout == f"queue {run.name!r} has seen no jobs and no workers\n"
    assert result.stderr.startswith("queues on this server: ")
    assert f"{run.name}-other" in result.stderr


def test_without_the_right_to_scan_only_the_hint_is_missing(own_server: OwnServer) -> None:
    server = own_server(tcp=True)
    with redis.Redis.from_url(server.url) as client:
        client.execute_command(
            "ACL", "SETUSER", "clerk", "on", ">pass", "~*", "&*", "+@all", "-scan"
        )
    run = Run(server.url.replace("://", "://clerk:pass@"), "nobodys")
    result = run("stats")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "queue 'nobodys' has seen no jobs and no workers\n"


def test_stats_on_a_terminal_are_a_table(filled: RedisQueue, run: Run, enter: Enter) -> None:
    id = "a-host-with-a-rather-long-name.example.org:42:00ff"
    enter(id, "mail", "scan", "a-long-kind-name")
    seen = run.on_a_terminal("stats")
    assert seen.exit_code == 0
    assert f"Jobs in queue {run.name}" in seen.output
    assert "─" in seen.output
    row = next(line for line in seen.lines if line.startswith("mail "))
    assert row.split()[:5] == ["mail", "0", "2", "0", "1"]
    assert max(map(len, seen.lines[2:])) <= 80
    assert any(line.startswith(f"{id}  alive ") for line in seen.lines)
    assert "too narrow to show: host" not in seen.output  # "held", which comes first, is missing
    assert ", host, pid" in seen.output


@pytest.mark.parametrize("command", ["stats", "check"])
def test_a_name_that_looks_like_markup_is_shown_as_it_is(
    own_server: OwnServer, command: str
) -> None:
    url, name = own_server().url, "[/bold]mails"
    with contextlib.closing(RedisQueue.from_url(url, name)) as queue:
        queue.enqueue(Job("[red]"))
    seen = Run(url, name).on_a_terminal(command)
    assert seen.exit_code == 0
    assert ("Jobs in queue " if command == "stats" else "check ") + name in seen.output
    assert ("[red]" in seen.output) is (command == "stats")


@pytest.mark.parametrize("shape", [[], ["--json"]])
def test_stats_are_watched_until_an_interrupt(
    filled: RedisQueue, run: Run, shape: list[str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "redisjobs", "stats", "--watch", "0.1", *shape],
        env=os.environ | run.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    seen = 0
    while seen < 3:
        line = process.stdout.readline()
        assert line, "it ended"
        seen += line.startswith(("kind ", "{"))
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in stderr


def test_a_watch_goes_on_when_redis_is_away(
    run: Run, filled: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([QueueUnavailableError("Redis at x: cannot be reached"), filled.stats()])

    def stats(_: RedisQueue) -> object:
        answer = next(answers, KeyboardInterrupt())
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(RedisQueue, "stats", stats)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    result = run("stats", "--watch")
    assert result.exit_code == 0
    assert result.stderr.startswith("Redis at x: cannot be reached; trying again\n")
    assert result.stdout.startswith("kind ")


@pytest.mark.parametrize("every", ["0", "soon", "50ms"])
def test_a_watch_takes_a_sensible_time(run: Run, every: str) -> None:
    assert run("stats", "--watch", every).exit_code == 2


def test_a_sound_queue_is_said_to_be_so(filled: RedisQueue, run: Run) -> None:
    result = run("check")
    assert result.exit_code == 0
    assert result.output.startswith(f"queue {run.name}: sound (examined: ")
    assert " 5 jobs" in result.output


def test_a_check_of_a_queue_that_nobody_used_hints_at_others(run: Run) -> None:
    result = run("check")
    assert (result.exit_code, result.stdout[:6]) == (0, "queue ")
    assert result.stderr.splitlines()[0] == f"queue {run.name!r} has seen no jobs and no workers"
    assert run("check", "--json").stderr == ""


def test_what_is_broken_is_told_and_is_the_exit_code(
    filled: RedisQueue, run: Run, client: redis.Redis
) -> None:
    client.zadd(filled.keys.due("mail"), {"nobody": 1})
    result = run("check")
    assert result.exit_code == 1
    sentence, verdict = result.output.splitlines()
    assert "'nobody' has no record" in sentence
    assert f"queue {run.name}: 1 broken" in verdict


def test_a_check_as_json_says_the_same(filled: RedisQueue, run: Run, client: redis.Redis) -> None:
    sound = run("check", "--json")
    assert sound.exit_code == 0
    client.zadd(filled.keys.due("mail"), {"nobody": 1})
    broken = run("check", "--json")
    assert broken.exit_code == 1
    told = json.loads(broken.output)
    assert told["queue"] == run.name
    assert told["examined"]["jobs"] == 5
    assert "'nobody' has no record" in told["broken"][0]
    assert json.loads(sound.output)["broken"] == []


def test_a_check_on_a_terminal_shows_how_far_it_is(filled: RedisQueue, run: Run) -> None:
    seen = run.on_a_terminal("check")
    assert seen.exit_code == 0
    assert f"check {run.name}" in seen.output
    assert "of 12" in seen.output  # 5 jobs, each in one place, and 2 states
    assert ": sound (examined:" in seen.output


def test_a_check_of_what_cannot_be_counted_tells_so(
    run: Run, queue: RedisQueue, client: redis.Redis
) -> None:
    client.set(queue.keys.jobs, "no hash")
    result = run("check")
    assert result.exit_code == 1
    assert "'jobs' is a string, but should be a hash" in result.output


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, "-"), (0, "0"), (12.345, "12.3"), ("größe", "größe"), ("a b", "a b"),
        ("\x1b[31mred", "\\x1b[31mred"), ("two\nlines", "two\\nlines"),
    ],
)  # fmt: skip
def test_cells_have_nothing_that_a_terminal_obeys(value: object, cell: str) -> None:
    assert shown(value) == cell
