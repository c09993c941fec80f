"""A user that may do only what docs/how-to/redis.md says: all of redisjobs works for it, and each
command of the line is one that redisjobs uses.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis

import redisjobs
from redisjobs import (
    AsyncRedisQueue,
    ConfigurationError,
    Job,
    NotReplicatedError,
    RedisQueue,
    RetryableError,
    Status,
)
from tests import drivers
from tests.drivers import DRIVERS
from tests.running import running, wait_for_end
from tests.servers import KINDS
from tests.waiting import wait_for_event, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redisjobs.context import Context
    from redisjobs.embedded import EmbeddedServer
    from redisjobs.keys import Keys
    from tests.conftest import OwnServer
    from tests.drivers import Driver

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(redisjobs.__file__).parent
PAGE = (ROOT / "docs" / "how-to" / "redis.md").read_text(encoding="utf-8")
[LINE] = re.findall(r"^user (queue on .*)$", PAGE, re.MULTILINE)
COMMANDS = re.findall(r"\+(\S+)", LINE)
# What redis-py tells of itself, and does not mind being refused.
NOT_OURS = {"client|setinfo"}


@pytest.fixture(params=DRIVERS[:2])
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    with drivers.driver(request.param) as made:
        yield made


@pytest.fixture(params=list(KINDS))
def server(request: pytest.FixtureRequest, own_server: OwnServer) -> EmbeddedServer:
    """Each kind, of the test's own, with the user of the page."""
    started = own_server(request.param, tcp=True)
    allow(started, LINE)
    return started


def allow(server: EmbeddedServer, line: str) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.execute_command("ACL", "SETUSER", *line.split())


def as_user(server: EmbeddedServer) -> str:
    """The server's URL with the user's credentials."""
    return server.url.replace("//", "//queue:secret@")


def refused(server: EmbeddedServer) -> set[str]:
    """What the server did not let somebody do."""
    with redis.Redis.from_url(server.url) as client:
        log: list[Any] = client.acl_log()
    return {str(entry["object"]) for entry in log} - NOT_OURS


def handler(ctx: Context, job: Job) -> bytes:
    if job.payload == b"retry" and ctx.attempt == 1:
        raise RetryableError("once more", retry_after=0)
    if job.payload == b"fail":
        raise ValueError("fails")
    return job.payload


def live(server: EmbeddedServer, driver: Driver) -> None:
    """All that can be asked of a queue."""
    queue = driver.from_url(as_user(server))
    for_worker = RedisQueue if driver.name == "blocking" else AsyncRedisQueue
    worker_queue = for_worker.from_url(as_user(server))
    ids = [f"job-{word}" for word in ("quick", "retry", "fail")]
    queue.enqueue(*(Job("kind", id[4:].encode(), id=id) for id in ids))
    with running(worker_queue, {"kind": handler}, min_retry_backoff=0.0):
        ended = wait_for_end(queue, *ids)
        queue.enqueue(Job("kind", id="waited-for", delay=0.2))
        assert queue.wait("waited-for", 10.0).status is Status.DONE
    assert [job.status for job in ended] == [Status.DONE, Status.DONE, Status.FAILED]
    assert queue.retry("job-fail")
    assert queue.cancel("job-fail")
    assert queue.delete("job-fail")
    queue.enqueue_many(Job("other") for _ in range(3))
    assert queue.stats().kinds["other"].ready == 3
    assert len(queue.jobs().jobs) == 6
    assert queue.check() == []
    assert queue.dequeue(["other"], done)
    queue.enqueue(Job("other", id="astray"))
    with redis.Redis.from_url(server.url) as client:
        damage(client, queue.keys)
    report = queue.repair()
    assert report.repaired.keys() == {"jobs", "kinds", "bells", "keys", "settings", "workers"}
    assert report.left == []


def drain_beside_one_that_runs(server: EmbeddedServer) -> None:
    """Many are settled in one call, while the first of the list still runs."""
    queue = RedisQueue.from_url(as_user(server), "flood", retention=0)
    others_are_done = threading.Event()

    def handler(ctx: Context, job: Job) -> None:
        if job.payload == b"first":
            wait_for_event(others_are_done, "the others are done")

    queue.enqueue(Job("kind", b"first"), *(Job("kind") for _ in range(300)))
    with redis.Redis.from_url(server.url) as client:
        with running(queue, {"kind": handler}, concurrency=100):
            wait_until(lambda: client.hlen(queue.keys.jobs) == 1, "the others are done")
            others_are_done.set()
            wait_until(lambda: client.hlen(queue.keys.jobs) == 0, "all are done")
        assert client.hgetall(queue.keys.totals) == {b"done:kind": b"301"}
        assert "cmdstat_lpush" in client.info("commandstats"), "none was passed at the head"
    assert queue.check() == []
    queue.close()


def done(ctx: Context, job: Job) -> Job:
    job.status = Status.DONE
    return job


def damage(client: Any, keys: Keys) -> None:
    """Something for each of the scripts of a repair."""
    client.zrem(keys.due("other"), "astray")
    client.srem(keys.kinds, "kind")
    client.rpush(keys.bell("fax"), "1")
    client.set(keys.of_kind("fax")[2], "5 w")
    client.hset(keys.meta, "retention_us", "1h")
    client.hset(keys.worker_info, "ghost", b"{}")


def test_all_of_a_queue_works(server: EmbeddedServer, driver: Driver) -> None:
    live(server, driver)
    drain_beside_one_that_runs(server)
    assert refused(server) == set()


def test_replicas_are_waited_for(own_server: OwnServer, driver: Driver) -> None:
    primary = own_server(tcp=True, options={"repl-diskless-sync-delay": "0"})
    allow(primary, LINE)
    queue = driver.from_url(as_user(primary), min_replicas=1, min_replicas_timeout=0.05)
    with pytest.raises(NotReplicatedError, match="only 0 of 1"):
        queue.enqueue(Job("kind"))
    own_server(tcp=True, options={"replicaof": f"127.0.0.1 {urlsplit(primary.url).port}"})
    wait_until(lambda: is_replicated(queue, Job("kind")), "the replica has a job")
    assert refused(primary) == set()


def is_replicated(queue: RedisQueue, job: Job) -> bool:
    with suppress(NotReplicatedError):
        queue.enqueue(job)
        return True
    return False


def test_the_command_line_works(own_server: OwnServer, tmp_path: Path) -> None:
    server = own_server(tcp=True)
    allow(server, LINE)
    (tmp_path / "shop.py").write_text(
        "import os\nfrom redisjobs import RedisQueue, Worker\n"
        "queue = RedisQueue.from_url(os.environ['REDISJOBS_URL'])\n"
        "worker = Worker(queue, {'kind': lambda ctx, job: b''})\n"
    )
    environ = {**os.environ, "REDISJOBS_URL": as_user(server), "PYTHONPATH": str(ROOT)}
    for command in (
        "enqueue kind --id one",
        "worker shop:worker --burst",
        "jobs show one",
        "check",
        "check --repair",
    ):
        ran = subprocess.run(
            [sys.executable, "-m", "redisjobs", *command.split()],
            cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
    assert refused(server) == set()


def test_what_may_be_left_out(own_server: OwnServer, driver: Driver) -> None:
    server = own_server(tcp=True)
    allow(server, re.sub(r" \+(info|role|wait)\b", "", LINE))
    live(server, driver)
    assert refused(server) == {"info"}


def test_another_queues_keys_and_other_commands_are_refused(own_server: OwnServer) -> None:
    server = own_server(tcp=True)
    allow(server, LINE.replace("redisjobs:*", "redisjobs:{mails}:*"))
    with drivers.driver("blocking") as made:
        made.from_url(as_user(server), "mails").enqueue(Job("kind"))
        with pytest.raises(ConfigurationError, match="permission"):
            made.from_url(as_user(server), "others").enqueue(Job("kind"))
    with redis.Redis.from_url(as_user(server)) as client:
        for words in (("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("GET", "other")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*words)


def used() -> set[str]:
    """The commands in the scripts, and those that Python sends."""
    lua = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.lua"))
    python = "".join(
        path.read_text(encoding="utf-8")
        for path in PACKAGE.rglob("*.py")
        # The demo has a server of its own, and Sentinels have users of their own.
        if "demo" not in path.parts and not path.name.startswith("sentinel")
    )
    found = {
        word.lower()
        for word in (
            *re.findall(r"""(?:call|in_batches)\('(\w+)'""", lua),
            *re.findall(
                r"""(?:\bcommand\(|Walk\(|pack\(\(|\bpost\(|[ (]\()\s*b?"([A-Z]+)\b""", python
            ),
            *re.findall(r"""for word in \("([A-Z]+)", "([A-Z]+)"\)""", python)[0],
        )
    }
    return (found | {"eval", "evalsha"}) - {"match"}  # an option of SCAN


def test_each_command_of_the_line_is_used_and_each_that_is_used_is_there() -> None:
    assert sorted(set(COMMANDS)) == COMMANDS
    assert set(COMMANDS) == used()
