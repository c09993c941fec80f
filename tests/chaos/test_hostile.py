"""Bytes that nobody of ours has written: a clear error or a FAILED job, never a crash, and nothing
is run that came as data.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from redisjobs import Job, RedisJobsError, RedisQueue, Registry, Status
from redisjobs.cli.root import commands
from redisjobs.errors import ConfigurationError
from redisjobs.record import encode_job
from redisjobs.supervisor.loading import load_worker
from redisjobs.worker import Worker
from tests.running import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

    from redisjobs.embedded import EmbeddedServer

ROOT = Path(__file__).resolve().parents[2]
SAME_FIXTURES = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
# A pickle that would write a file: whoever loads it runs it.
PICKLE = b"cos\nsystem\n(S'touch pickled'\ntR."


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that is there once the pickle was loaded."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "pickled"


def test_the_trap_would_tell(trap: Path) -> None:
    pickle.loads(PICKLE)
    assert trap.exists()


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
    queue: RedisQueue,
    client: redis.Redis,
    trap: Path,
    records: list[bytes],
    states: list[bytes],
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
    assert not trap.exists()
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
    queue: RedisQueue, trap: Path, payload: bytes
) -> None:
    job = Job("echo", payload)
    queue.enqueue(job)
    Worker(queue, {"echo": lambda ctx, job: job.payload}, lease=30).run(burst=True)
    done = queue.get(job.id)
    assert done is not None
    assert (done.payload, done.result) == (payload, payload)
    assert not trap.exists()


def a_record(queue: RedisQueue, client: Any) -> None:
    client.zadd(queue.keys.due("kind"), {PICKLE: 1, "body": 2})
    client.hset(queue.keys.jobs, mapping={PICKLE: PICKLE, "body": b"1kind\0\0" + PICKLE})


def a_state(queue: RedisQueue, client: Any) -> None:
    queue.enqueue(Job("kind", id="whole"), Job("kind", id="body"))
    client.hset(queue.keys.state, mapping={"whole": PICKLE, "body": b"P1:1:" + PICKLE})


def a_typed_payload(queue: RedisQueue, client: Any) -> None:
    queue.enqueue(Job("typed", PICKLE))


def a_dead_workers_info_and_delivery(queue: RedisQueue, client: Any) -> None:
    client.zadd(queue.keys.workers, {"dead": 1})
    client.hset(queue.keys.worker_info, "dead", PICKLE)
    client.rpush(queue.keys.processing("dead"), b"1:" + PICKLE)


@pytest.mark.parametrize(
    "place",
    [a_record, a_state, a_typed_payload, a_dead_workers_info_and_delivery],
    ids=lambda place: place.__name__,
)
def test_a_pickle_is_not_loaded_wherever_it_stands(
    queue: RedisQueue, client: redis.Redis, trap: Path, place: Callable[[RedisQueue, Any], None]
) -> None:
    registry, ledger, good = Registry(), Ledger(), Job("kind")
    registry.register("kind", ledger.note)

    @registry.task("typed")
    def typed(word: str) -> str:
        raise AssertionError("a pickle is no word")

    place(queue, client)
    queue.enqueue(good)
    queue.stats()
    Worker(queue, registry, lease=0.3).run(burst=True)
    assert ledger.runs == {good.id: 1}
    assert {job.status for job in queue.jobs().jobs if job.id != good.id} <= {Status.FAILED}
    queue.repair()
    assert not trap.exists()


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


COMMANDS = [
    *("enqueue", "stats", "check", "workers"),
    *(f"jobs {name}" for name in ("list", "show", "cancel", "retry", "delete")),
]


@SAME_FIXTURES
@given(st.sampled_from(COMMANDS), st.lists(st.text(max_size=12), max_size=3))
@example("enqueue", ["kind\n\x1b[31m", "--payload", "\udcff"])
@example("enqueue", ["k", "--after", "1e400"])
@example("stats", ["--queue", "a{b}"])
@example("jobs show", ["\x1b]0;title\x07"])
@example("jobs retry", ["--all", "--yes", "--kind", "\x1b[2J\n"])
@example("jobs delete", ["\udcff", "a\nb", PICKLE.decode()])
@example("enqueue", ["kind", "--payload", PICKLE.decode()])
def test_arguments_of_any_text_are_taken_or_refused_in_a_sentence(
    queue: RedisQueue, redis_server: EmbeddedServer, trap: Path, command: str, words: list[str]
) -> None:
    arguments = [*command.split(), "--queue", queue.name, *words]
    ended = CliRunner().invoke(commands, arguments, env={"REDISJOBS_URL": redis_server.url})
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    assert ended.exit_code in (0, 1, 2, 78)
    assert "Traceback" not in ended.output
    assert not trap.exists()


@pytest.mark.parametrize(
    "word", ["kind", "\x1b[31m:x", "a\nb:c", "é\udcff:w", "os:system", "..:.."]
)
def test_a_worker_of_any_name_is_refused_in_a_sentence(word: str, tmp_path: Path) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "redisjobs", "worker", word],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    assert refused.returncode in (2, 78)
    assert b"Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


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
