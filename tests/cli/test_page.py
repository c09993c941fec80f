"""docs/cli.md: its sessions are run as they stand, and what they show is what comes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from redisjobs.supervisor.process import WorkerOptions
from redisjobs.worker.settings import WorkerKeywords
from tests.cli.conftest import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import OwnServer

PAGE = (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8")
SESSION = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What differs from run to run: new ids, instants, ages.
MOVING = (
    (re.compile(r"\b[0-9a-v]{20}\b"), "ID"),
    (re.compile(r"\b20\d\d-\d\d-\d\dT[\d:]+Z"), "INSTANT"),
    (re.compile(r"\(\d+s ago\)"), "(AGE)"),
    (re.compile(r"\d+ keys"), "KEYS"),
)


class Step(NamedTuple):
    """A command, what the page shows of it, and its exit code."""

    command: str
    shown: str
    exit_code: int


def steps() -> Iterator[Step]:
    for session in SESSION.findall(PAGE):
        parts = [part.split("\n", 1) for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]]
        for place, (command, shown) in enumerate(parts):
            if command == "echo $?":
                continue
            following = parts[place + 1 : place + 2]
            tells_code = bool(following) and following[0][0] == "echo $?"
            failed = shown.startswith("stored before") or "\nError: " in f"\n{shown}"
            yield Step(command, shown, int(following[0][1]) if tells_code else int(failed))


def settled(text: str) -> str:
    for pattern, name in MOVING:
        text = pattern.sub(name, text)
    return "\n".join(re.sub(r" +", " ", line).strip() for line in text.splitlines())


def test_the_sessions_of_the_page_run_as_they_stand(own_server: OwnServer, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "redisjobs"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m redisjobs "$@"\n')
    command.chmod(0o755)
    environ = os.environ | {
        "REDISJOBS_URL": own_server().url,
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{command.parent}:{os.environ['PATH']}",
    }
    for step in steps():
        ran = subprocess.run(
            ["bash", "-o", "pipefail", "-c", step.command], cwd=tmp_path, env=environ,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert settled(ran.stdout) == settled(step.shown), step.command
        assert ran.returncode == step.exit_code, step.command


def test_the_page_names_every_command_and_every_setting() -> None:
    from redisjobs.cli.jobs import jobs
    from redisjobs.cli.root import commands

    named = {name for name in commands.list_commands(None) if f"`redisjobs {name}" in PAGE}  # type: ignore[arg-type]
    assert named == set(commands.list_commands(None))  # type: ignore[arg-type]
    assert all(f"`{name}`" in PAGE or f"`redisjobs jobs {name}`" in PAGE for name in jobs.commands)
    more = {name for name in WorkerOptions.__annotations__ if name not in ("target", "settings")}
    for name in {*WorkerKeywords.__annotations__, *more, "processes"}:
        assert f"`--{name.replace('_', '-')}" in PAGE
        assert f"`REDISJOBS_{name.upper()}`" in PAGE
