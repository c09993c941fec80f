"""The command line as a whole: help, versions, what is missing, what cannot be reached."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import redisjobs
from redisjobs.cli.root import commands
from redisjobs.supervisor.process import WorkerOptions

PROJECT = Path(__file__).parents[2]
NAMES = ("worker", "enqueue", "stats", "jobs", "workers", "check", "demo")
ON_A_QUEUE = (
    ["stats"], ["check"], ["workers"], ["workers", "--check"], ["enqueue", "mail"],
    ["jobs", "list"], ["jobs", "show", "a"], ["jobs", "cancel", "a"],
    ["jobs", "retry", "--all", "--yes"],
)  # fmt: skip


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(commands, arguments, prog_name="redisjobs", env=environ)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_tells_the_commands_in_their_order_where_redis_is_and_the_exit_codes() -> None:
    result = run("--help")
    assert result.exit_code == 0
    places = [result.output.index(f"\n  {name} ") for name in NAMES]
    assert places == sorted(places)
    assert "REDISJOBS_URL, else REDIS_URL" in result.output
    assert "\n    69   Redis cannot be reached\n" in result.output


@pytest.mark.parametrize("name", NAMES)
def test_each_command_has_help(name: str) -> None:
    result = run(name, "-h")
    assert result.exit_code == 0
    assert f"Usage: redisjobs {name} " in result.output


@pytest.mark.parametrize(
    "words",
    [
        *([name] for name in NAMES if name != "demo"),
        *(["jobs", name] for name in ("list", "show", "cancel", "retry", "delete")),
    ],
    ids=" ".join,
)
def test_help_has_examples(words: list[str]) -> None:
    assert f"Examples:\n    redisjobs {' '.join(words)}" in run(*words, "--help").output


def test_help_tells_how_to_switch_completion_on() -> None:
    assert 'eval "$(_REDISJOBS_COMPLETE=bash_source redisjobs)"' in run("--help").output


@pytest.mark.parametrize(
    ("words", "place", "told"),
    [
        ("redisjobs ", "1", {"worker", "enqueue", "jobs", "demo"}),
        ("redisjobs jobs ", "2", {"list", "show", "retry"}),
        ("redisjobs jobs list --status ", "4", {"failed", "scheduled"}),
        ("redisjobs worker --l", "2", {"--lease", "--log-level"}),
    ],
)
def test_a_shell_can_complete_it(words: str, place: str, told: set[str]) -> None:
    environ = {
        "_REDISJOBS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": place,
        "PYTHONPATH": str(PROJECT),
    }  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-c", "from redisjobs.cli import main; main()"],
        env=os.environ | environ, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert told <= {line.partition(",")[2] for line in ran.stdout.splitlines()}


def test_the_version_is_told() -> None:
    assert run("--version").output == f"redisjobs {redisjobs.__version__}\n"


def test_an_unknown_command_is_wrong_usage() -> None:
    result = run("wroker")
    assert result.exit_code == 2
    assert "No such command 'wroker'" in result.output


def test_it_runs_as_a_module() -> None:
    result = python("import runpy, sys; sys.argv = ['x', '--version']; "
                    "runpy.run_module('redisjobs', run_name='__main__')")  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"redisjobs {redisjobs.__version__}\n"


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_the_extra_it_says_how_to_get_it(missing: str) -> None:
    result = python(
        f"import sys; sys.modules[{missing!r}] = None; import redisjobs.cli; redisjobs.cli.main()"
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"redisjobs: the command line needs {missing}: pip install {missing}\n"
    )


def test_a_command_loads_what_it_needs_and_no_more() -> None:
    result = python(
        "import sys\n"
        "from redisjobs.cli.root import commands\n"
        "commands(['worker', '--help'], standalone_mode=False)\n"
        "print(sorted({'redis', 'rich', 'redisjobs.demo', 'redisjobs.worker'} & set(sys.modules)))"
    )
    assert result.stderr == ""
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", ON_A_QUEUE, ids=" ".join)
def test_without_an_address_the_variables_are_named(words: list[str]) -> None:
    result = run(*words, REDISJOBS_URL=" ", REDIS_URL="")
    assert result.exit_code == 2
    assert "give --url, or set REDISJOBS_URL or REDIS_URL" in result.output


@pytest.mark.parametrize("words", ON_A_QUEUE, ids=" ".join)
def test_a_redis_that_is_not_there_is_named_without_the_password(
    monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setattr("redisjobs.patience.CONNECT_FOR_S", 0.05)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        port = taken.getsockname()[1]
        result = run(*words, REDIS_URL=f"redis://:se%2Fcret@127.0.0.1:{port}/0")
    assert result.exit_code == 69
    assert f"Error: Redis at 127.0.0.1:{port}: cannot be reached" in result.output
    assert "cret" not in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--url", "redis://:se/cret@host/0"], "the Redis URL cannot be read"),
        (["--url", "redis://host/0", "--queue", "{x}"], "{x}"),
    ],
)
def test_what_cannot_be_worked_with_is_told_in_a_sentence(arguments: list[str], told: str) -> None:
    result = run("stats", *arguments)
    assert result.exit_code == 78
    assert result.output.startswith("Error: ")
    assert told in result.output
    assert "cret" not in result.output


@pytest.mark.parametrize("target", ["shop", ":worker", "shop:", "--shop:worker", "-h:y"])
def test_a_worker_needs_a_target_of_the_right_form(target: str) -> None:
    result = run("worker", "--", target)
    assert result.exit_code == 2
    assert f"{target!r} should look like MODULE:WORKER, e.g. shop.jobs:worker" in result.output


@pytest.mark.parametrize("words", [["shop:worker"], []])
@pytest.mark.parametrize("option", ["--queue", "--url"])
def test_a_worker_is_told_its_queue_by_its_module(option: str, words: list[str]) -> None:
    result = run("worker", *words, option, "mails")
    assert result.exit_code == 2
    told = " ".join(result.output.split())
    assert f"Error: {option} is for the other commands: which queue a worker works on" in told
    assert "its module says, e.g. Worker(RedisQueue.from_url(url, name), registry)" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["--processes", "0"], ["--concurrency", "0"], ["--log-level", "loud"],
        ["--prefetch", "some"], ["--lease", "0.05"], ["--lease", "soon"], ["--max-losses", "-1"],
        ["--poll-interval", "1e"], ["--shutdown-timeout", "99999999999"],
    ],
)  # fmt: skip
def test_a_worker_refuses_what_makes_no_sense(arguments: list[str]) -> None:
    result = run("worker", "shop:worker", *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.output


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (WorkerOptions("shop:worker"), 1)),
        (
            ["--processes", "3", "--concurrency", "20", "--burst", "--log-level", "DEBUG"],
            (WorkerOptions("shop:worker", {"concurrency": 20}, burst=True, log_level="debug"), 3),
        ),
    ],
)
def test_a_workers_options_reach_the_supervisor_whose_exit_code_is_the_commands(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: tuple[WorkerOptions, int]
) -> None:
    made = []

    class Supervisor:
        def __init__(self, options: WorkerOptions, *, processes: int) -> None:
            made.append((options, processes))

        def run(self) -> int:
            return 143

    monkeypatch.setattr("redisjobs.cli.worker.Supervisor", Supervisor)
    monkeypatch.setattr("redisjobs.cli.worker.configure_logging", lambda level: None)
    assert run("worker", "shop:worker", *arguments).exit_code == 143
    assert made == [expected]
