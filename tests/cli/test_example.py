"""The worker of `examples/worker.py`, from end to end by the command line."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from redisjobs import Context, Job, RetryableError
from tests.cli.conftest import PROJECT
from tests.supervised import Supervised
from tests.waiting import Deadline

if TYPE_CHECKING:
    from pathlib import Path

    from redisjobs.embedded import EmbeddedServer
    from tests.cli.conftest import Run

ENDED = {"done", "failed", "panic"}


def test_each_job_does_what_its_payload_says(run: Run) -> None:
    deadline = Deadline(30)
    for payload in ("fail_after_3", "panic", "fail", "hello"):
        words = ["enqueue", "example", "--id", payload, "--payload", payload]
        assert run(*words).exit_code == 0
    supervised = Supervised(
        PROJECT, "examples.worker:worker", "--min-retry-backoff", "10ms", **run.environ
    )
    try:
        told = deadline.until(lambda: all_ended(run), "all four jobs have ended")
        supervised.stop(signal.SIGTERM)
        assert supervised.exit_code(deadline) == 0
    finally:
        supervised.end()
    assert {id: (one["standing"], one["attempts_done"]) for id, one in told.items()} == {
        "fail_after_3": ("done", 4), "panic": ("panic", 1), "fail": ("failed", 1),
        "hello": ("done", 1),
    }  # fmt: skip
    assert told["hello"]["result"] == told["fail_after_3"]["result"] == "job is done"
    assert told["fail_after_3"]["last_error"] == "retryable-error: attempt 3 fails"
    assert told["fail"]["last_error"] == "ValueError: the payload says so"
    assert told["panic"]["last_error"] == "panic: Panic: the payload says so"


@pytest.mark.parametrize(("named", "warned"), [("mails", True), ("default", False), ("", False)])
def test_a_queue_that_the_environment_names_in_vain_is_warned_of(
    redis_server: EmbeddedServer, tmp_path: Path, named: str, warned: bool
) -> None:
    (tmp_path / "shop.py").write_text(
        "import os\nfrom redisjobs import RedisQueue, Worker\n"
        "queue = RedisQueue.from_url(os.environ['REDISJOBS_URL'])\n"
        "worker = Worker(queue, {'a-kind-without-jobs': lambda ctx, job: None})\n"
    )
    supervised = Supervised(
        tmp_path, "shop:worker", "--burst", REDISJOBS_URL=redis_server.url, REDISJOBS_QUEUE=named
    )
    try:
        assert supervised.exit_code(Deadline(30)) == 0
    finally:
        supervised.end()
    told = (
        "this worker works on queue 'default', as its module says, but REDISJOBS_QUEUE is 'mails'"
    )
    assert (told in supervised.output) is warned
    assert ("REDISJOBS_QUEUE" in supervised.output) is warned


def all_ended(run: Run) -> dict[str, dict[str, object]]:
    """All jobs by their ids, once they have ended; else nothing."""
    found = {one["id"]: one for one in run.json_lines("jobs", "list")}
    # A job that changes its state while it is listed can be missing.
    ended = len(found) == 4 and all(one["standing"] in ENDED for one in found.values())
    return found if ended else {}


def test_by_default_a_retry_waits_for_5_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDISJOBS_URL", "redis://localhost:1/0")
    from examples.worker import example, make_worker

    with pytest.raises(RetryableError, match="attempt 1 fails"):
        example(Context.background(), Job("example", b"fail_after_3"))
    assert make_worker().settings.min_retry_backoff.total_seconds() == 5
