"""What a worker can be made with."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from redisjobs.errors import ConfigurationError, InvalidJobError, KindExistsError
from redisjobs.worker import Worker
from redisjobs.worker.settings import WorkerSettings

PLAIN: dict[str, Any] = {
    "concurrency": 10,
    "prefetch": "auto",
    "lease": 15.0,
    "shutdown_timeout": 30.0,
    "max_losses": 3,
    "min_retry_backoff": 5.0,
    "poll_interval": 1.0,
}


def _settings(**given: Any) -> WorkerSettings:
    return WorkerSettings.of(**(PLAIN | given))


class _PlainQueue:
    def enqueue(self, *jobs: object) -> None: ...
    def dequeue(self, kinds: object, fn: object) -> bool:
        return False


def _handler(ctx: object, job: object) -> None: ...


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = Worker(_PlainQueue()).settings
    assert settings == _settings()
    assert settings.beat_interval_s == 5.0
    assert settings.lease_us == 15_000_000


def test_no_slots_mean_one() -> None:
    assert _settings(concurrency=0).concurrency == 1


@pytest.mark.parametrize(("asked", "used"), [(0, 0.1), (0.05, 0.1), (0.1, 0.1), (2, 2.0)])
def test_it_polls_every_100_ms_at_most(asked: float, used: float) -> None:
    assert _settings(poll_interval=asked).poll_interval_s == used


@pytest.mark.parametrize(
    ("concurrency", "most"), [(1, 1), (2, 2), (4, 2), (5, 3), (10, 4), (100, 10), (101, 11)]
)
def test_guarded_jobs_are_the_root_of_the_slots_rounded_up(concurrency: int, most: int) -> None:
    assert _settings(concurrency=concurrency).most_guarded == most


@pytest.mark.parametrize(
    "name", ["lease", "shutdown_timeout", "min_retry_backoff", "poll_interval"]
)
def test_durations_may_be_timedeltas(name: str) -> None:
    assert _settings(**{name: timedelta(seconds=7)}) == _settings(**{name: 7})


@pytest.mark.parametrize("name", ["concurrency", "prefetch", "max_losses"])
@pytest.mark.parametrize("value", [-1, 1.5, "3", None, True])
def test_a_count_must_be_one(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name} must be a whole number"):
        _settings(**{name: value})


@pytest.mark.parametrize(
    "name", ["lease", "shutdown_timeout", "min_retry_backoff", "poll_interval"]
)
@pytest.mark.parametrize("value", [-1, "3", None, True, math.nan, math.inf, timedelta(-1)])
def test_a_duration_must_be_one(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name} must be seconds"):
        _settings(**{name: value})


def test_a_lease_that_no_heartbeat_can_keep_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"lease must be seconds, 0.1 or more, not 0.05"):
        _settings(lease=0.05)


@pytest.mark.parametrize("queue", [None, "redis://localhost", object(), dict])
def test_a_queue_must_be_one(queue: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"enqueue\(\) and dequeue\(\)"):
        Worker(queue)


class TestRegister:
    def test_normalises_the_kind_as_jobs_have_it(self) -> None:
        worker = Worker(_PlainQueue(), {" Email ": _handler})
        worker.register("\tREPORT\n", _handler)
        assert worker.kinds == ("email", "report")

    @pytest.mark.parametrize("again", ["email", " EMAIL "])
    def test_refuses_a_kind_twice(self, again: str) -> None:
        worker = Worker(_PlainQueue(), {"email": _handler})
        with pytest.raises(KindExistsError, match="'email'"):
            worker.register(again, _handler)

    @pytest.mark.parametrize("kind", ["", "  ", "a\0b", "x" * 201, None, 7, b"email"])
    def test_refuses_what_no_job_can_have(self, kind: Any) -> None:
        with pytest.raises(InvalidJobError, match="kind"):
            Worker(_PlainQueue()).register(kind, _handler)

    @pytest.mark.parametrize("fn", [None, "handler", 7])
    def test_refuses_what_cannot_be_called(self, fn: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"handler of kind 'email' must be callable"):
            Worker(_PlainQueue()).register("email", fn)

    def test_what_the_worker_is_made_with_is_checked_alike(self) -> None:
        with pytest.raises(ConfigurationError, match="must be callable"):
            Worker(_PlainQueue(), {"email": None})  # type: ignore[dict-item]
        with pytest.raises(KindExistsError):
            Worker(_PlainQueue(), {"email": _handler, "EMAIL": _handler})
