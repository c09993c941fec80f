"""`redisjobs check --repair` on a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from redisjobs import Job, RedisQueue

if TYPE_CHECKING:
    import redis

    from tests.cli.conftest import Run


@pytest.fixture
def broken(queue: RedisQueue, client: redis.Redis) -> RedisQueue:
    """A queue with a job in no place, an id without a record, and a key of somebody else's."""
    queue.enqueue(Job("mail", id="lost"), Job("mail", id="there"))
    client.zrem(queue.keys.due("mail"), "lost")
    client.zadd(queue.keys.due("sms"), {"nobody\x1b[31m": 1})
    client.set(queue.keys.prefix + b"strange", 1)
    return queue


def test_it_says_what_it_mended_and_what_is_left(broken: RedisQueue, run: Run) -> None:
    result = run("check", "--repair")
    assert result.exit_code == 1
    *sentences, verdict = result.output.splitlines()
    assert sorted(sentences) == [
        "broken: I8: key 'strange' is none of a queue's, and never expires",
        "repaired: job 'lost' was not where it belongs: put in due:mail",
        "repaired: job 'nobody\\x1b[31m' has no record: taken out of due:sms",
    ]
    assert verdict.startswith(
        f"queue {run.name}: 2 repaired (jobs: 2); then 1 broken (examined: 7 keys, 2 kinds, "
    )
    again = run("check", "--repair")
    assert again.exit_code == 1
    assert f"queue {run.name}: 0 repaired; then 1 broken" in again.output


def test_what_is_sound_afterwards_is_a_success(
    broken: RedisQueue, run: Run, client: redis.Redis
) -> None:
    client.delete(broken.keys.prefix + b"strange")
    assert run("check").exit_code == 1
    result = run("check", "--repair")
    assert result.exit_code == 0
    assert ": 2 repaired (jobs: 2); then sound (examined: " in result.output
    assert run("check").exit_code == 0


def test_a_dry_run_only_says_what_it_would_do(broken: RedisQueue, run: Run) -> None:
    before = run("check").output
    result = run("check", "--repair", "--dry-run")
    assert result.exit_code == 1
    assert "would repair: job 'lost' was not where it belongs: put in due:mail" in result.output
    assert "broken: I1: job 'lost' of kind 'mail' has not ended" in result.output
    assert f"queue {run.name}: 3 to repair (jobs: 2, kinds: 1); now" in result.output
    assert run("check").output == before


def test_as_json_it_says_the_same(broken: RedisQueue, run: Run) -> None:
    dry = json.loads(run("check", "--repair", "--dry-run", "--json").output)
    result = run("check", "--repair", "--json")
    assert result.exit_code == 1
    told = json.loads(result.output)
    assert told["queue"] == dry["queue"] == run.name
    assert (dry["dry_run"], told["dry_run"]) == (True, False)
    assert "job 'lost' was not where it belongs: put in due:mail" in told["repaired"]
    assert told["counts"] == {"jobs": 2}
    assert told["broken"] == ["I8: key 'strange' is none of a queue's, and never expires"]
    assert len(dry["broken"]) > 1
    assert told["examined"]["jobs"] == 2


def test_on_a_terminal_it_shows_how_far_it_is(broken: RedisQueue, run: Run) -> None:
    seen = run.on_a_terminal("check", "--repair", width=200)
    assert seen.exit_code == 1
    assert f"repair {run.name}" in seen.output
    assert "of 8" in seen.output  # 2 jobs, each in one place, at the repair and at the check


def test_a_dry_run_goes_with_a_repair(run: Run) -> None:
    result = run("check", "--dry-run")
    assert result.exit_code == 2
    assert "--dry-run goes with --repair" in result.output
