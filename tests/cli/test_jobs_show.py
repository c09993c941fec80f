"""`redisjobs jobs show`: one job, for people and for scripts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgpack
import pytest

from redisjobs import Job, Registry, RetryableError, Worker, encode
from redisjobs.cli.contents import payload_for_people, result_for_people

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
    assert "run at" not in told  # when it was due the second time is not known any more


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


EITHER_WAY = [
    (b"plain text", "plain text"), (b"two\n\tlines", "two\n\tlines"), (b"hello", "hello"),
    (msgpack.packb("text"), "'text'"), (msgpack.packb(None), "None"), (b"\x05", "5"),
    (msgpack.packb({1: b"\xff"}), "{1: b'\\xff'}"),
    (b"\xc1\xc1\xc1\xc1\xc1", "c1 c1c1c1c1"), (b"\x1b[31m", "1b 5b33316d"),
    (b"\x91" * 500, ("91919191 " * 125).strip()), (b"\xc7\x01\x05x", "c7010578"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        *EITHER_WAY,
        (encode("a@b", n=5), "args: ['a@b']\nkwargs: {'n': 5}"), (encode(), "args: []"),
        (encode(n=5), "kwargs: {'n': 5}"), (b"*", "*"), ("Ж".encode(), "Ж"),
        (msgpack.packb([["a@b"], {1: 5}]), "[['a@b'], {1: 5}]"),
        (msgpack.packb([["a@b"], {}, 1]), "[['a@b'], {}, 1]"),
    ],
)  # fmt: skip
def test_a_payload_is_arguments_or_text_or_msgpack_or_digits(payload: bytes, told: str) -> None:
    assert payload_for_people(payload) == told


@pytest.mark.parametrize(
    ("result", "told"),
    [
        *EITHER_WAY,
        (b"*", "42 (msgpack; as text: '*')"), (b"\n", "10 (msgpack; as text: '\\n')"),
        ("Ж".encode(), "-106 (msgpack; as text: 'Ж')"), (b"**", "**"),
        (msgpack.packb(["a@b", 5]), "['a@b', 5]"),
    ],
)  # fmt: skip
def test_a_result_is_msgpack_or_text_or_both_or_digits(result: bytes, told: str) -> None:
    assert result_for_people(result) == told


def test_what_tasks_take_and_return_is_shown_as_such(queue: RedisQueue, run: Run) -> None:
    registry = Registry()

    @registry.task("answer")
    def answer(question: str, *, patience: bytes) -> int:
        return 42

    queue.enqueue(answer.options(id="a").job("?", patience=b"\xff"))
    Worker(queue, registry).run(burst=True)
    told = lines(run, "a")
    assert told["payload"].splitlines()[1:] == ["args: ['?']", "kwargs: {'patience': b'\\xff'}"]
    assert told["result"] == "1 byte\n42 (msgpack; as text: '*')"
    as_json = run.json("jobs", "show", "a")
    assert (as_json["result"], as_json["result_value"]) == ("*", 42)
    assert "args" not in as_json  # JSON has no bytes
    assert run("jobs", "show", "a", "--result").stdout_bytes == b"*"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([None, True, 2**64 - 1, -0.5, "ö", {"a": []}], True), (None, True), (float("nan"), False),
        ({1: 2}, False), ([b""], False), (msgpack.Timestamp(0, 0), False),
    ],
)  # fmt: skip
def test_what_json_cannot_carry_is_left_to_the_bytes(
    queue: RedisQueue, run: Run, value: object, told: bool
) -> None:
    packed = msgpack.packb(value)
    queue.enqueue(Job("mail", msgpack.packb([[value], {}]), id="a"))
    Worker(queue, {"mail": lambda ctx, job: packed}).run(burst=True)
    as_json = run.json("jobs", "show", "a")
    assert ("args" in as_json, "result_value" in as_json) == (told, told)
    assert not told or (as_json["args"], as_json["result_value"]) == ([value], value)


def test_how_often_its_worker_died_is_told(
    queue: RedisQueue, run: Run, client: redis.Redis
) -> None:
    queue.enqueue(Job("mail", id="a"))
    assert "losses" not in lines(run, "a")
    client.hset(queue.keys.losses, "a", 2)
    assert lines(run, "a")["losses"].startswith("2 ")
    assert run.json("jobs", "show", "a")["losses"] == 2
    client.hset(queue.keys.losses, "a", "junk")
    assert run.json("jobs", "show", "a")["losses"] == 0
