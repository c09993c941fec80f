"""`redisjobs enqueue --jsonl`: jobs from the lines of a file."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from redisjobs import Job, Worker, encode

if TYPE_CHECKING:
    from pathlib import Path

    from redisjobs import RedisQueue
    from tests.cli.conftest import Run


def lines(*jobs: Any) -> bytes:
    return b"".join(json.dumps(job).encode() + b"\n" for job in jobs)


def stored(queue: RedisQueue, id: str) -> Job:
    job = queue.get(id)
    assert job is not None
    return job


def test_each_line_is_a_job(queue: RedisQueue, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(
        lines(
            {"kind": "Mail", "payload": "größe", "id": " a "},
            {"kind": "mail", "payload_base64": "/w==", "id": "b", "delay": "10m"},
            {"kind": "mail", "args": ["a@b"], "id": "c", "run_at": "2035-05-17T12:30:00Z"},
            {"kind": "scan", "kwargs": {"x": 1}, "id": "d", "delay": 1.5},
        )
        + b"\n"
        + lines({"kind": "scan", "payload": None, "id": None, "delay": None, "run_at": None})
    )
    result = run("enqueue", "--jsonl", str(path))
    assert (result.exit_code, result.stderr) == (0, "")
    *ids, last = result.stdout.splitlines()
    assert ids == ["a", "b", "c", "d"]
    assert (stored(queue, "a").kind, stored(queue, "a").payload) == ("mail", "größe".encode())
    b, c, d = (stored(queue, id) for id in "bcd")
    assert (b.payload, b.run_at) == (b"\xff", b.created_at + timedelta(minutes=10))
    assert c.run_at == datetime(2035, 5, 17, 12, 30, tzinfo=UTC)
    assert msgpack.unpackb(c.payload) == [["a@b"], {}]
    assert msgpack.unpackb(d.payload) == [[], {"x": 1}]
    assert d.run_at == d.created_at + timedelta(seconds=1.5)
    assert stored(queue, last).payload == b""


def test_they_come_from_standard_input_and_are_told_as_json(queue: RedisQueue, run: Run) -> None:
    result = run("enqueue", "--jsonl", "-", "--json", typed=lines({"kind": "mail", "id": "a"}))
    assert json.loads(result.stdout) == {"id": "a", "kind": "mail"}
    assert stored(queue, "a").kind == "mail"


def test_what_a_listing_writes_can_be_enqueued_again(queue: RedisQueue, run: Run) -> None:
    at = datetime(2035, 5, 17, 12, 30, tzinfo=UTC)
    payloads = {
        "text": "größe".encode(), "nothing": b"", "bytes": b"\xff\x00", "typed": encode("a@b", n=5),
        "typed-bytes": encode(b"\xff"), "star": b"*", "map": msgpack.packb({"a": 1}),
    }  # fmt: skip
    queue.enqueue(*(Job("mail", payload, id=id, run_at=at) for id, payload in payloads.items()))
    queue.enqueue(Job("scan", encode(5), id="ended"))
    Worker(queue, {"scan": lambda ctx, job: b"*"}).run(burst=True)
    listed = run("jobs", "list", "--json").stdout_bytes
    refused = run("enqueue", "--jsonl", "-", typed=listed)
    assert refused.exit_code == 1  # the ids are there
    assert "exist already" in refused.stderr
    run("jobs", "delete", "--all", "--yes")
    assert run("enqueue", "--jsonl", "-", typed=listed).exit_code == 0
    for id, payload in payloads.items():
        assert (stored(queue, id).payload, stored(queue, id).run_at) == (payload, at)
    ended = stored(queue, "ended")
    assert (ended.status, ended.payload, ended.result) == ("PENDING", encode(5), None)


def test_arguments_are_edited_in_a_listing(queue: RedisQueue, run: Run) -> None:
    queue.enqueue(Job("mail", encode("a@b", n=5), id="a"), Job("mail", b"x", id="b"))
    listed = run.json_lines("jobs", "list")
    edited = []
    for line in listed:
        fields = {name: line.get(name) for name in ("kind", "payload", "payload_base64", "args")}
        edited.append(fields | {"kwargs": line.get("kwargs"), "id": f"{line['id']}2"})
    edited[0]["args"] = ["c@d"]
    assert run("enqueue", "--jsonl", "-", typed=lines(*edited)).exit_code == 0
    assert stored(queue, "a2").payload == encode("c@d", n=5)
    assert stored(queue, "b2").payload == b"x"


def test_many_are_streamed(queue: RedisQueue, run: Run) -> None:
    typed = lines(*({"kind": "mail", "payload": str(number)} for number in range(2500)))
    result = run("enqueue", "--jsonl", "-", typed=typed)
    assert len(set(result.stdout.split())) == 2500
    assert queue.stats().kinds["mail"].ready == 2500


def test_no_lines_are_no_jobs(run: Run) -> None:
    result = run("enqueue", "--jsonl", "-", typed=b"\n")
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"junk", "this is no JSON"), (b"\xff", "this is no JSON"), (b"[]", "no JSON object"),
        (b"{}", 'there is no "kind"'), (b'{"kind": " "}', "must not be blank"),
        (b'{"kind": 5}', "kind must be a str"), (b'{"kind": "a", "id": 5}', "id must be a str"),
        (b'{"kind": "a", "pay": 1}', "unknown 'pay'; known: args, delay"),
        (b'{"kind": "a", "payload": 5}', '"payload" must be text, not 5'),
        (b'{"kind": "a", "payload": "\\ud800"}', '"payload": '),
        (b'{"kind": "a", "payload_base64": "?"}', '"payload_base64": '),
        (b'{"kind": "a", "payload": "", "args": []}', 'give one of "payload"'),
        (b'{"kind": "a", "payload": "", "payload_base64": ""}', 'give one of "payload"'),
        (b'{"kind": "a", "args": 5}', '"args" must be a list'),
        (b'{"kind": "a", "args": [18446744073709551616]}', "argument 1: an int beyond"),
        (b'{"kind": "a", "delay": "soon"}', "no duration"),
        (b'{"kind": "a", "delay": true}', '"delay" must be seconds'),
        (b'{"kind": "a", "delay": -5}', '"delay" must be 0 or more'),
        (b'{"kind": "a", "delay": 1e300}', "cannot be"),
        (b'{"kind": "a", "run_at": "2030-01-01"}', '"run_at": '),
        (b'{"kind": "a", "delay": 1, "run_at": "2030-01-01T00:00:00Z"}', "not both"),
        (b'{"kind": "a", "run_at": "2300-01-01T00:00:00Z"}', "beyond the year 2200"),
        (b'{"kind": "a", "payload": "' + b"x" * (2**20 + 1) + b'"}', "over the limit of 1,048,576"),
        (b'{"kind": "a", "id": "1"}', "line 1 has the id '1', too"),
    ],
    ids=range(24),
)  # fmt: skip
def test_a_line_that_is_no_job_is_named_and_what_comes_before_it_is_stored(
    queue: RedisQueue, run: Run, line: bytes, told: str
) -> None:
    typed = lines({"kind": "mail", "id": "1"}, {"kind": "mail", "id": "2"}) + b"\n" + line + b"\n"
    result = run("enqueue", "--jsonl", "-", typed=typed + lines({"kind": "mail", "id": "5"}))
    assert result.exit_code == 1
    assert result.stdout == "1\n2\n"
    stored_before, error = result.stderr.splitlines()
    assert stored_before == "stored before: 2 jobs"
    assert error.startswith("Error: standard input, line 4: ")
    assert told in error
    assert queue.get("5") is None


def test_a_file_is_named_by_its_path(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(b"junk\n")
    assert f"Error: {path}, line 1: this is no JSON" in run("enqueue", "--jsonl", str(path)).stderr
    missing = run("enqueue", "--jsonl", str(tmp_path / "none"))
    assert missing.exit_code == 2
    assert "none' does not exist" in missing.stderr


def test_ids_that_exist_are_named_with_their_lines(queue: RedisQueue, run: Run) -> None:
    queue.enqueue(Job("mail", id="1"), Job("mail", id="3"))
    typed = lines(*({"kind": "mail", "id": f"{number}"} for number in range(5)))
    result = run("enqueue", "--jsonl", "-", typed=typed)
    assert (result.exit_code, result.stdout) == (1, "")
    stored_before, error = result.stderr.splitlines()
    assert stored_before == "stored before: 0 jobs"
    assert error.startswith("Error: standard input, lines 2, 4: jobs '1', '3' exist already")


def test_what_was_stored_in_earlier_chunks_is_told(
    queue: RedisQueue, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("redisjobs.cli.jsonl._CHUNK", 3)
    queue.enqueue(Job("mail", id="7"))
    typed = lines(*({"kind": "mail", "id": f"{number}"} for number in range(10)))
    result = run("enqueue", "--jsonl", "-", typed=typed)
    assert result.stdout.split() == ["0", "1", "2", "3", "4", "5"]
    assert "stored before: 6 jobs" in result.stderr
    assert "line 8: job '7' exists already" in result.stderr


def test_on_a_terminal_a_bar_shows_how_far_it_is(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(lines({"kind": "mail", "id": "a"}))
    seen = run.on_a_terminal("enqueue", "--jsonl", str(path))
    assert seen.exit_code == 0
    assert "enqueue, bytes" in seen.output
    assert f"of {path.stat().st_size}" in seen.output
