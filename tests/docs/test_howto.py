"""The unit files, images and manifests of docs/how-to name commands and times that are right."""

from __future__ import annotations

import configparser
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from examples.mail import make_worker
from redisjobs import RedisQueue, Worker
from redisjobs.cli.root import CANNOT_RUN, UNAVAILABLE, commands
from tests.running import RunningWorker
from tests.waiting import wait_until

if TYPE_CHECKING:
    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = (ROOT / "docs" / "how-to" / "systemd.md").read_text(encoding="utf-8")
CONTAINERS = (ROOT / "docs" / "how-to" / "containers.md").read_text(encoding="utf-8")
SHUTDOWN_S = inspect.signature(Worker).parameters["shutdown_timeout"].default


def block(page: str, language: str, mark: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return next(str(text) for text in found if mark in text)


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(block(SYSTEMD, "ini", f"/{name}\n"))
    return parser


def parse(words: list[str]) -> click.Context:
    """Has the command line read what follows the program's name, but not run it."""
    assert Path(words[0]).name == "redisjobs"
    command = commands.get_command(click.Context(commands), words[1])
    assert command is not None, words
    return command.make_context(words[1], words[2:])


def dockerfile() -> dict[str, str]:
    text = block(CONTAINERS, "dockerfile", "FROM").replace("\\\n", " ")
    return dict(line.split(None, 1) for line in text.splitlines())


def health_checks() -> list[list[str]]:
    in_image = ["sh", "-c", dockerfile()["HEALTHCHECK"].split("CMD ")[1]]
    [probe] = re.findall(r"command: (\[.*\])", block(CONTAINERS, "yaml", "Deployment"))
    return [in_image, json.loads(probe)]


def test_the_unit_gives_jobs_the_time_that_the_worker_gives_them() -> None:
    service = unit("shop-worker.service")["Service"]
    assert float(service["TimeoutStopSec"]) > SHUTDOWN_S
    assert service["KillSignal"] == "SIGTERM"
    assert set(service["RestartPreventExitStatus"].split()) == {"2", str(CANNOT_RUN)}


@pytest.mark.parametrize("name", ["shop-worker.service", "shop-worker-check.service"])
def test_the_units_run_commands_that_there_are(name: str) -> None:
    parse(shlex.split(unit(name)["Service"]["ExecStart"]))


def test_containers_run_a_command_that_there_is_and_get_signals() -> None:
    # As a list, or a shell would be process 1.
    for words in (
        json.loads(dockerfile()["CMD"]),
        json.loads(re.findall(r"args: (\[.*\])", CONTAINERS)[0]),
    ):
        assert parse(words).params["target"] == "shop.jobs:make_worker"


def test_grace_periods_are_longer_than_the_workers() -> None:
    periods = re.findall(
        r"(?:GracePeriodSeconds: |--stop-timeout |grace_period: )(\d+)", CONTAINERS
    )
    assert len(periods) == 3
    assert all(float(period) > SHUTDOWN_S for period in periods)


@pytest.fixture
def in_container(tmp_path: Path, own_server: OwnServer) -> tuple[EmbeddedServer, dict[str, str]]:
    """A server, and an environment in which `redisjobs` is on PATH and the queue is named."""
    program = tmp_path / "redisjobs"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m redisjobs "$@"\n')
    program.chmod(0o755)
    server = own_server()
    return server, {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "REDISJOBS_URL": server.url,
        "REDISJOBS_QUEUE": "mail",
    }


def test_a_container_is_ill_without_a_worker_but_not_without_redis(
    in_container: tuple[EmbeddedServer, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, environ = in_container

    def exit_codes(*checks: list[str]) -> list[int]:
        started = [
            subprocess.Popen(
                check, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            for check in checks
        ]
        return [process.wait(30.0) for process in started]

    assert exit_codes(*health_checks()) == [1, 1]
    monkeypatch.setenv("REDISJOBS_URL", server.url)
    worker = RunningWorker(make_worker())
    try:
        queue = RedisQueue.from_url(server.url, "mail")
        wait_until(lambda: queue.stats().workers, "the worker is registered")
        assert exit_codes(*health_checks()) == [0, 0]
    finally:
        worker.stop()
    server.crash()
    plain = ["redisjobs", "workers", "--check"]
    assert exit_codes(plain, *health_checks()) == [UNAVAILABLE, 0, 0]
