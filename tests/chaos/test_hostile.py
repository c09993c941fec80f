"""Bytes that nobody of ours has written: a clear error or a FAILED job, never a crash, and nothing
is run that came as data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from redisjobs import Job, RedisJobsError, RedisQueue, Status
from redisjobs.cli.root import commands
from redisjobs.errors import ConfigurationError
from redisjobs.record import encode_job
from redisjobs.supervisor.loading import load_worker
from redisjobs.worker import Worker
from tests.running import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    import redis

    from redisjobs.embedded import EmbeddedServer

SAME_FIXTURES = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
# A pickle that would write a file: whoever loads it runs it.
PICKLE = b"cos\nsystem\n(S'touch pickled'\ntR."


def _damaged(record: bytes) -> st.SearchStrategy[bytes]:
    """A record, cut short, with a part replaced, or with bytes put in."""
    place = st.integers(0, len(record))
    return st.one_of(
        st.binary(max_size=60),
        place.map(lambda at: record[:at]),
        st.tuples(place, st.binary(min_size=1, max_size=9)).map(
            lambda cut: record[: cut[0]] + cut[1] + record[cut[0] + len(cut[1]) :]
        ),
        st.tuples(place, st.binary(min_size=1, max_size=9)).map(
            lambda cut: record[: cut[0]] + cut[1] + record[cut[0] :]
        ),
    )


RECORD = encode_job(Job("kind", b"payload", id="x"), 7, 1000).record
STATE = b"P1:1750000000000000:\x94\x00\x00\xa1e\xc0"


@SAME_FIXTURES
@given(
    records=st.lists(_damaged(RECORD), min_size=5, max_size=20),
    states=st.lists(_damaged(STATE), min_size=5, max_size=5),
)
@example(records=[PICKLE, b"1kind\0\0" + PICKLE], states=[PICKLE])
def test_records_and_states_of_any_bytes_end_and_the_worker_goes_on(
    queue: RedisQueue, client: redis.Redis, records: list[bytes], states: list[bytes]
) -> None:
    keys, ledger, good = queue.keys, Ledger(), Job("kind")
    due: Any = {}
    for number, record in enumerate(records):
        client.hset(keys.jobs, f"bad-{number}", record)
        due[f"bad-{number}"] = number
    for number, state in enumerate(states):
        queue.enqueue(Job("kind", id=f"state-{number}"))
        client.hset(keys.state, f"state-{number}", state)
    client.zadd(keys.due("kind"), due)
    queue.enqueue(good)
    Worker(queue, {"kind": ledger.note}, lease=30).run(burst=True)
    assert ledger.runs[good.id] == 1
    assert not client.exists(keys.processing("*"))
    for number in range(len(records)):
        _get(queue, f"bad-{number}")
    queue.check()
    queue.stats()
    client.delete(*client.keys(keys.prefix.replace(b"{", b"\\{") + b"*"))


def _get(queue: RedisQueue, id: str) -> None:
    """A job, none, or an error of ours."""
    try:
        job = queue.get(id)
    except RedisJobsError:
        return
    assert job is None or job.status in Status


@SAME_FIXTURES
@given(st.binary(max_size=300))
@example(PICKLE)
@example(b"\xc7\xff\xff\xff\xff")
def test_a_payload_and_a_result_of_any_bytes_come_back_as_they_went(
    queue: RedisQueue, payload: bytes
) -> None:
    job = Job("echo", payload)
    queue.enqueue(job)
    Worker(queue, {"echo": lambda ctx, job: job.payload}, lease=30).run(burst=True)
    done = queue.get(job.id)
    assert done is not None
    assert (done.payload, done.result) == (payload, payload)


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(max_size=40).map("redis://".__add__)))
@example("redis://:secret@[::1")
@example("redis://:secret/word@host:1/0")
@example("unix://")
@example("rediss://host:99999999/0")
def test_a_url_of_any_text_is_taken_or_refused_without_being_quoted(url: str) -> None:
    refused = ""
    try:
        RedisQueue.from_url(url, "hostile").close()
    except RedisJobsError as err:
        refused = str(err)
    assert len(url) < 12 or url not in refused
    assert "secret" not in refused, "nor is any part of a password"


COMMANDS = ["enqueue", "stats", "check", "workers", "jobs list", "jobs show", "jobs cancel"]


@SAME_FIXTURES
@given(st.sampled_from(COMMANDS), st.lists(st.text(max_size=12), max_size=3))
@example("enqueue", ["kind\n\x1b[31m", "--payload", "\udcff"])
@example("enqueue", ["k", "--after", "1e400"])
@example("stats", ["--queue", "a{b}"])
@example("jobs show", ["\x1b]0;title\x07"])
def test_arguments_of_any_text_are_taken_or_refused_in_a_sentence(
    queue: RedisQueue, redis_server: EmbeddedServer, command: str, words: list[str]
) -> None:
    arguments = [*command.split(), "--queue", queue.name, *words]
    ended = CliRunner().invoke(commands, arguments, env={"REDISJOBS_URL": redis_server.url})
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    assert ended.exit_code in (0, 1, 2, 78)
    assert "Traceback" not in ended.output


@pytest.mark.parametrize(
    "target", ["os:system", "os:sep", "__import__('os').system('touch run'):x", "..:.."]
)
def test_a_target_that_is_no_worker_is_refused_in_a_sentence(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot load"):
        load_worker(target)
    assert list(tmp_path.iterdir()) == []
