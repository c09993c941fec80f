"""The ledger finds each thing that can be wrong: a sound story is spoiled in one way at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import Status
from tests.chaos.journal import Asked, End, Fault, Journal, Journals, Run, read_journals
from tests.chaos.ledger import Ledger, reckon
from tests.chaos.stored import Everything, Stored, with_forgotten
from tests.waiting import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Seen:
    """What the watch has seen."""

    samples: int = 1
    checks: int = 1
    doubly_held: dict[str, float] = field(default_factory=dict)
    broken: dict[str, float] = field(default_factory=dict)
    last_alive: dict[str, float] = field(default_factory=dict)


def _run(id: str, token: int, worker: str, at: float, losses: int = 0) -> Run:
    return Run(id, token, "nap", 1, losses, worker, int(worker[1:]), "alone-one", at)


class Told:
    """One call stored the jobs `a` and `b`. `a` ran twice, since its first worker was killed."""

    def __init__(self) -> None:
        self.journals = Journals(
            runs=[_run("b", 1, "w7", 1.0), _run("a", 2, "w7", 1.0), _run("a", 5, "w8", 4.0, 1)],
            ends={("b", 1): End("done", 0, 1.5), ("a", 5): End("done", 0, 4.5)},
            asked={id: Asked(id, "nap", 0, "call", 0.5) for id in "ab"},
            calls={"call": ["a", "b"]},
            answers={"call": "ok"},
            faults=[Fault("kill alone", 2.0, 2.0, 7)],
        )
        self.stored = {
            "a": Stored("nap", Status.DONE, False, 5, 1),
            "b": Stored("nap", Status.DONE, False, 1, 1),
        }
        self.totals = {"done:nap": 2}
        self.seen = Seen(last_alive={"w7": 3.5, "w8": 5.0})
        self.drained = True

    def reckon(self) -> Ledger:
        watch: Any = self.seen
        return reckon(
            self.journals, Everything(self.stored, self.totals), watch, broken=[], complaints=[],
            faults={}, drained=self.drained, refused_in_logs=0, seconds=1.0,
        )  # fmt: skip


def test_a_sound_story_is_clean_and_tells_the_recovery() -> None:
    ledger = Told().reckon()
    assert ledger.is_clean, ledger
    assert (ledger.acknowledged, ledger.runs, ledger.again) == (2, 3, 1)
    ((seconds, supervised, calm),) = ledger.recoveries
    assert (seconds, supervised, calm) == (2.0, False, True)


def _gone(told: Told) -> None:
    del told.stored["b"]
    told.totals["done:nap"] = 1


def _not_ended(told: Told) -> None:
    told.stored["b"] = Stored("nap", Status.PENDING, False, None, 0)
    told.totals["done:nap"] = 1


def _nobody_ran_it(told: Told) -> None:
    told.journals.runs.pop(0)


def _handed_out_twice(told: Told) -> None:
    told.seen.last_alive["w7"] = 4.2


def _run_twice_under_one_token(told: Told) -> None:
    told.journals.runs.append(_run("a", 5, "w9", 4.1))


def _seen_in_two_places(told: Told) -> None:
    told.seen.doubly_held["a is held by w7 and by w8"] = 4.0


def _outcome_of_the_older_run(told: Told) -> None:
    told.stored["a"] = told.stored["a"]._replace(token=2)


def _run_again_after_its_end(told: Told) -> None:
    told.journals.runs.append(_run("a", 9, "w8", 6.0))


def _settled_twice(told: Told) -> None:
    told.totals["done:nap"] = 3


def _stored_by_half(told: Told) -> None:
    told.journals.answers["call"] = "failed"
    _gone(told)
    told.journals.runs.pop(0)


def _refused_and_stored(told: Told) -> None:
    told.journals.answers["call"] = "exists a"


def _began_early(told: Told) -> None:
    told.journals.asked["b"] = told.journals.asked["b"]._replace(delay_ms=800)


def _retried_early(told: Told) -> None:
    told.journals.ends["a", 2] = End("retry", 5000, 1.2)
    told.journals.runs[2] = told.journals.runs[2]._replace(attempt=2)


def _cancelled_and_run(told: Told) -> None:
    told.journals.cancels["b"] = True


def _wrong_end(told: Told) -> None:
    told.stored["b"] = Stored("nap", Status.FAILED, False, 1, 1)
    told.totals = {"done:nap": 1, "failed:nap": 1}


def _condemned(told: Told) -> None:
    told.stored["a"] = Stored("nap", Status.PANIC, True, None, 0)
    told.totals = {"done:nap": 1, "panic:nap": 1}


def _not_drained(told: Told) -> None:
    told.drained = False


@pytest.mark.parametrize(
    ("spoil", "shows_in"),
    [
        (_gone, "lost"),
        (_not_ended, "lost"),
        (_nobody_ran_it, "lost"),
        (_handed_out_twice, "held_twice"),
        (_run_twice_under_one_token, "held_twice"),
        (_seen_in_two_places, "held_twice"),
        (_outcome_of_the_older_run, "wrong"),
        (_run_again_after_its_end, "wrong"),
        (_settled_twice, "wrong"),
        (_stored_by_half, "wrong"),
        (_refused_and_stored, "wrong"),
        (_began_early, "wrong"),
        (_retried_early, "wrong"),
        (_cancelled_and_run, "wrong"),
        (_wrong_end, "wrong"),
        (_condemned, "condemned"),
        (_not_drained, "wrong"),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__.strip("_"),
)
def test_it_finds(spoil: Callable[[Told], None], shows_in: str) -> None:
    told = Told()
    spoil(told)
    ledger = told.reckon()
    assert getattr(ledger, shows_in), ledger
    assert not ledger.is_clean


def test_a_good_job_that_the_storm_killed_at_its_last_chance_is_told_apart() -> None:
    told = Told()
    _condemned(told)
    told.journals.runs.append(_run("a", 9, "w10", 6.0, 3))
    told.journals.faults.append(Fault("kill alone", 6.5, 6.5, 10))
    ledger = told.reckon()
    assert (ledger.condemned, ledger.unlucky) == ([], 1)


@pytest.mark.parametrize(
    ("losses", "fault", "unlucky"),
    [
        (3, Fault("half open", 6.5, 9.0, 0), 1),
        (3, Fault("stop worker", 6.5, 9.0, 10), 1),
        (3, Fault("stop worker", 6.5, 9.0, 11), 0),
        (3, Fault("half open", 7.5, 9.0, 0), 0),
        (3, Fault("flush scripts", 6.5, 9.0, 0), 0),
        (2, Fault("half open", 6.5, 9.0, 0), 0),
    ],
    ids=["cut off", "stopped", "another was stopped", "cut off later", "another fault", "not last"],
)
def test_one_that_was_cut_off_at_its_last_chance_is_told_apart(
    losses: int, fault: Fault, unlucky: int
) -> None:
    told = Told()
    _condemned(told)
    told.journals.runs.append(_run("a", 9, "w10", 6.0, losses))
    told.journals.ends["a", 9] = End("done", 0, 7.0)
    told.journals.faults.append(fault)
    ledger = told.reckon()
    assert (len(ledger.condemned), ledger.unlucky) == (1 - unlucky, unlucky)


def test_a_journal_is_read_as_it_was_written_but_for_what_a_kill_cut_short(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "alone-one")
    journal.asks("call", [("a", "nap", 250), ("b", "quick", 0)])
    journal.answered("call", "exists b")
    journal.began("a", 5, "nap", 1, 2, "host:1:ab")
    journal.ended("a", 5, "retry", 300)
    journal.cancelled("b", None)
    journal.cancelled("b", True)
    journal.fault(Fault("cut", 1.5, 2.5, 0))
    (path,) = tmp_path.iterdir()
    with path.open("a") as cut_short:
        cut_short.write("run\ta\t6\tna")
    read = read_journals(tmp_path)
    (run,) = read.runs
    assert (run.id, run.token, run.losses, run.worker) == ("a", 5, 2, "host:1:ab")
    assert (run.pid, run.role) == (os.getpid(), "alone-one")
    assert read.ends["a", 5][:2] == ("retry", 300)
    assert read.asked["a"][:4] == ("a", "nap", 250, "call")
    assert (read.calls, read.answers) == ({"call": ["a", "b"]}, {"call": "exists b"})
    assert (read.cancels, read.faults) == ({"b": True}, [Fault("cut", 1.5, 2.5, 0)])


def _environs_with(word: bytes) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if word in path.read_bytes():
                found.append((path.parent / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_a_ctrl_c_ends_a_storm_and_leaves_no_process(tmp_path: Path) -> None:
    storm = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos", "--small", "--folder", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    try:
        deadline = Deadline(60)
        deadline.until(lambda: list(tmp_path.glob("alone-*.journal")), "its workers have started")
        deadline.until(lambda: len(_environs_with(bytes(tmp_path))) > 5, "they run")
        storm.send_signal(signal.SIGINT)
        timer = threading.Timer(deadline.left_s, storm.kill)
        timer.start()
        said, _ = storm.communicate()
        timer.cancel()
    finally:
        storm.kill()
        storm.wait()
    assert storm.returncode == 130
    assert b"no process is left" in said
    assert _environs_with(bytes(tmp_path)) == []


def _forgotten(told: Told) -> None:
    """Nothing is kept of what is done."""
    told.stored = dict(with_forgotten(Everything({}, told.totals), told.journals).jobs)


def test_what_is_done_need_not_be_kept_for_a_story_to_be_sound() -> None:
    kept, told = Told(), Told()
    _forgotten(told)
    assert told.stored == kept.stored
    assert told.reckon().is_clean


def _one_settled_by_nobody(told: Told) -> None:
    told.totals["done:nap"] = 1


def _settled_by_nobody(told: Told) -> None:
    told.totals.clear()


def _counted_twice(told: Told) -> None:
    told.totals["done:nap"] = 3


def _its_last_run_has_not_ended(told: Told) -> None:
    del told.journals.ends["a", 5]


def _its_last_run_failed(told: Told) -> None:
    told.journals.ends["b", 1] = End("failed", 0, 1.5)


@pytest.mark.parametrize(
    ("spoil", "shows_in"),
    [
        (_one_settled_by_nobody, "wrong"),
        (_settled_by_nobody, "wrong"),
        (_counted_twice, "wrong"),
        (_its_last_run_has_not_ended, "lost"),
        (_its_last_run_failed, "lost"),
        (_nobody_ran_it, "lost"),
        (_handed_out_twice, "held_twice"),
    ],
)
def test_what_is_forgotten_is_missed_all_the_same(
    spoil: Callable[[Told], None], shows_in: str
) -> None:
    told = Told()
    spoil(told)
    _forgotten(told)
    ledger = told.reckon()
    assert getattr(ledger, shows_in), ledger
