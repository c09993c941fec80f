"""The demo's decisions: its plan, its figures, and what it makes of what it has seen."""

from __future__ import annotations

import ast
import asyncio
import io
import json
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from redisjobs.context import Context
from redisjobs.demo.errors import DemoError
from redisjobs.demo.figures import FIGURES, Figures
from redisjobs.demo.follow import Follower
from redisjobs.demo.journal import Journal, Start, parse_starts, read_starts
from redisjobs.demo.kill import Kill, Recovery, recovery
from redisjobs.demo.plan import (
    KINDS,
    LONGEST_PAUSE_S,
    SCHEDULED_KIND,
    Order,
    Plan,
    Results,
    delay,
    differences,
    job_id,
    source_files,
)
from redisjobs.demo.processes import Process
from redisjobs.demo.progress import Counts, LineDisplay
from redisjobs.demo.report import Report, Sums, show
from redisjobs.demo.setting import VARIABLE, Setting
from redisjobs.demo.signals import undisturbed, unwinding_on_signals
from redisjobs.demo.tasks import handlers
from redisjobs.job import Job
from redisjobs.operations.inspect import KindStats, Stats
from redisjobs.retry import RetryableError
from redisjobs.states import Status

SOURCE = b"""import os.path, sys
from json.decoder import JSONDecoder
    import indented
class A:
    async def f(self): ...
def g(): ...
"""
SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
PARSED = SOURCE.replace(b"    import indented\n", b"")


@pytest.mark.parametrize(
    ("kind", "source", "figures"),
    [
        ("count.lines", SOURCE, {"lines": 6}),
        ("count.lines", b"one\nno end", {"lines": 2}),
        ("count.words", b"a b\n\tc", {"words": 3}),
        ("parse.functions", PARSED, {"functions": 2, "classes": 1}),
        ("parse.functions", b"'\\d'", {"functions": 0, "classes": 0}),
        ("parse.functions", b"this is no Python", {"functions": None, "classes": None}),
        ("parse.functions", b"\x00", {"functions": None, "classes": None}),
        ("hash.sha256", b"", {"sha256": SHA256_OF_NOTHING}),
        ("read.imports", SOURCE, {"imports": ["json", "os"]}),
        ("read.imports", b"from . import sibling", {"imports": []}),
        ("measure.size", b"abc", {"bytes": 3}),
        ("find.longest", b"a\nabc\nab", {"longest": 3}),
        ("find.longest", b"", {"longest": 0}),
    ],
)  # fmt: skip
def test_figures(kind: str, source: bytes, figures: Figures) -> None:
    assert FIGURES[kind](source) == figures


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    for name in ("a.py", "b.py", "c.py"):
        (tmp_path / name).write_bytes(PARSED)
    return Plan(tmp_path, source_files(tmp_path))


def test_sources_are_found_in_order_without_tests_and_other_peoples_packages(
    tmp_path: Path,
) -> None:
    for name in ("z.py", "a/b.py", "a.py", "test/x.py", "a/site-packages/y.py", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "link.py").symlink_to("nowhere.py")
    assert source_files(tmp_path) == ("a.py", "a/b.py", "z.py")
    assert source_files(tmp_path, 2) == ("a.py", "a/b.py")


def test_without_any_source_the_demo_says_why_it_cannot_run(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="without the sources of its standard library"):
        source_files(tmp_path)


def test_the_services_share_the_files_and_each_is_in_one_share(plan: Plan) -> None:
    shares = [list(plan.share(service, 2)) for service in range(2)]
    assert shares == [[0, 2], [1]]


def test_a_file_has_a_job_of_each_kind_and_one_is_scheduled(plan: Plan) -> None:
    jobs = plan.jobs(1)
    assert [job.kind for job in jobs] == list(KINDS)
    assert [job.id for job in jobs] == [job_id(1, kind) for kind in KINDS]
    order = Order(str(plan.root / "b.py"), LONGEST_PAUSE_S)
    assert {Order.from_bytes(job.payload) for job in jobs} == {order}
    assert plan.job_count == 3 * len(KINDS)
    assert [kind for kind in KINDS if delay(1, kind) is not None] == [SCHEDULED_KIND]


def test_delays_are_spread_from_a_fifth_of_a_second_to_two() -> None:
    delays = [delay(number, SCHEDULED_KIND) for number in range(20)]
    assert delays[0] == delays[10] == timedelta(seconds=0.2)
    assert delays[9] == timedelta(seconds=2)
    assert len(set(delays)) == 10


def test_many_files_do_not_make_the_slow_kinds_longer_together() -> None:
    small, large = (Plan(Path(), ["x.py"] * files) for files in (1, 1800))
    assert small.pause_s == LONGEST_PAUSE_S
    assert large.pause_s == pytest.approx(0.01)


def done_jobs(plan: Plan) -> dict[str, Job]:
    """The jobs as they would be if they had all ended well."""
    jobs = {}
    for number, (_, kinds) in enumerate(plan.expected().items()):
        for kind, figures in kinds.items():
            jobs[job_id(number, kind)] = Job(
                kind, result=json.dumps(figures).encode(), status=Status.DONE, attempts_done=1
            )
    return jobs


def test_results_that_are_merged_are_those_computed_directly(plan: Plan) -> None:
    jobs = done_jobs(plan)
    jobs["00001:find.longest"].attempts_done = 2
    collected = plan.collected(jobs.get)
    assert collected.results == plan.expected()
    assert differences(plan.expected(), collected.results) == []
    assert collected.unfinished == []
    assert collected.retried == 1


def test_what_is_missing_and_what_is_wrong_is_named(plan: Plan) -> None:
    jobs = done_jobs(plan)
    del jobs["00000:count.lines"]
    jobs["00001:hash.sha256"].result = None
    jobs["00002:count.words"].status = Status.FAILED
    jobs["00002:count.words"].last_error = "no words"
    jobs["00002:measure.size"].result = b'{"bytes": 7}'
    collected = plan.collected(jobs.get)
    assert collected.unfinished == [
        "job '00000:count.lines' is not there",
        "job '00001:hash.sha256' is DONE without a result",
        "job '00002:count.words' is FAILED: no words",
    ]
    found = differences(plan.expected(), collected.results)
    assert [sentence.partition(":")[0] for sentence in found] == [
        "a.py, count.lines",
        "b.py, hash.sha256",
        "c.py, count.words",
        "c.py, measure.size",
    ]
    assert found[-1].endswith(f"the queue's {{'bytes': 7}}, directly {{'bytes': {len(PARSED)}}}")


def test_a_figure_that_only_the_queue_has_is_a_difference() -> None:
    assert differences({}, {"a.py": {"count.lines": {"lines": 1}}}) == [
        "a.py, count.lines: the queue's {'lines': 1}, directly None"
    ]


def test_a_job_runs_again_when_a_later_delivery_of_it_starts() -> None:
    kill = Kill(pid=1, at=100.0, held={"a": 5, "b": 5, "c": 6})
    starts = [
        Start("a", 5, 99.0),  # by the worker that was killed
        Start("a", 9, 102.0),
        Start("b", 8, 101.0),
        Start("b", 9, 105.0),  # a retry: it ran again long before
        Start("other", 9, 109.0),
        Start("c", 6, 104.0),
    ]
    assert recovery(kill, starts) == Recovery(held=3, again=2, seconds=2.0)


def test_no_job_that_runs_again_gives_no_time() -> None:
    assert recovery(Kill(1, 100.0, {"a": 5}), []) == Recovery(held=1, again=0, seconds=None)


def test_a_line_that_a_kill_cut_short_is_passed_over() -> None:
    assert list(parse_starts(["a\t1\t0.5\n", "b\t2\t"])) == [Start("a", 1, 0.5)]


def context_of(attempt: int, token: int) -> Context:
    return Context("q", "w", "00000:x", "x", attempt, 0, token)


def run_handler(kind: str, plan: Plan, attempt: int, folder: Path) -> bytes | None:
    handler = cast(Any, handlers(Journal(folder))[kind])
    job = next(job for job in plan.jobs(0) if job.kind == kind)
    answer = handler(context_of(attempt, token=10 + attempt), job)
    result: bytes | None = asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
    return result


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "find.longest"])
def test_a_handler_answers_with_the_figures_and_writes_its_start_down(
    kind: str, plan: Plan, tmp_path: Path
) -> None:
    answer = run_handler(kind, plan, 1, tmp_path)
    assert json.loads(answer or b"") == FIGURES[kind](PARSED)
    assert [(start.id, start.token) for start in read_starts(tmp_path)] == [(job_id(0, kind), 11)]


def test_the_flaky_handler_fails_at_its_first_attempt_only(plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(RetryableError, match="the first attempt always fails"):
        run_handler("find.longest", plan, 1, tmp_path)
    answer = run_handler("find.longest", plan, 2, tmp_path)
    assert json.loads(answer or b"") == FIGURES["find.longest"](PARSED)
    assert [start.token for start in read_starts(tmp_path)] == [11, 12]


def setting_in(folder: Path) -> Setting:
    return Setting("redis://:secret@host/0", "demo-1", str(folder), 5, 3, "module:worker")


def test_a_setting_is_handed_down_through_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = setting_in(tmp_path)
    environ = setting.environment({"PATH": "/bin"})
    assert environ["PATH"] == "/bin"
    monkeypatch.setenv(VARIABLE, environ[VARIABLE])
    assert Setting.from_environment() == setting


def test_a_part_of_the_demo_that_is_run_by_itself_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(DemoError, match="run that"):
        Setting.from_environment()


def stats(**kinds: KindStats) -> Stats:
    return Stats("demo-1", kinds, ())


def test_counts_add_the_kinds_up() -> None:
    seen = stats(
        a=KindStats(scheduled=1, ready=2, running=3, done=4),
        b=KindStats(running=5, failed=6, cancelled=7),
    )
    counts = Counts.of(seen, 100)
    assert counts == Counts(enqueued=28, running=8, done=4, failed=13, total=100)
    assert counts.ended == 17


def test_enqueued_never_falls_and_never_exceeds_the_total() -> None:
    assert Counts.of(stats(a=KindStats(done=4)), 100, at_least=9).enqueued == 9
    assert Counts.of(stats(a=KindStats(ready=8, running=8)), 10).enqueued == 10


def test_lines_are_a_second_apart_and_the_last_one_is_always_written() -> None:
    output = io.StringIO()
    display = LineDisplay(Console(file=output, width=80))
    display.show(Counts(1000, 7, 20, 0, 2000))
    display.show(Counts(1000, 7, 30, 0, 2000))
    display.show(Counts(2000, 0, 1998, 2, 2000))
    assert output.getvalue().splitlines() == [
        "enqueued 1,000 of 2,000, running 7, done 20",
        "enqueued 2,000 of 2,000, running 0, done 1,998, failed 2",
    ]


def report_with(**changes: Any) -> Report:
    fields: dict[str, Any] = {
        "jobs": 14, "done": 14, "failed": 0, "retried": 2, "retries_planned": 2,
        "kill_wanted": True, "recovery": Recovery(3, 3, 0.25), "seconds": 2.0,
        "sums": Sums(2, 0, 0, 0, 0, 0), "unfinished": [], "differences": [], "broken": [],
    }  # fmt: skip
    return Report(**fields | changes)


def shown(report: Report) -> str:
    output = io.StringIO()
    show(report, Console(file=output, width=200))
    return output.getvalue()


def test_a_run_without_problems_is_identical() -> None:
    report = report_with()
    assert report.problems == []
    assert report.exit_code == 0
    assert report.jobs_per_second == 7
    assert report.to_dict()["identical"] is True
    assert "identical" in shown(report)
    assert "0.25 s" in shown(report)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"unfinished": ["job 'a' is not there"]}, "not finished: job 'a' is not there"),
        ({"differences": ["a.py"]}, "different: a.py"),
        ({"broken": ["I1: two places"]}, "queue.check() found: I1: two places"),
        ({"retried": 1}, "retried: 2 jobs raise RetryableError once, but 1 took more than one"),
        ({"recovery": None}, "killed: none, since from half way on no worker was seen to hold"),
        ({"recovery": Recovery(3, 2, 1.0)}, "delivered again: all but 1 jobs of the killed worker"),
    ],
)  # fmt: skip
def test_each_problem_is_told_and_ends_the_demo_with_1(
    changes: dict[str, Any], problem: str
) -> None:
    report = report_with(**changes)
    [told] = report.problems
    assert told.startswith(problem)
    assert report.exit_code == 1
    assert problem in shown(report)


def test_results_that_differ_are_not_called_identical() -> None:
    for changes in ({"unfinished": ["x"]}, {"differences": ["x"]}):
        report = report_with(**changes)
        assert report.to_dict()["identical"] is False
        assert "identical" not in shown(report)


def test_of_many_problems_the_first_five_are_told() -> None:
    problems = report_with(differences=[f"{n}.py" for n in range(8)]).problems
    assert problems[4:] == ["different: 4.py", "different: 3 more"]


def test_no_kill_that_was_not_wanted_is_no_problem() -> None:
    report = report_with(kill_wanted=False, recovery=None)
    assert report.problems == []
    assert "workers killed" in shown(report)


def test_sums_pass_over_what_is_missing() -> None:
    results: Results = {
        "a.py": {
            "count.lines": {"lines": 2},
            "parse.functions": {"functions": None, "classes": None},
            "read.imports": {"imports": ["os", "sys"]},
        },
        "b.py": {
            "count.lines": {"lines": 3},
            "parse.functions": {"functions": 4, "classes": 1},
            "read.imports": {"imports": ["os"]},
        },
        "c.py": {},
    }
    assert Sums.of(results) == Sums(files=3, lines=5, words=0, functions=4, classes=1, packages=2)


class FakeQueue:
    """A queue whose stats never change."""

    def __init__(self, seen: Stats) -> None:
        self._seen = seen

    def stats(self) -> Stats:
        return self._seen


class FakeProcess:
    """A process that runs on and on."""

    def check(self) -> None: ...

    def check_running(self) -> None: ...

    def last_words(self) -> str:
        return "It said last:\nboo"


def follower(total: int) -> Follower:
    queue = cast(Any, FakeQueue(stats(a=KindStats(ready=1))))
    display = LineDisplay(Console(file=io.StringIO()))
    return Follower(queue, total, cast(Any, FakeProcess()), display, kill=False)


def test_workers_that_do_not_start_end_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redisjobs.demo.follow.START_TIMEOUT_S", 0.0)
    with pytest.raises(DemoError, match=r"only 0 of 3 workers have started.*\nboo"):
        follower(total=1).until_started(3)


def test_a_run_in_which_nothing_ends_any_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("redisjobs.demo.follow.STUCK_AFTER_S", 0.0)
    with pytest.raises(DemoError, match=r"(?s)no job has ended .*: 0 of 1 are over.*boo"):
        follower(total=1).until_done([])


def test_a_service_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Process(
        "service 0", setting_in(tmp_path), "redisjobs.demo.producers", "no number"
    ) as service:
        service._process.wait(30)
        with pytest.raises(DemoError, match=r"(?s)service 0 ended with code 1.*ValueError"):
            service.check()
        with pytest.raises(DemoError, match="service 0 ended with code 1"):
            service.check_running()


def test_a_signal_waits_until_a_start_is_over() -> None:
    started = []

    def start() -> None:
        with undisturbed():
            signal.raise_signal(signal.SIGINT)
            started.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert started == ["all of it"]


def test_a_sigterm_unwinds_and_is_then_handled_as_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, unwinding_on_signals():
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with unwinding_on_signals(), undisturbed():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_source_is_parsed_again_where_another_thread_parsed_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python 3.11 and 3.12 fail then, and parse by themselves to print a traceback."""
    troubles, parse = [SystemError("AST constructor recursion depth mismatch")] * 3, ast.parse

    def parsed(source: bytes) -> ast.Module:
        if troubles:
            raise troubles.pop()
        return parse(source)

    monkeypatch.setattr(ast, "parse", parsed)
    figures = FIGURES["parse.functions"](b"def f(): pass\n")
    assert (figures, troubles) == ({"functions": 1, "classes": 0}, [])
