"""The settings of a worker: on the command line, in the environment, in the help, in the child."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from redisjobs.cli.root import commands
from redisjobs.supervisor.process import WorkerOptions
from redisjobs.worker import Worker
from redisjobs.worker.settings import WorkerKeywords

if TYPE_CHECKING:
    from collections.abc import Callable

# Each setting, what is written for it, and what it means.
SETTINGS: dict[str, tuple[str, Any]] = {
    "concurrency": ("20", 20),
    "prefetch": ("5", 5),
    "lease": ("1m", 60.0),
    "shutdown_timeout": ("1.5", 1.5),
    "max_losses": ("0", 0),
    "min_retry_backoff": ("500ms", 0.5),
    "poll_interval": ("2", 2.0),
}


class PlainQueue:
    def enqueue(self, *jobs: object) -> None: ...
    def dequeue(self, kinds: object, fn: object) -> bool:
        return False


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[WorkerOptions, int]]:
    """What a command line, in an environment, has the supervisor run."""
    made: list[tuple[WorkerOptions, int]] = []

    class Supervisor:
        def __init__(self, options: WorkerOptions, *, processes: int) -> None:
            made.append((options, processes))

        def run(self) -> int:
            return 0

    monkeypatch.setattr("redisjobs.cli.worker.Supervisor", Supervisor)
    monkeypatch.setattr("redisjobs.cli.worker.configure_logging", lambda level: None)

    def run(*arguments: str, **environ: str) -> tuple[WorkerOptions, int]:
        result = invoke(*arguments, **environ)
        assert result.exit_code == 0, result.output
        return made.pop()

    return run


def invoke(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(commands, ["worker", *arguments], env=environ)


def test_every_setting_of_a_worker_is_an_option() -> None:
    assert set(SETTINGS) == set(WorkerKeywords.__annotations__)


def test_without_any_all_is_left_to_the_worker(given: Any) -> None:
    assert given("shop:worker") == (WorkerOptions("shop:worker", {}, log_level="info"), 1)


def test_each_can_be_given_on_the_command_line(given: Any) -> None:
    words = [
        word
        for name, (text, _) in SETTINGS.items()
        for word in (f"--{name.replace('_', '-')}", text)
    ]
    options, processes = given("shop:worker", *words, "--processes", "3", "--burst")
    assert options.settings == {name: value for name, (_, value) in SETTINGS.items()}
    assert (options.burst, processes) == (True, 3)


def test_and_in_the_environment_with_the_target(given: Any) -> None:
    environ = {f"REDISJOBS_{name.upper()}": text for name, (text, _) in SETTINGS.items()}
    options, processes = given(
        **environ, REDISJOBS_WORKER="shop:worker", REDISJOBS_PROCESSES="3", REDISJOBS_BURST="1",
        REDISJOBS_LOG_LEVEL="debug",
    )  # fmt: skip
    assert options.settings == {name: value for name, (_, value) in SETTINGS.items()}
    assert (options.target, options.burst, options.log_level) == ("shop:worker", True, "debug")
    assert processes == 3


def test_the_command_line_comes_before_the_environment(given: Any) -> None:
    options, _ = given("shop:worker", "--concurrency", "3", REDISJOBS_CONCURRENCY="20")
    assert options.settings == {"concurrency": 3}


def test_an_empty_variable_counts_as_none(given: Any) -> None:
    assert given("shop:worker", REDISJOBS_CONCURRENCY="", REDISJOBS_LEASE="")[0].settings == {}


def test_prefetching_can_be_left_to_the_worker(given: Any) -> None:
    assert given("shop:worker", "--prefetch", "auto")[0].settings == {"prefetch": "auto"}


@pytest.mark.parametrize(("name", "value"), [("CONCURRENCY", "many"), ("LEASE", "soon")])
def test_a_variable_that_cannot_be_used_is_named(name: str, value: str) -> None:
    result = invoke("shop:worker", **{f"REDISJOBS_{name}": value})
    assert result.exit_code == 2
    assert f"(from REDISJOBS_{name})" in result.output


def test_the_help_says_where_each_value_comes_from() -> None:
    told = re.sub(r"\s+", " ", invoke("--help", REDISJOBS_LEASE="1m", REDISJOBS_BURST="1").output)
    assert "[REDISJOBS_LEASE=1m]" in told
    assert "[REDISJOBS_BURST=1]" in told
    assert "[default: as the worker says; REDISJOBS_CONCURRENCY is not set]" in told
    assert "[default: 1; REDISJOBS_PROCESSES is not set]" in told
    assert "[default: info; REDISJOBS_LOG_LEVEL is not set]" in told
    for name in SETTINGS:
        assert f"REDISJOBS_{name.upper()}" in told


def test_a_child_is_told_of_them_and_applies_them() -> None:
    values: Any = {name: value for name, (_, value) in SETTINGS.items()}
    words = WorkerOptions("shop:worker", values).arguments(lifeline=7)
    worker = Worker(PlainQueue())
    worker.use_settings(**json.loads(words[words.index("--settings") + 1]))
    assert worker.settings == Worker(PlainQueue(), **values).settings
    assert "--settings" not in WorkerOptions("shop:worker").arguments(lifeline=7)


def test_those_that_are_not_given_stay() -> None:
    worker = Worker(PlainQueue(), concurrency=3, lease=60.0, min_retry_backoff=0.25)
    worker.use_settings(prefetch=0)
    expected = Worker(PlainQueue(), concurrency=3, lease=60.0, min_retry_backoff=0.25, prefetch=0)
    assert worker.settings == expected.settings
