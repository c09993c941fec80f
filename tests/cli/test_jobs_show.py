"""`redisjobs jobs show`: one job, for people and for scripts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgpack
import pytest

from redisjobs import Job, RetryableError, Worker
from redisjobs.cli.contents import for_people

if TYPE_CHECKING:
    import redis

    from redisjobs import Context, RedisQueue
    from tests.cli.conftest import Enter, Run

HOUR = timedelta(hours=1)


def lines(run: Run, *arguments: str) -> dict[str, str]:
    """What is shown, by its name."""
    result = run("jobs", "show", *arguments)
    assert result.exit_code == 0, result.output
    told: dict[str, str] = {}
    name = ""
    for line in result.stdout.splitlines():
        name = line[:13].strip() or name
        told[name] = f"{told[name]}\n{line[13:]}" if name in told else line[13:]
    return told


def test_a_job_that_waits(queue: RedisQueue, run: Run) -> None:
    queue.enqueue(Job("mail", "größe\nx".encode(), id="a", delay=HOUR))
    told = lines(run, "a")
    assert (told["id"], told["kind"], told["attempts"]) == ("a", "mail", "0")
    assert told["status"] == "PENDING, scheduled"
    assert told["payload"] == "9 bytes\ngröße\nx"
    assert "(in 59m)" in told["run at"]
    assert told["created"].endswith("s ago)")
    assert "result" not in told
    assert "last error" not in told


def test_a_job_that_has_ended(queue: RedisQueue, run: Run) -> None:
    def work(ctx: Context, job: Job) -> bytes:
        if ctx.attempt == 1:
            raise RetryableError("busy\nvery \x1b[31mbusy")
        return b"fine"

    queue.enqueue(Job("mail", id="a"))
    worker = Worker(queue, {"mail": work}, min_retry_backoff=0.0)
    worker.run(burst=True)
    worker.run(burst=True)  # the first may have ended before the job was due again
    told = lines(run, "a")
    assert (told["status"], told["attempts"]) == ("DONE", "2")
    assert told["last error"] == "retryable-error: busy\nvery \\x1b[31mbusy"
    assert told["payload"] == "0 bytes"
    assert told["result"] == "4 bytes\nfine"
    assert "last attempt" in told


def test_a_job_that_runs_and_where(queue: RedisQueue, run: Run, enter: Enter) -> None:
    queue.enqueue(Job("mail", id="a"))
    assert lines(run, "a")["status"] == "PENDING, ready"
    enter("shop-1:42:00ff", "mail")
    enter.holding("shop-1:42:00ff", "a", kind="mail")
    assert lines(run, "a")["status"] == "PENDING, running on shop-1:42:00ff"
    told = run.json("jobs", "show", "a")
    assert (told["standing"], told["worker"]) == ("running", "shop-1:42:00ff")


def test_as_json_it_is_one_object(queue: RedisQueue, run: Run) -> None:
    queue.enqueue(Job("mail", b"\xfe", id="a", delay=HOUR))
    told = run.json("jobs", "show", "a")
    assert (told["id"], told["status"], told["standing"]) == ("a", "PENDING", "scheduled")
    assert (told["payload_base64"], told["worker"]) == ("/g==", None)


def test_the_bytes_of_payload_and_result_are_written_as_they_are(
    queue: RedisQueue, run: Run
) -> None:
    queue.enqueue(Job("mail", b"\x00\xff\n", id="a"))
    assert run("jobs", "show", "a", "--raw").stdout_bytes == b"\x00\xff\n"
    missing = run("jobs", "show", "a", "--result")
    assert missing.exit_code == 1
    assert missing.output == "Error: job 'a' (mail) has no result: PENDING\n"
    Worker(queue, {"mail": lambda ctx, job: b"\xfe"}).run(burst=True)
    assert run("jobs", "show", "a", "--result").stdout_bytes == b"\xfe"


def test_one_that_is_not_there(run: Run) -> None:
    result = run("jobs", "show", "a")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: there is no job 'a' in queue {run.name!r}")


def test_one_that_cannot_be_read(queue: RedisQueue, run: Run, client: redis.Redis) -> None:
    client.hset(queue.keys.jobs, "a", b"9mail\0\0new")
    result = run("jobs", "show", "a")
    assert result.exit_code == 78
    assert "upgrade" in result.output


def test_an_id_that_no_job_can_have(run: Run) -> None:
    result = run("jobs", "show", " ")
    assert result.exit_code == 1
    assert result.output == "Error: a job's id must not be blank\n"


def test_several_shapes_at_once_are_wrong_usage(run: Run) -> None:
    assert run("jobs", "show", "a", "--raw", "--json").exit_code == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"plain text", "plain text"), (b"two\n\tlines", "two\n\tlines"),
        (msgpack.packb([["a@b"], {"n": 5}]), "[['a@b'], {'n': 5}]"),
        (msgpack.packb("text"), "'text'"), (msgpack.packb(None), "None"), (b"\x05", "5"),
        (msgpack.packb({1: b"\xff"}), "{1: b'\\xff'}"),
        (b"\xc1\xc1\xc1\xc1\xc1", "c1 c1c1c1c1"), (b"\x1b[31m", "1b 5b33316d"),
        (b"\x91" * 500, ("91919191 " * 125).strip()),
    ],
)  # fmt: skip
def test_bytes_are_text_or_msgpack_or_digits(content: bytes, told: str) -> None:
    assert for_people(content) == told
