"""The demo end to end, at a small size: what it shows, what it refuses, and that it leaves nothing
behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
import redis

from redisjobs.embedded import EmbeddedServer
from tests.waiting import Deadline

PROJECT = Path(__file__).parents[2]
RUN = "from redisjobs.cli import main; main()"
RUN_WITHOUT_RICH = f"import sys; sys.modules['rich'] = None; {RUN}"
TIMEOUT_S = 60.0

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="/proc tells which processes are left"
)

# A module with a worker of the demo, of which one handler is replaced.
WORKER_WITH = """
from pathlib import Path
from redisjobs import Worker
from redisjobs.demo import tasks
from redisjobs.demo.journal import Journal
from redisjobs.demo.setting import Setting

def replaced(ctx, job):
    {body}

def make_worker():
    setting = Setting.from_environment()
    handlers = tasks.handlers(Journal(Path(setting.directory)))
    return Worker(
        setting.queue(), {{**handlers, "count.words": replaced}}, min_retry_backoff=0.1
    )
"""
# Runs the demo with the worker of that module.
RUN_PLANTED = f"""
import functools
import redisjobs.demo.run as run
run.Options = functools.partial(run.Options, worker="planted:make_worker")
{RUN}
"""


class Demo:
    """A demo in a process of its own.

    Its children, and theirs, are found by a mark in their environment, which all of them inherit.
    """

    def __init__(self, folder: Path, code: str, *arguments: str, **environ: str) -> None:
        self.mark = f"MARK_OF_TEST={uuid.uuid4().hex}".encode()
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self._output, self._errors = folder / "output", folder / "errors"
        name, _, value = self.mark.decode().partition("=")
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, "demo", *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=os.environ
                | {"PYTHONPATH": f"{PROJECT}{os.pathsep}{folder}", "TMPDIR": str(self.temporary)}
                | {name: value}
                | environ,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def wait_for(self, text: str) -> None:
        Deadline(TIMEOUT_S).until(lambda: text in self.output, f"the demo says {text!r}")

    def exit_code(self) -> int:
        return self.process.wait(TIMEOUT_S)

    def left_behind(self) -> list[str]:
        """The command lines of its processes that live."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # it has ended meanwhile, or is somebody else's
        return found

    def assert_nothing_is_left(self) -> None:
        """By the time that the demo has ended, all that it started has."""
        assert self.left_behind() == []
        assert list(self.temporary.iterdir()) == []

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Start(Protocol):
    """Starts a demo; one in each test."""

    def __call__(self, *arguments: str, code: str = RUN, **environ: str) -> Demo: ...


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Demos that end with the test."""
    demos: list[Demo] = []

    def start_demo(*arguments: str, code: str = RUN, **environ: str) -> Demo:
        demos.append(Demo(tmp_path, code, *arguments, **environ))
        return demos[-1]

    yield start_demo
    for demo in demos:
        demo.end()


def rows_of(output: str) -> dict[str, str]:
    """The table: what stands right of each name."""
    cells = [[cell.strip() for cell in line.split("│")] for line in output.splitlines()]
    return {row[1]: row[2] for row in cells if len(row) == 4}


def keys_of_demos(client: redis.Redis) -> list[bytes]:
    return list(client.scan_iter(match="redisjobs:{demo-*", count=1000))


def plant(folder: Path, body: str) -> None:
    (folder / "planted.py").write_text(WORKER_WITH.format(body=body))


def test_all_results_are_identical_though_a_worker_was_killed_half_way(start: Start) -> None:
    demo = start("--files", "30")
    assert demo.exit_code() == 0, demo.errors
    assert "identical: the results of all 210 jobs" in demo.output
    assert "by SIGKILL: it held" in demo.output
    rows = rows_of(demo.output)
    assert [rows[name] for name in ("jobs", "done", "failed", "retried")] == [
        "210", "210", "0", "30",
    ]  # fmt: skip
    assert int(rows["delivered again after the kill"]) >= 1
    assert rows["from the kill until its last job was running again"].endswith(" s")
    assert rows["broken invariants"] == "0"
    demo.assert_nothing_is_left()


def test_on_a_given_server_it_tells_the_same_as_json_and_leaves_no_key(
    start: Start, redis_server: EmbeddedServer, client: redis.Redis
) -> None:
    demo = start("--files", "8", "--json", REDIS_URL=redis_server.url)
    assert demo.exit_code() == 0, demo.errors
    report = json.loads(demo.output)
    assert report["identical"] is True
    assert report["problems"] == report["broken"] == []
    assert report["jobs"] == report["done"] == 56
    assert report["recovery"]["again"] == report["recovery"]["held"] >= 1
    # The jobs of a supervised worker do not wait for its lease, which is 10 s.
    assert 0 < report["recovery"]["seconds"] < 5
    assert keys_of_demos(client) == []
    demo.assert_nothing_is_left()


def test_one_file_is_enough(start: Start) -> None:
    demo = start("--files", "1", "--no-kill", "--workers", "1")
    assert demo.exit_code() == 0, demo.errors
    assert "identical: the results of all 7 jobs" in demo.output
    assert rows_of(demo.output)["workers killed"] == "0"


def test_a_handler_that_is_wrong_shows(start: Start, tmp_path: Path) -> None:
    plant(tmp_path, """return b'{"words": -1}'""")
    demo = start("--files", "8", code=RUN_PLANTED)
    assert demo.exit_code() == 1
    assert "identical" not in demo.output
    assert "different: __future__.py, count.words: the queue's {'words': -1}," in demo.output
    assert "different: 3 more" in demo.output


def test_a_job_that_fails_shows(start: Start, tmp_path: Path) -> None:
    plant(tmp_path, "raise LookupError('no words')")
    demo = start("--files", "8", "--no-kill", code=RUN_PLANTED)
    assert demo.exit_code() == 1
    assert "identical" not in demo.output
    failed = "not finished: job '00000:count.words' is FAILED: LookupError: no words"
    assert failed in demo.output
    assert rows_of(demo.output)["failed"] == "8"


def test_a_worker_that_cannot_start_ends_the_demo_and_says_why(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "planted.py").write_text("raise OSError('no disk')")
    demo = start("--files", "8", code=RUN_PLANTED)
    assert demo.exit_code() == 1
    assert "Error: the workers' supervisor ended with code" in demo.errors
    assert "no disk" in demo.errors
    demo.assert_nothing_is_left()


def test_a_ctrl_c_ends_server_services_and_workers(start: Start) -> None:
    demo = start()
    demo.wait_for("workers started: 3")
    assert any("redis" in command or "valkey" in command for command in demo.left_behind())
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.exit_code() == 130
    assert "interrupted" in demo.errors
    demo.assert_nothing_is_left()


def test_a_sigterm_leaves_no_key_on_a_given_server(
    start: Start, redis_server: EmbeddedServer, client: redis.Redis
) -> None:
    demo = start("--url", redis_server.url)
    demo.wait_for("workers started: 3")
    assert keys_of_demos(client)
    demo.process.send_signal(signal.SIGTERM)
    assert demo.exit_code() == 143
    assert keys_of_demos(client) == []
    demo.assert_nothing_is_left()


def test_a_sigkill_leaves_no_process(start: Start) -> None:
    demo = start()
    demo.wait_for("workers started: 3")
    demo.process.kill()
    demo.exit_code()
    Deadline(20).until(lambda: not demo.left_behind(), "all processes of the demo have ended")


def test_a_server_that_is_not_there_is_named_without_the_password(start: Start) -> None:
    demo = start("--url", "redis://:secret@127.0.0.1:1/0")
    assert demo.exit_code() == 69
    assert "127.0.0.1:1" in demo.errors
    assert "secret" not in demo.errors + demo.output
    demo.assert_nothing_is_left()


def test_without_rich_it_says_what_to_install(start: Start) -> None:
    demo = start(code=RUN_WITHOUT_RICH)
    assert demo.exit_code() == 2
    assert "pip install rich" in demo.errors
