"""The wheel as others install it: into a fresh environment, beside other releases than ours."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.package.environments import clean_environ

if TYPE_CHECKING:
    from pathlib import Path

    from redisjobs.embedded import EmbeddedServer
    from tests.package.environments import Environment

ONE_JOB = """
import json, os, sys
from importlib import metadata

import redisjobs
from redisjobs import Job, RedisQueue, Worker

queue = RedisQueue.from_url(os.environ["REDISJOBS_URL"], os.environ["QUEUE"])
[id] = queue.enqueue(Job("greet", b"world")).created

async def greet(ctx, job):
    return b"hello, " + job.payload

Worker(queue, {"greet": greet}).run(burst=True)
json.dump(
    {
        "result": queue.get(id).result.decode(),
        "broken": [str(line) for line in queue.check()],
        "home": redisjobs.__file__,
        "redis": metadata.version("redis"),
        "installed": sorted(one.name for one in metadata.distributions()),
    },
    sys.stdout,
)
"""

PRODUCER = """
import os, sys

from redisjobs import Job, RedisQueue, encode

queue = RedisQueue.from_url(os.environ["REDISJOBS_URL"], os.environ["QUEUE"])
queue.enqueue(Job("greet", encode("world"), id="a", delay=60))
assert queue.get("a").kind == "greet"
print("\\n".join(sorted(sys.modules)))
"""

ASYNC_PRODUCER = """
import asyncio, os, sys

from redisjobs import AsyncRedisQueue, Job, encode

async def main():
    where = os.environ["REDISJOBS_URL"], os.environ["QUEUE"]
    async with AsyncRedisQueue.from_url(*where) as queue:
        await queue.enqueue(Job("greet", encode("world"), id="a", delay=60))
        assert (await queue.get("a")).kind == "greet"

asyncio.run(main())
print("\\n".join(sorted(sys.modules)))
"""

# The service that has only the worker's code, and the extras.
SHOP = """
import os

from redisjobs import RedisQueue, Registry, Worker

registry = Registry()

@registry.task("text.shout")
def shout(text: str, times: int = 1) -> str:
    return text.upper() + "!" * times

worker = Worker(RedisQueue.from_url(os.environ["REDISJOBS_URL"], os.environ["QUEUE"]), registry)
"""

# The service that only produces: an older redis-py, no extras, no code of the worker's.
WEB = """
import os, sys

from redisjobs import Job, RedisQueue, encode

queue = RedisQueue.from_url(os.environ["REDISJOBS_URL"], os.environ["QUEUE"])
jobs = [Job("text.shout", encode(word, times=2)) for word in sys.argv[1:]]
for id in queue.enqueue(*jobs).created:
    job = queue.wait(id, timeout=20)
    print(job.status, job.result)
"""


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return name


@pytest.mark.parametrize(("name", "redis"), [("newest", ""), ("oldest", "5.2.0")])
def test_a_job_is_enqueued_and_run_without_extras(
    name: str,
    redis: str,
    request: pytest.FixtureRequest,
    redis_server: EmbeddedServer,
    queue_name: str,
    tmp_path: Path,
) -> None:
    environment: Environment = request.getfixturevalue(name)
    script = write(tmp_path, "one_job.py", ONE_JOB)
    where = {"REDISJOBS_URL": redis_server.url, "QUEUE": queue_name}
    told = json.loads(
        environment.run("python", "-W", "error", script, cwd=tmp_path, environ=where).stdout
    )
    assert told["result"] == "hello, world"
    assert told["broken"] == []
    assert told["home"].startswith(str(environment.folder))
    assert told["redis"].startswith(redis)
    assert told["installed"] == ["hiredis", "msgpack", "redis", "redisjobs", "tenacity"]


@pytest.mark.parametrize(
    ("text", "also_unused"), [(PRODUCER, {"aio"}), (ASYNC_PRODUCER, {"async_dequeue"})]
)
def test_a_producer_loads_no_code_that_it_has_no_use_for(
    text: str,
    also_unused: set[str],
    newest: Environment,
    redis_server: EmbeddedServer,
    queue_name: str,
    tmp_path: Path,
) -> None:
    script = write(tmp_path, "producer.py", text)
    where = {"REDISJOBS_URL": redis_server.url, "QUEUE": queue_name}
    loaded = set(newest.run("python", script, cwd=tmp_path, environ=where).stdout.split())
    ours = {name.split(".")[1] for name in loaded if name.startswith("redisjobs.")}
    assert {"queue_base", "codec"} <= ours
    unused = {"cli", "demo", "dequeue", "embedded", "registry", "supervisor", "tasks", "worker"}
    assert ours.isdisjoint(unused | also_unused)


def test_importing_loads_nothing_but_what_redis_itself_brings(
    full: Environment, tmp_path: Path
) -> None:
    def modules(statement: str) -> set[str]:
        listed = f"{statement}; import sys; print(*(m.split('.')[0] for m in sys.modules))"
        return set(full.run("python", "-c", listed, cwd=tmp_path).stdout.split())

    with_redis = modules("import redis")
    more = modules("from redisjobs import Job, RedisQueue") - with_redis
    # redis-py loads asyncio, its own asyncio client and ssl, whether they are used or not.
    assert {"asyncio", "ssl"} <= with_redis
    assert more <= {
        "redisjobs", "msgpack", "tenacity", "hmac", "secrets",
        "cython_runtime", *(name for name in more if name.startswith("_cython_")),
    }  # fmt: skip
    assert modules("import redisjobs").isdisjoint({"redis", "asyncio", "click", "rich"})


def test_without_its_extra_the_command_says_which_line_brings_it(
    newest: Environment, tmp_path: Path
) -> None:
    told = newest.run("redisjobs", "stats", cwd=tmp_path, exit_code=2)
    assert told.stdout == ""
    assert told.stderr == (
        "redisjobs: the command line needs click and rich: pip install click rich\n"
    )


def test_two_services_with_other_releases_installed_share_a_queue(
    oldest: Environment,
    full: Environment,
    redis_server: EmbeddedServer,
    queue_name: str,
    tmp_path: Path,
) -> None:
    where = {"REDISJOBS_URL": redis_server.url, "QUEUE": queue_name}
    write(tmp_path, "shop.py", SHOP)
    script = write(tmp_path, "web.py", WEB)
    worker = full.start("redisjobs", "worker", "shop:worker", cwd=tmp_path, environ=where)
    try:
        told = oldest.run("python", script, "one", "two", cwd=tmp_path, environ=where).stdout
        shown = full.run("redisjobs", "stats", "--queue", queue_name, cwd=tmp_path, environ=where)
    finally:
        worker.send_signal(signal.SIGTERM)
        _, log = worker.communicate(timeout=20)
    assert worker.returncode == 0, log
    assert [line.split()[0] for line in told.splitlines()] == ["DONE", "DONE"]
    assert "ONE!!" in told
    assert "text.shout" in shown.stdout


def test_a_type_checker_reads_the_types_of_the_installed_package(
    newest: Environment, tmp_path: Path
) -> None:
    pytest.importorskip("mypy")
    write(
        tmp_path,
        "typed.py",
        "from redisjobs import RedisQueue\n"
        "job = RedisQueue.from_url('redis://localhost').get('a')\n"
        "reveal_type(job)\n",
    )
    mypy = [sys.executable, "-m", "mypy", "--strict", f"--python-executable={newest.python}"]
    checked = subprocess.run(
        [*mypy, "typed.py"],
        cwd=tmp_path,  # in the checkout it would read that one's package, and its settings
        env=clean_environ({}),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert 'Revealed type is "redisjobs.job.Job | None"' in checked.stdout, checked.stdout
    assert checked.returncode == 0, checked.stdout + checked.stderr
