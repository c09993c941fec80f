from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.waiting import Deadline, wait_for_event, wait_until

if TYPE_CHECKING:
    import redis

    from tests.servers import SharedServers

ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, source: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `source` as a test file under the fixtures and rules of tests/conftest.py."""
    (folder / "test_it.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    unset = {"REDISJOBS_CI", "REDISJOBS_URL", "REDIS_URL", "PYTEST_ADDOPTS"}
    inherited = {name: value for name, value in os.environ.items() if name not in unset}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:valkey", "-ra"],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


SKIPS = """
import pytest

def test_passes(): pass

def test_skips(): pytest.skip("no moon tonight")

@pytest.mark.skip(reason="not today")
def test_is_skipped(): pass

@pytest.fixture
def moon(): pytest.skip("clouds")

def test_cannot_start(moon): pass

@pytest.mark.xfail(reason="known")
def test_is_known_to_fail(): assert False
"""
SKIPPED_FILE = """
import pytest
pytest.importorskip("no_such_module")
"""


def test_elsewhere_a_skip_is_visible_and_no_failure(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, SKIPS)
    assert run.returncode == 0, run.stdout
    assert "no moon tonight" in run.stdout
    assert "1 passed, 3 skipped, 1 xfailed" in run.stdout


def test_in_ci_a_skip_is_a_failure_that_gives_its_reason(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, SKIPS, REDISJOBS_CI="1")
    assert run.returncode == 1, run.stdout
    for reason in ("no moon tonight", "not today", "clouds"):
        assert reason in run.stdout
    assert "1 failed, 1 passed, 1 xfailed, 2 errors" in run.stdout


def test_in_ci_a_file_that_skips_itself_is_a_failure(tmp_path: Path) -> None:
    assert run_pytest(tmp_path, SKIPPED_FILE).returncode == 5
    run = run_pytest(tmp_path, SKIPPED_FILE, REDISJOBS_CI="1")
    assert run.returncode not in {0, 5}, run.stdout
    assert "no_such_module" in run.stdout


def test_tests_never_see_the_users_own_server(tmp_path: Path) -> None:
    source = "import os\ndef test_it(): assert not {'REDIS_URL', 'REDISJOBS_URL'} & set(os.environ)"
    run = run_pytest(tmp_path, source, REDIS_URL="redis://:secret@example.invalid")
    assert run.returncode == 0, run.stdout
    assert "REDIS_URL set, but tests use servers of their own" in run.stdout
    assert "secret" not in run.stdout


def test_a_queue_name_is_new_each_time_and_fit_for_keys(
    request: pytest.FixtureRequest, queue_name: str
) -> None:
    assert queue_name.startswith("test-a-queue-name-is-new-each-time-and-f")
    assert not set(queue_name) & set("{}[]*?:")
    assert len(queue_name) < 60


def test_only_the_queue_of_the_test_is_deleted(
    client: redis.Redis, queue_name: str, shared_servers: SharedServers
) -> None:
    mine = [f"redisjobs:{{{queue_name}}}:{number}" for number in range(2500)]
    other = f"redisjobs:{{{queue_name}2}}:jobs"
    client.mset(dict.fromkeys([*mine, other], 1))
    shared_servers.delete_queue(queue_name)
    assert client.exists(*mine) == 0
    assert client.unlink(other) == 1


def test_waits_end_as_soon_as_they_may() -> None:
    answers = iter([0, "", None, "there"])
    assert wait_until(lambda: next(answers), "an answer") == "there"
    event = threading.Event()
    threading.Timer(0.02, event.set).start()
    wait_for_event(event, "the timer has rung")


def test_waits_that_fail_say_what_they_awaited() -> None:
    with pytest.raises(AssertionError, match=r"0\.02 s in vain: the moon"):
        wait_until(lambda: False, "the moon", timeout=0.02)
    with pytest.raises(AssertionError, match=r"0\.01 s in vain: the bell"):
        wait_for_event(threading.Event(), "the bell", timeout=0.01)


def test_several_waits_share_one_deadline() -> None:
    deadline = Deadline(0.05)
    with pytest.raises(AssertionError):
        deadline.until(lambda: False, "nothing")
    assert deadline.left_s == 0
    assert deadline.until(lambda: True, "what is there already") is True
    with pytest.raises(AssertionError):
        deadline.event(threading.Event(), "the bell")
