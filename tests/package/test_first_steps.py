"""What a reader of the README does first, with nothing but what pip installed."""

from __future__ import annotations

import json
import re
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.waiting import Deadline

if TYPE_CHECKING:
    from tests.conftest import OwnServer
    from tests.package.environments import Environment

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown(language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(README.read_text("utf-8")) if name == language]


def done(stats: Any) -> int:
    return sum(kind["done"] for kind in stats["kinds"].values())


def test_the_first_steps_of_the_readme_work_as_written(
    full: Environment, own_server: OwnServer, tmp_path: Path
) -> None:
    environ = {"REDISJOBS_URL": own_server().url}
    lines = [line for text in shown("sh") for line in text.splitlines()]
    run_worker = next(shlex.split(line) for line in lines if line.startswith("redisjobs worker "))
    enqueue = next(shlex.split(line) for line in lines if line.startswith("redisjobs enqueue "))
    module = run_worker[2].partition(":")[0]
    first, second = shown("python")[:2]
    (tmp_path / f"{module}.py").write_text(first, encoding="utf-8")
    (tmp_path / "elsewhere.py").write_text(second, encoding="utf-8")

    def stats() -> Any:
        ran = full.run("redisjobs", "stats", "--json", cwd=tmp_path, environ=environ)
        return json.loads(ran.stdout)

    def status(id: str) -> Any:
        ran = full.run("redisjobs", "jobs", "show", id, "--json", cwd=tmp_path, environ=environ)
        return json.loads(ran.stdout)["status"]

    worker = full.start(*run_worker, cwd=tmp_path, environ=environ)
    try:
        deadline = Deadline(30.0)
        deadline.until(lambda: stats()["workers"], "the worker of the README shows in stats")
        full.run("python", "elsewhere.py", cwd=tmp_path, environ=environ)
        deadline.until(lambda: done(stats()), "a job of the README is done")
        id = full.run(*enqueue, cwd=tmp_path, environ=environ).stdout.strip()
        deadline.until(lambda: status(id) == "DONE", "the one of its command line is, too")
    finally:
        worker.send_signal(signal.SIGTERM)
        _, log = worker.communicate(timeout=20)
    assert worker.returncode == 0, log
