"""The reckoning: what the journals tell beside what the queue has stored. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from redisjobs import Status
from tests.chaos.fleet import SUPERVISED
from tests.chaos.jobs import ENDS_AS, POISON

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.chaos.journal import Journals, Run
    from tests.chaos.sampler import Watch
    from tests.chaos.stored import Everything, Stored

# Clocks tick; a job's delay is measured on the server's, ours on another of the same machine.
_TICK_S = 0.01
# Faults that keep all workers from Redis: who dies meanwhile waits for their end. Those that do it
# to some are felt where these few have to take a dead one's jobs back: under a supervisor.
_OUTAGES = ("pause server", "freeze server", "crash server")
_OUTAGES_OF_SOME = (
    "stop worker", "cut", "add latency", "half open", "late requests", "lose replies"
)  # fmt: skip
_KILLS = ("kill supervised", "kill alone")
_MAX_LOSSES = 3  # a worker's default, which the fleet has


class Recovery(NamedTuple):
    """A killed worker ran a job; so many seconds later another one began it again.

    `calm`: no outage meanwhile that could be felt.
    """

    seconds: float
    supervised: bool
    calm: bool


@dataclass
class Ledger:
    """What came of a storm. Lists of sentences are to be empty.

    Attributes:
        acknowledged, calls, failed_calls: what producers asked for.
        runs, again: runs that began; those of them that were not a first run or a retry.
        refused: outcomes that the fence refused, by the workers' logs.
        lost: acknowledged jobs that did not end, or ended with nobody having run them.
        held_twice: jobs that two workers had at once.
        broken: invariants that check() found broken.
        condemned: good jobs that ended as PANIC for what others did.
        wrong: whatever else is not as it should be.
        unlucky: good jobs that the storm itself killed or cut off at their last chance: nobody
            could know.
    """

    seconds: float
    acknowledged: int = 0
    calls: int = 0
    failed_calls: int = 0
    runs: int = 0
    again: int = 0
    refused: int = 0
    samples: int = 0
    checks: int = 0
    unlucky: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    faults: Mapping[str, int] = field(default_factory=dict)
    recoveries: list[Recovery] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    held_twice: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    condemned: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not any((self.lost, self.held_twice, self.broken, self.condemned, self.wrong))


def reckon(
    journals: Journals,
    stored: Everything,
    watch: Watch,
    *,
    broken: Iterable[str],
    complaints: Iterable[str],
    faults: Mapping[str, int],
    drained: bool,
    refused_in_logs: int,
    seconds: float,
) -> Ledger:
    """Compares all."""
    return _Reckoning(
        journals, stored, watch.last_alive,
        Ledger(
            seconds=seconds, samples=watch.samples, checks=watch.checks, faults=faults,
            refused=refused_in_logs, broken=list(broken), held_twice=list(watch.doubly_held),
            wrong=[*complaints, *([] if drained else ["the fleet did not end all jobs in time"])],
        ),
    ).run()  # fmt: skip


class _Reckoning:
    def __init__(
        self,
        journals: Journals,
        stored: Everything,
        last_alive: Mapping[str, float],
        ledger: Ledger,
    ) -> None:
        self._journals = journals
        self._stored = stored
        self._last_alive = last_alive
        self._ledger = ledger
        self._runs: dict[str, list[Run]] = defaultdict(list)  # by id, in the order of tokens
        for run in journals.runs:
            self._runs[run.id].append(run)
        self._ended_by: dict[int, float] = {}  # pid: when it was asked to end
        for fault in journals.faults:
            if fault.kind in ("deploy", "kill supervisor"):
                self._ended_by[fault.pid] = fault.began

    def run(self) -> Ledger:
        self._reckon_calls()
        for id, asked in self._journals.asked.items():
            job, runs = self._stored.jobs.get(id), self._runs.get(id, [])
            if self._journals.answers.get(asked.call) == "ok":
                self._ledger.acknowledged += 1
                if job is None:
                    self._ledger.lost.append(f"{id} ({asked.kind}) is gone")
            if job is not None:
                self._reckon_job(id, job, runs)
            elif runs:
                self._ledger.wrong.append(f"{id} ran, but there is no record of it")
            self._reckon_times(id, runs)
        self._reckon_totals()
        if not self._ledger.acknowledged:
            self._ledger.wrong.append("no job was enqueued")
        self._ledger.runs = len(self._journals.runs)
        self._ledger.recoveries = list(self._recoveries())
        return self._ledger

    def _reckon_calls(self) -> None:
        """All or nothing."""
        journals, ledger = self._journals, self._ledger
        ledger.calls = len(journals.calls)
        for call, ids in journals.calls.items():
            own = [id for id in ids if journals.asked[id].call == call]
            known = [id for id in ids if journals.asked[id].call != call]
            there = sum(id in self._stored.jobs for id in own)
            answer = journals.answers.get(call, "none")
            ledger.failed_calls += answer in ("failed", "none", "cancelled")
            if answer.startswith("exists"):
                if not known or answer != f"exists {','.join(known)}" or there:
                    ledger.wrong.append(f"call {call}: {answer}, {there} of {len(own)} stored")
            elif answer == "ok" and known:
                ledger.wrong.append(f"call {call} was not refused, though {known} existed")
            elif there not in (0, len(own)):
                ledger.wrong.append(f"call {call} ({answer}) stored {there} of {len(own)} jobs")

    def _reckon_job(self, id: str, job: Stored, runs: list[Run]) -> None:
        ledger, cancel = self._ledger, self._journals.cancels.get(id, False)
        ledger.ended[job.status] += 1
        if job.status is Status.PENDING:
            ledger.lost.append(f"{id} ({job.kind}) has not ended; runs: {len(runs)}")
        elif job.status is Status.CANCELLED:
            if cancel is False:
                ledger.wrong.append(f"{id} is CANCELLED, but nobody has cancelled it")
        elif cancel:
            ledger.wrong.append(f"{id} was cancelled, and is {job.status}")
        elif job.lost_too_often:
            self._reckon_condemned(id, job, runs)
        elif job.status is not ENDS_AS[job.kind]:
            ledger.wrong.append(f"{id} ({job.kind}) ended as {job.status}")
        else:
            self._reckon_end(id, job, runs)

    def _reckon_condemned(self, id: str, job: Stored, runs: list[Run]) -> None:
        if job.kind == POISON:
            return
        if runs and self._storm_ended(runs[-1]):
            self._ledger.unlucky += 1
        else:
            self._ledger.condemned.append(f"{id} ({job.kind}) after {len(runs)} runs")

    def _storm_ended(self, run: Run) -> bool:
        """Whether the storm killed the process that ran it, or it was the last chance and ended,
        but in a worker that was cut off or stopped meanwhile: nobody heard of it in time.
        """
        faults, end = self._journals.faults, self._journals.ends.get((run.id, run.token))
        if end is None:
            return any(fault.pid == run.pid for fault in faults if fault.kind in _KILLS)
        return run.losses == _MAX_LOSSES and any(
            fault.began < end.at and fault.ended > run.at
            for fault in faults
            if fault.kind in _OUTAGES
            or (fault.kind in _OUTAGES_OF_SOME and fault.pid in (0, run.pid))
        )

    def _reckon_end(self, id: str, job: Stored, runs: list[Run]) -> None:
        """Exactly one outcome counts, that of the last delivery that anybody ran."""
        ledger = self._ledger
        tokens = [run.token for run in runs]
        if not tokens:
            ledger.lost.append(f"{id} ({job.kind}) has ended as {job.status}, but nobody ran it")
        elif len(set(tokens)) < len(tokens):
            ledger.held_twice.append(f"{id} was run twice under one token: {tokens}")
        elif job.token != tokens[-1]:
            ledger.wrong.append(f"{id} has the outcome of {job.token}, its runs were {tokens}")
        elif (id, tokens[-1]) not in self._journals.ends:
            ledger.wrong.append(f"{id} has the outcome of a run that has not ended")

    def _reckon_times(self, id: str, runs: list[Run]) -> None:
        """Never early; and never handed out while its worker still had it."""
        asked, ends = self._journals.asked[id], self._journals.ends
        if runs and runs[0].at < asked.at + asked.delay_ms / 1000 - _TICK_S:
            self._ledger.wrong.append(f"{id} began {runs[0].at - asked.at:.3f} s after its enqueue")
        for before, run in pairwise(runs):
            end = ends.get((id, before.token))
            if end is not None and end.outcome == "retry" and run.attempt > before.attempt:
                if run.at < end.at + end.after_ms / 1000 - _TICK_S:
                    self._ledger.wrong.append(f"{id} was retried {run.at - end.at:.3f} s later")
                continue
            self._ledger.again += 1
            if end is not None and end.outcome == "cancelled":
                continue
            if self._ended_by.get(before.pid, math.inf) < run.at:
                continue  # asked to end, it has given back what did not end in time
            if self._last_alive.get(before.worker, 0.0) > run.at:
                self._ledger.held_twice.append(
                    f"{id} ({before.kind}) began in {run.worker} while {before.worker} had it"
                )

    def _reckon_totals(self) -> None:
        """Settled once: as many ends were counted as there are records."""
        counted: Counter[str] = Counter()
        for job in self._stored.jobs.values():
            if job.status is not Status.PENDING:
                counted[f"{job.status.lower()}:{job.kind}"] += 1
        totals = self._stored.totals
        for name in sorted(totals.keys() | counted.keys()):
            number = totals.get(name, 0)
            if not name.startswith("retried:") and counted[name] != number:
                self._ledger.wrong.append(
                    f"{number} ends were counted as {name}, but {counted[name]} jobs ended so"
                )

    def _recoveries(self) -> Iterator[Recovery]:
        """By kill, each job that the killed process ran."""
        faults = self._journals.faults
        outages = [fault for fault in faults if fault.kind in _OUTAGES]
        more = [*outages, *(fault for fault in faults if fault.kind in _OUTAGES_OF_SOME)]
        killed_at = {fault.pid: fault.began for fault in faults if fault.kind in _KILLS}
        for id, runs in self._runs.items():
            for run, again in pairwise(runs):
                at = killed_at.get(run.pid)
                if at is None or at < run.at or (id, run.token) in self._journals.ends:
                    continue
                supervised = run.role.startswith(SUPERVISED)
                felt = more if supervised else outages
                calm = not any(one.began < again.at and one.ended > at for one in felt)
                yield Recovery(again.at - at, supervised, calm)
