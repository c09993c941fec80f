"""`redisjobs jobs list`: what is listed, in which shape, and where it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Job, Worker
from redisjobs.cli.listed import pages
from redisjobs.operations.operation import command
from redisjobs.operations.sections import Held
from tests.cli.conftest import PROJECT

if TYPE_CHECKING:
    import redis

    from redisjobs import Context, JobPage, RedisQueue
    from redisjobs.operations.operation import Operation
    from tests.cli.conftest import Enter, Run

HOUR = timedelta(hours=1)
LONG_ERROR = "the server said a great many things, of which none was of any help at all: no"


def fail(ctx: Context, job: Job) -> None:
    raise LookupError(LONG_ERROR + "\nsecond line")


@pytest.fixture
def filled(queue: RedisQueue, enter: Enter) -> RedisQueue:
    """One job of each standing but cancelled."""
    queue.enqueue(Job("mail", b"\xff", id="done"), Job("scan", b"text", id="failed"))
    Worker(queue, {"mail": lambda ctx, job: b"sent"}).run(burst=True)
    Worker(queue, {"scan": fail}).run(burst=True)
    queue.enqueue(
        Job("mail", id="runs"), Job("mail", id="ready"), Job("scan", id="later", delay=HOUR)
    )
    enter("shop-1:42:00ff", "mail")
    enter.holding("shop-1:42:00ff", "runs", kind="mail")
    return queue


def test_in_a_pipe_it_is_plain_columns(filled: RedisQueue, run: Run) -> None:
    result = run("jobs", "list")
    assert result.exit_code == 0
    assert result.stderr == ""
    heading, *rows = (line.split() for line in result.stdout.splitlines())
    assert heading == ["id", "kind", "status", "attempts", "when", "worker", "error"]
    assert [row[:4] for row in rows] == [
        ["runs", "mail", "running", "0"],
        ["ready", "mail", "ready", "0"],
        ["later", "scan", "scheduled", "0"],
        ["failed", "scan", "failed", "1"],
        ["done", "mail", "done", "1"],
    ]
    job = filled.get("later")
    assert job is not None
    assert job.run_at is not None
    assert rows[2][4] == f"{job.run_at:%Y-%m-%dT%H:%M:%SZ}"
    assert [row[4:6] for row in rows[:2]] == [["-", "shop-1:42:00ff"], [rows[1][4], "-"]]


def test_of_an_error_the_first_line_is_listed(filled: RedisQueue, run: Run) -> None:
    output = run("jobs", "list", "--status", "failed").stdout
    assert output.splitlines()[1].endswith(f"LookupError: {LONG_ERROR}")


def test_a_very_long_error_is_listed_in_part(
    queue: RedisQueue, run: Run, client: redis.Redis
) -> None:
    def rant(ctx: Context, job: Job) -> None:
        raise LookupError("x" * 500)

    queue.enqueue(Job("scan"))
    Worker(queue, {"scan": rant}).run(burst=True)
    assert run("jobs", "list").stdout.splitlines()[1].endswith(f"  LookupError: {'x' * 187}…")


def test_as_json_each_job_is_a_line_with_all_that_is_known(filled: RedisQueue, run: Run) -> None:
    by_id = {one["id"]: one for one in run.json_lines("jobs", "list")}
    assert list(by_id)[:3] == ["runs", "ready", "later"]
    assert {id: one["standing"] for id, one in by_id.items()} == {
        "runs": "running", "ready": "ready", "later": "scheduled", "failed": "failed",
        "done": "done",
    }  # fmt: skip
    assert by_id["runs"]["status"] == by_id["later"]["status"] == "PENDING"
    assert (by_id["runs"]["worker"], by_id["ready"]["worker"]) == ("shop-1:42:00ff", None)
    done, failed = by_id["done"], by_id["failed"]
    assert (done["payload_base64"], done["result"]) == ("/w==", "sent")
    assert "payload" not in done
    assert (failed["payload"], failed["result"]) == ("text", None)
    assert failed["last_error"] == f"LookupError: {LONG_ERROR}\nsecond line"
    assert (failed["attempts_done"], failed["kind"]) == (1, "scan")
    stored = filled.get("failed")
    assert stored is not None
    assert failed["updated_at"] == stored.updated_at.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        (["--status", "PENDING"], ["runs", "ready", "later"]),
        (["--status", "running"], ["runs"]),
        (["--status", "scheduled"], ["later"]),
        (["--status", "done"], ["done"]),
        (["--status", "cancelled"], []),
        (["--kind", " SCAN"], ["later", "failed"]),
        (["--kind", "scan", "--status", "failed"], ["failed"]),
        (["--status", "done", "--status", "failed"], ["done", "failed"]),
        (["--status", "done", "--status", "ready", "--status", "done"], ["ready", "done"]),
        (["--status", "running", "--status", "scheduled"], ["runs", "later"]),
        (["--status", "pending", "--status", "ready"], ["runs", "ready", "later"]),
        (
            ["--kind", "scan", "--kind", "mail", "--kind", "Scan"],
            ["later", "failed", "runs", "ready", "done"],
        ),
        (
            ["--kind", "scan", "--kind", "mail", "--status", "done", "--status", "failed"],
            ["done", "failed"],
        ),
    ],
)
def test_some_are_chosen(filled: RedisQueue, run: Run, chosen: list[str], ids: list[str]) -> None:
    assert [one["id"] for one in run.json_lines("jobs", "list", *chosen)] == ids


def test_that_more_are_there_is_told_beside_the_list(queue: RedisQueue, run: Run) -> None:
    queue.enqueue(*(Job("mail", id=f"{number:02}") for number in range(4)))
    result = run("jobs", "list", "--limit", "3")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["id", "00", "01", "02"]
    assert result.stderr == "more than 3 jobs: --limit 0 lists all\n"
    exact = run("jobs", "list", "--limit", "4", "--json")
    assert (len(exact.stdout.splitlines()), exact.stderr) == (4, "")
    assert len(run("jobs", "list").stdout.splitlines()) == 5


def test_the_limit_is_one_for_all_statuses_and_kinds(queue: RedisQueue, run: Run) -> None:
    kinds = ("mail", "scan")
    queue.enqueue(*(Job(kind, id=f"{kind}{number}") for kind in kinds for number in range(3)))
    chosen = ["--kind", "mail", "--kind", "scan", "--status", "ready", "--status", "failed"]
    for limit, ids in ((2, ["mail0", "mail1"]), (4, ["mail0", "mail1", "mail2", "scan0"])):
        result = run("jobs", "list", *chosen, "--limit", str(limit))
        assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ids
        assert result.stderr == f"more than {limit} jobs: --limit 0 lists all\n"
    assert len(run.json_lines("jobs", "list", *chosen, "--limit", "0")) == 6


def test_what_could_move_between_two_listings_is_in_one(
    queue: RedisQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.enqueue(*(Job("mail") for _ in range(12)))
    asked: list[str | None] = []
    real = type(queue).jobs

    def jobs(self: RedisQueue, **chosen: Any) -> JobPage:
        asked.append(chosen["status"])
        return real(self, **chosen)

    monkeypatch.setattr(type(queue), "jobs", jobs)
    list(pages(queue, ["scheduled", "done", "ready"], []))
    assert asked == ["pending", "done"]
    asked.clear()
    assert [len(page) for page in pages(queue, ["ready", "scheduled", "done"], [], 5)] == [5]
    assert asked == ["pending"]


def test_who_holds_what_is_asked_once_a_page_and_goes_on(
    queue: RedisQueue, run: Run, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"{number:04}" for number in range(1200)]
    queue.enqueue(*(Job("mail", id=id) for id in ids))
    for worker, held in (("w1", ids[:700]), ("w2", ids[700:])):
        enter(worker, "mail")
        enter.holding(worker, *held, kind="mail")
    asked: list[int] = []
    real = Held.next

    def counted(self: Held, *arguments: Any) -> Any:
        asked.append(len(arguments))
        return real(self, *arguments)

    listed = run.json_lines("jobs", "list", "--limit", "0")
    assert [(one["id"], one["worker"]) for one in listed] == [
        (id, "w1" if id < "0700" else "w2") for id in ids
    ]
    queue.enqueue(Job("mail", id="ready"))
    monkeypatch.setattr(Held, "next", counted)
    monkeypatch.setattr("redisjobs.cli.listed._DELIVERIES", 500)
    list(pages(queue, ["running"], []))
    assert len(asked) == 6  # three pages, each looked at once, and then at who holds what
    asked.clear()
    list(pages(queue, ["ready"], []))
    assert asked == []


def test_a_job_that_has_ended_meanwhile_is_held_by_nobody(
    queue: RedisQueue, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.enqueue(Job("mail", id="a"), Job("mail", id="b"))
    enter("w", "mail")
    enter.holding("w", "a", "b", kind="mail")
    real = type(queue).jobs

    def jobs(self: RedisQueue, **chosen: Any) -> JobPage:
        page = real(self, **chosen)
        self.lines.run(lambda: ended(self))
        return page

    def ended(queue: RedisQueue) -> Operation[None]:
        yield (command("LREM", queue.keys.processing("w"), 0, "1:a"),)

    monkeypatch.setattr(type(queue), "jobs", jobs)
    monkeypatch.setattr("redisjobs.cli.listed._DELIVERIES", 1)
    [page] = pages(queue, [], [])
    assert [(one.job.id, one.worker) for one in page] == [("a", None), ("b", "w")]


def test_all_are_listed_over_many_pages_under_one_heading(queue: RedisQueue, run: Run) -> None:
    ids = [f"{number:04}" for number in range(1201)]
    queue.enqueue(*(Job("mail", id=id) for id in ids))
    heading, *rows = run("jobs", "list", "--limit", "0").stdout.splitlines()
    assert heading.startswith("id ")
    assert [row.split()[0] for row in rows] == ids
    assert len(run.json_lines("jobs", "list", "--limit", "1100")) == 1100


def test_whoever_reads_only_the_first_lines_gets_no_traceback(queue: RedisQueue, run: Run) -> None:
    queue.enqueue_many(Job("mail", b"x" * 1000) for _ in range(1200))
    ran = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m redisjobs jobs list --limit 0 --json | head -n 1"],
        env=os.environ | run.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert len(ran.stdout.splitlines()) == 1
    assert ran.stderr == ""


def test_what_cannot_be_written_is_told_in_a_sentence(queue: RedisQueue, run: Run) -> None:
    queue.enqueue(Job("mail"))
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "redisjobs", "jobs", "list"],
            env=os.environ | run.environ | {"PYTHONPATH": str(PROJECT)},
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[0].startswith("Error: [Errno 28]")


def test_none_is_said_to_be_none(run: Run) -> None:
    result = run("jobs", "list", "--status", "failed")
    assert (result.exit_code, result.stdout) == (0, "")
    first, second, *_ = result.stderr.splitlines()
    assert first == f"no such jobs in queue {run.name!r}"
    assert second == f"queue {run.name!r} has seen no jobs and no workers"
    assert run("jobs", "list", "--json").output == ""


def test_of_a_queue_that_was_used_it_is_only_said_that_there_are_none(
    queue: RedisQueue, run: Run
) -> None:
    queue.enqueue(Job("mail", id="a"))
    queue.delete("a")
    assert run("jobs", "list").output == f"no such jobs in queue {run.name!r}\n"


def test_on_a_terminal_what_is_long_is_folded_and_not_cut(queue: RedisQueue, run: Run) -> None:
    queue.enqueue(Job("scan", id="an-id-that-is-much-longer-than-the-others-are-" + "x" * 100))
    queue.enqueue(Job("scan", id="an-id-of-25-digits-000001"))
    Worker(queue, {"scan": fail}).run(burst=True)
    seen = run.on_a_terminal("jobs", "list", width=100)
    assert seen.exit_code == 0
    assert max(map(len, seen.lines[2:])) <= 100
    assert "".join(LONG_ERROR.split())[-8:] in "".join(seen.output.split())
    assert "…" not in seen.output
    ids = [line.split(" ")[0] for line in seen.lines[3:]]
    assert "an-id-of-25-digits-000001" in ids
    assert "".join(ids).count("x") >= 100
    assert "ago" in seen.output


@pytest.mark.parametrize(
    ("width", "missing"),
    [
        (80, []), (74, ["worker"]), (60, ["attempts", "worker", "error"]),
        (50, ["attempts", "worker", "error"]), (42, ["attempts", "when", "worker", "error"]),
        (36, ["kind", "attempts", "when", "worker", "error"]),
    ],
)  # fmt: skip
def test_on_a_narrow_terminal_columns_are_left_out_before_an_id_is_broken(
    queue: RedisQueue, run: Run, width: int, missing: list[str]
) -> None:
    id = "an-id-of-25-digits-000001"
    queue.enqueue(Job("scan", id=id))
    Worker(queue, {"scan": fail}).run(burst=True)
    seen = run.on_a_terminal("jobs", "list", width=width)
    place = next(place for place, line in enumerate(seen.lines) if line.startswith("id "))
    headings, _, row = seen.lines[place : place + 3]
    every = ["id", "kind", "status", "attempts", "when", "worker", "error"]
    assert headings.split() == [heading for heading in every if heading not in missing]
    assert row.split()[0] == id
    assert max(len(headings), len(row)) <= width
    _, _, told = " ".join(seen.lines).partition("too narrow to show: ")
    assert told.strip() == ", ".join(missing)


def test_what_is_left_out_is_told_once(queue: RedisQueue, run: Run) -> None:
    queue.enqueue(*(Job("mail", id=f"an-id-of-25-digits-{number:06}") for number in range(600)))
    seen = run.on_a_terminal("jobs", "list", "--limit", "0", width=50)
    assert seen.output.count("an-id-of-25-digits-") == 600
    assert seen.output.count("too narrow to show") == 1


def test_what_a_terminal_would_obey_is_escaped(queue: RedisQueue, run: Run) -> None:
    queue.enqueue(Job("mail", id="\x1b[31mred"))
    assert "\\x1b[31mred " in run("jobs", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--status", "lost"], "--status"), (["--limit", "-1"], "--limit"),
        (["--kind", " "], "must not be blank"), (["--kind", "k" * 201], "at most 200 bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_wrong_usage(run: Run, arguments: list[str], told: str) -> None:
    result = run("jobs", "list", *arguments)
    assert result.exit_code == 2
    assert told in result.output
