"""`redisjobs workers`, and its health check."""

from __future__ import annotations

import re
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from redisjobs import Worker
from redisjobs.cli.connection import ANSWER_WITHIN_S
from tests.cli.conftest import PROJECT
from tests.waiting import wait_until

if TYPE_CHECKING:
    from redisjobs import RedisQueue
    from tests.cli.conftest import Enter, Run

HERE = socket.gethostname()


def test_in_a_pipe_it_is_plain_columns(run: Run, enter: Enter) -> None:
    enter("shop-1:42:00aa", "mail", "scan")
    enter("shop-2:43:00bb", "mail", host="shop-2", pid=43, lapses=1.0, concurrency=5)
    result = run("workers")
    assert result.exit_code == 0
    heading, first, second = (line.split() for line in result.stdout.splitlines())
    assert heading[:4] == ["worker", "state", "held", "concurrency"]
    assert first[:4] == ["shop-1:42:00aa", "alive", "0", "10"]
    assert first[5:] == ["shop-1", "42", "mail,", "scan"]
    assert second[:4] == ["shop-2:43:00bb", "lapsed", "0", "5"]
    assert float(second[4]) < 0


def test_as_json_it_is_a_list(run: Run, enter: Enter) -> None:
    assert run.json("workers") == []
    enter("shop-1:42:00aa", "mail", version="0.1.0")
    [told] = run.json("workers")
    assert told["lease_left"] > 0
    assert {**told, "lease_left": 1} == {
        "id": "shop-1:42:00aa", "host": "shop-1", "pid": 42, "kinds": ["mail"], "held": 0,
        "lease_left": 1, "concurrency": 10, "started": None, "version": "0.1.0", "state": "alive",
    }  # fmt: skip


def test_what_a_worker_does_not_say_is_a_dash(run: Run, enter: Enter) -> None:
    enter("odd", host=7, pid="x")  # type: ignore[arg-type]
    assert run("workers").stdout.splitlines()[1].split()[-2:] == ["-", "-"]


def test_some_are_chosen(run: Run, enter: Enter) -> None:
    enter("shop-1:42:00aa", "mail", "scan")
    enter("shop-2:43:00bb", "mail", host="shop-2")

    def chosen(*arguments: str) -> list[str]:
        return [one["id"] for one in run.json("workers", *arguments)]

    assert chosen("--kind", "Scan") == ["shop-1:42:00aa"]
    assert chosen("--host", "shop-2") == ["shop-2:43:00bb"]
    assert chosen("--host", "*", "--kind", "mail") == ["shop-1:42:00aa", "shop-2:43:00bb"]
    assert chosen("--kind", "scan", "--kind", "mail") == ["shop-1:42:00aa"]


def test_none_is_said_to_be_none(run: Run) -> None:
    result = run("workers", "--host", "shop-1", "--kind", "mail")
    assert (result.exit_code, result.stdout) == (0, "")
    none, unseen, *_ = result.stderr.splitlines()
    assert none == f"no workers of queue {run.name!r} on host 'shop-1' for kind 'mail'"
    assert unseen == f"queue {run.name!r} has seen no jobs and no workers"


def test_where_there_are_others_nothing_more_is_said(run: Run, enter: Enter) -> None:
    enter("shop-1:42:00aa", "mail")
    result = run("workers", "--kind", "mail", "--kind", "scan")
    assert result.output == f"no workers of queue {run.name!r} for kind 'mail' and 'scan'\n"


def test_on_a_narrow_terminal_the_id_stays_whole_and_the_kinds_are_folded(
    run: Run, enter: Enter
) -> None:
    id = "3f2a1b4c5d6e:7:0011aabb2233"
    kinds = [f"kind-number-{number}" for number in range(9)]
    enter(id, *kinds, host="3f2a1b4c5d6e", pid=7)
    seen = run.on_a_terminal("workers", width=80)
    assert seen.exit_code == 0
    place = next(place for place, line in enumerate(seen.lines) if "──" in line) + 1
    rows = seen.lines[place:-1]
    assert max(map(len, rows)) <= 80
    assert rows[0].startswith(f"{id}  alive ")
    assert [row.rsplit("  ", 1)[-1].strip(" ,") for row in rows] == kinds
    assert seen.lines[-1] == "too narrow to show: concurrency, host, pid"


class TestHealthCheck:
    def test_a_live_worker_of_this_host_is_enough(self, run: Run, enter: Enter) -> None:
        enter("a", "mail", host=HERE)
        enter("b", "mail", host="elsewhere")
        result = run("workers", "--check")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == f"alive: 1 worker of queue {run.name!r} on host {HERE!r}\n"

    @pytest.mark.parametrize(
        ("arguments", "exit_code"),
        [
            ([], 0), (["--min", "2"], 1), (["--kind", "mail"], 0), (["--kind", "scan"], 1),
            (["--host", "elsewhere"], 0), (["--host", "nowhere"], 1),
            (["--host", "*", "--min", "2"], 0), (["--host", "*", "--min", "3"], 1),
        ],
    )  # fmt: skip
    def test_how_many_of_which_have_to_live(
        self, run: Run, enter: Enter, arguments: list[str], exit_code: int
    ) -> None:
        enter("a", "mail", host=HERE)
        enter("b", "mail", host="elsewhere")
        enter("c", "scan", host=HERE, lapses=1.0)
        assert run("workers", "--check", *arguments).exit_code == exit_code

    def test_too_few_are_told_on_standard_error(self, run: Run, enter: Enter) -> None:
        enter("a", "mail", host=HERE, lapses=1.0)
        result = run("workers", "--check", "--kind", "mail", "--min", "2")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == (
            f"alive: 0 workers of queue {run.name!r} on host {HERE!r} for kind 'mail',"
            " but at least 2 should be\n"
        )

    def test_as_json(self, run: Run, enter: Enter) -> None:
        enter("a", "mail", host=HERE)
        enter("b", "mail", host=HERE, lapses=1.0)
        assert run.json("workers", "--check") == {"healthy": True, "alive": 1, "lapsed": 1}

    def test_the_probes_of_the_docs_wait_longer_than_it_does(self) -> None:
        page = (PROJECT / "docs" / "how-to" / "containers.md").read_text(encoding="utf-8")
        limits = re.findall(r"(?:--timeout=|timeoutSeconds: )(\d+)", page)
        assert len(limits) == 2
        assert min(map(int, limits)) >= ANSWER_WITHIN_S + 3  # Python has to start first

    @pytest.mark.parametrize("option", ["--min", "--timeout"])
    def test_some_options_go_with_the_check(self, run: Run, option: str) -> None:
        result = run("workers", option, "2")
        assert result.exit_code == 2
        assert "go with --check" in result.output

    def test_a_real_worker_is_seen_by_it(self, queue: RedisQueue, run: Run) -> None:
        worker = Worker(queue, {"mail": lambda ctx, job: None})
        running = threading.Thread(target=worker.run)
        running.start()
        try:
            wait_until(lambda: run("workers", "--check").exit_code == 0, "the worker is healthy")
        finally:
            worker.stop()
            running.join(10)
        assert run("workers", "--check").exit_code == 1
