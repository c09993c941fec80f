"""`redisjobs jobs cancel`, `retry` and `delete`: by ids, and in bulk."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from redisjobs import Job, Status, Worker

if TYPE_CHECKING:
    import redis

    from redisjobs import Context, RedisQueue
    from tests.cli.conftest import Enter, Run

HOUR = timedelta(hours=1)


def end(queue: RedisQueue, *ids: str, kind: str = "scan") -> None:
    """Has jobs fail, or panic if they are called so."""

    def fail(ctx: Context, job: Job) -> None:
        if job.id.startswith("panic"):
            raise SystemExit(1)
        raise LookupError("on purpose")

    queue.enqueue(*(Job(kind, id=id) for id in ids))
    Worker(queue, {kind: fail}).run(burst=True)


def status(queue: RedisQueue, id: str) -> Status | None:
    job = queue.get(id)
    return None if job is None else job.status


class TestByIds:
    def test_waiting_jobs_are_cancelled(self, queue: RedisQueue, run: Run) -> None:
        queue.enqueue(Job("mail", id="a"), Job("mail", id="b", delay=HOUR), Job("mail", id="c"))
        result = run("jobs", "cancel", "a", "b")
        assert (result.exit_code, result.output) == (0, "cancelled a\ncancelled b\n")
        assert [status(queue, id) for id in "abc"] == ["CANCELLED", "CANCELLED", "PENDING"]

    def test_jobs_that_failed_run_again(self, queue: RedisQueue, run: Run) -> None:
        end(queue, "a", "panic")
        result = run("jobs", "retry", "a", "panic")
        assert (result.exit_code, result.output) == (0, "retried a\nretried panic\n")
        assert queue.stats().kinds["scan"].ready == 2

    def test_as_json_retries_are_told_too(self, queue: RedisQueue, run: Run) -> None:
        end(queue, "a")
        (told,) = run.json_lines("jobs", "retry", "a")
        assert (told["id"], status(queue, "a")) == ("a", "PENDING")

    def test_jobs_are_deleted(self, queue: RedisQueue, run: Run) -> None:
        end(queue, "a")
        queue.enqueue(Job("mail", id="b"))
        result = run("jobs", "delete", "a", "b")
        assert (result.exit_code, result.output) == (0, "deleted a\ndeleted b\n")
        assert queue.jobs().jobs == ()

    def test_what_is_not_done_is_told_with_why_and_the_rest_is_done(
        self, queue: RedisQueue, run: Run, enter: Enter, client: redis.Redis
    ) -> None:
        end(queue, "failed")
        queue.enqueue(Job("mail", id="runs"), Job("mail", id="waits"), Job("mail", id="later"))
        enter("w", "mail")
        enter.holding("w", "runs", kind="mail")
        client.hset(queue.keys.jobs, "newer", b"9mail\0\0new")
        result = run("jobs", "cancel", "failed", "runs", "nobody", " ", "newer", "waits")
        assert result.exit_code == 1
        assert result.stdout == "cancelled waits\n"
        failed, runs, nobody, blank, newer = result.stderr.splitlines()
        assert failed == "job 'failed' not cancelled: it has ended as FAILED"
        assert runs == "job 'runs' not cancelled: it is running"
        assert nobody == f"job 'nobody' not cancelled: there is no such job in queue {run.name!r}"
        assert "blank" in blank
        assert "upgrade" in newer
        assert run("jobs", "retry", "later").stderr == "job 'later' not retried: it is ready\n"

    def test_as_json_each_job_is_a_line(self, queue: RedisQueue, run: Run) -> None:
        queue.enqueue(Job("mail", id="a"))
        assert run.json_lines("jobs", "delete", "a", "b", exit_code=1) == [
            {"id": "a", "deleted": True, "why": None},
            {"id": "b", "deleted": False, "why": f"there is no such job in queue {run.name!r}"},
        ]


class TestInBulk:
    def test_all_that_failed_run_again(self, queue: RedisQueue, run: Run) -> None:
        end(queue, *(f"{number}" for number in range(700)), "panic")
        result = run("jobs", "retry", "--all", "--yes")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == "retried 701 jobs\n"
        assert queue.stats().kinds["scan"].ready == 701

    def test_those_of_a_status_and_kind_are_chosen(self, queue: RedisQueue, run: Run) -> None:
        end(queue, "a", "panic")
        end(queue, "other", kind="mail")
        result = run("jobs", "delete", "--all", "--yes", "--status", "failed", "--kind", "Scan")
        assert (result.exit_code, result.stderr) == (0, "deleted 1 job\n")
        assert [status(queue, id) for id in ("a", "panic", "other")] == [None, "PANIC", "FAILED"]

    def test_what_runs_stays(self, queue: RedisQueue, run: Run, enter: Enter) -> None:
        queue.enqueue(Job("mail", id="runs"), Job("mail", id="a"), Job("mail", id="b", delay=HOUR))
        enter("w", "mail")
        enter.holding("w", "runs", kind="mail")
        assert run.json_lines("jobs", "cancel", "--all", "--yes") == [
            {"id": "a", "cancelled": True, "why": None},
            {"id": "b", "cancelled": True, "why": None},
        ]
        assert status(queue, "runs") is Status.PENDING

    def test_one_status_of_those_that_wait(self, queue: RedisQueue, run: Run) -> None:
        queue.enqueue(Job("mail", id="a"), Job("mail", id="b", delay=HOUR))
        assert run("jobs", "delete", "--all", "--yes", "--status", "scheduled").exit_code == 0
        assert [job.id for job in queue.jobs().jobs] == ["a"]

    def test_what_could_not_be_done_is_counted(
        self, queue: RedisQueue, run: Run, client: redis.Redis
    ) -> None:
        queue.enqueue(*(Job("mail", id=f"{number:02}") for number in range(25)), Job("mail"))
        for number in range(25):
            client.hset(queue.keys.jobs, f"{number:02}", b"junk")
        result = run("jobs", "cancel", "--all", "--yes")
        assert result.exit_code == 1
        *told, summary = result.stderr.splitlines()
        assert summary == "cancelled 1 job, 25 not"
        assert len(told) == 20

    def test_where_nobody_can_be_asked_yes_is_needed(self, queue: RedisQueue, run: Run) -> None:
        queue.enqueue(Job("mail", id="a"))
        result = run("jobs", "cancel", "--all")
        assert result.exit_code == 2
        assert "give --yes" in result.output
        assert status(queue, "a") is Status.PENDING

    @pytest.mark.parametrize(("typed", "after"), [("y\n", "CANCELLED"), ("n\n", "PENDING")])
    def test_on_a_terminal_it_asks(
        self, queue: RedisQueue, run: Run, typed: str, after: str
    ) -> None:
        queue.enqueue(Job("mail", id="a"))
        seen = run.on_a_terminal("jobs", "cancel", "--all", "--kind", "mail", typed=typed)
        assert f"all ready, scheduled jobs of kind 'mail' in queue {run.name!r} (up to 1)?" in (
            " ".join(seen.output.split())
        )
        assert status(queue, "a") == after
        assert (seen.exit_code == 0) is (after == "CANCELLED")
        assert ("cancelled 1 job" in seen.output) is (after == "CANCELLED")

    @pytest.mark.parametrize("asks", [[], ["--yes"]])
    def test_where_there_is_nothing_to_do_nobody_is_asked(
        self, queue: RedisQueue, run: Run, asks: list[str]
    ) -> None:
        queue.enqueue(Job("mail"))
        result = run("jobs", "retry", "--all", *asks)
        assert (result.exit_code, result.output) == (0, "retried 0 jobs\n")

    def test_a_queue_that_nobody_used_may_be_the_wrong_one(self, run: Run) -> None:
        result = run("jobs", "delete", "--all", "--kind", "mail")
        assert (result.exit_code, result.stdout) == (0, "")
        done, unseen, *_ = result.stderr.splitlines()
        assert done == "deleted 0 jobs"
        assert unseen == f"queue {run.name!r} has seen no jobs and no workers"
        assert run("jobs", "delete", "--all", "--json").output == ""

    def test_several_kinds_are_chosen_and_named(self, queue: RedisQueue, run: Run) -> None:
        queue.enqueue(*(Job(kind, id=kind) for kind in ("mail", "scan", "keep")))
        chosen = ["--all", "--kind", "mail", "--kind", "Scan"]
        seen = run.on_a_terminal("jobs", "delete", *chosen, typed="n\n")
        assert "jobs of kind 'mail' and 'scan' in queue" in " ".join(seen.output.split())
        assert "(up to 2)?" in seen.output
        assert run("jobs", "delete", *chosen, "--yes").stderr == "deleted 2 jobs\n"
        assert [job.id for job in queue.jobs().jobs] == ["keep"]


@pytest.mark.parametrize("command", ["cancel", "retry", "delete"])
@pytest.mark.parametrize(
    "arguments", [[], ["a", "--all"], ["a", "--kind", "mail"], ["--all", "--status", "running"]]
)
def test_what_makes_no_sense_is_wrong_usage(run: Run, command: str, arguments: list[str]) -> None:
    assert run("jobs", command, *arguments, "--yes").exit_code == 2
