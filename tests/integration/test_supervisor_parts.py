"""What a supervisor is made of, each by itself: its signals, a child's end of
the line, its loop."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from redisjobs import Context, Job, RedisQueue, Worker
from redisjobs.embedded import EmbeddedServer
from redisjobs.supervisor import lifeline as lifeline_module
from redisjobs.supervisor import supervisor as supervisor_module
from redisjobs.supervisor.lifeline import Lifeline
from redisjobs.supervisor.process import WorkerOptions, how_it_ended
from redisjobs.supervisor.protocol import Birth, Report, birth_line, death_line, read_report, say
from redisjobs.supervisor.signals import Signals
from redisjobs.supervisor.supervisor import Supervisor
from redisjobs.worker.worker import Parentage
from tests.waiting import wait_for_event

TIMEOUT_S = 10.0


class NoQueue:
    def enqueue(self, *jobs: Any) -> Any: ...

    def dequeue(self, kinds: Sequence[str], fn: Any) -> bool:
        return False


class Recorder(Worker):
    """A worker that notes what it is told."""

    def __init__(self) -> None:
        super().__init__(NoQueue())
        self.told: queue.SimpleQueue[str | tuple[str, int]] = queue.SimpleQueue()

    def stop(self) -> None:
        self.told.put("stop")

    def sibling_died(self, supervisor: str, spawn: int) -> None:
        self.told.put((supervisor, spawn))

    def next(self) -> str | tuple[str, int]:
        return self.told.get(timeout=TIMEOUT_S)


def join_lifelines() -> None:
    for thread in threading.enumerate():
        if thread.name == "redisjobs-lifeline":
            thread.join(TIMEOUT_S)


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> queue.SimpleQueue[int]:
    """The codes with which a line would have ended this process."""
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()
    monkeypatch.setattr(lifeline_module, "_exit_at_once", codes.put)
    return codes


@pytest.fixture
def line(exits: queue.SimpleQueue[int]) -> Iterator[tuple[socket.socket, Lifeline]]:
    """A supervisor's end, and the child's, which was born as number 7 when 3 was dead."""
    ours, theirs = socket.socketpair()
    ours.sendall(birth_line(Birth("5f0c", 7, (3,))))
    yield ours, Lifeline(theirs.detach())
    ours.close()
    join_lifelines()  # or one would end this process after the test


def test_a_child_knows_who_it_is_and_says_that_it_runs(
    line: tuple[socket.socket, Lifeline],
) -> None:
    ours, lifeline = line
    parentage = lifeline.hand_over(Recorder())
    assert (parentage.supervisor, parentage.spawn, parentage.dead) == ("5f0c", 7, (3,))
    assert read_report([ours.recv(100)]) == Report(ran=True)


def test_what_dies_while_a_child_loads_is_told_with_its_parentage(
    line: tuple[socket.socket, Lifeline],
) -> None:
    ours, lifeline = line
    ours.sendall(death_line(4) + death_line(5))
    # Heard in their order, so the last one is heard when the worker is told of it.
    worker = Recorder()
    dead = lifeline.hand_over(worker).dead
    ours.sendall(death_line(6))
    told = list(dead)
    while told[-1] != 6:
        death = worker.next()
        assert isinstance(death, tuple)
        assert death[0] == "5f0c"
        told.append(death[1])
    assert told == [3, 4, 5, 6]


def test_a_word_to_stop_stops_the_worker_which_is_told_of_deaths_all_the_same(
    line: tuple[socket.socket, Lifeline],
) -> None:
    ours, lifeline = line
    worker = Recorder()
    lifeline.hand_over(worker)
    ours.sendall(say(stop=True) + death_line(4))
    assert [worker.next(), worker.next()] == ["stop", ("5f0c", 4)]


@pytest.mark.parametrize("heard", [True, False])
def test_the_supervisors_end_stops_the_worker(
    line: tuple[socket.socket, Lifeline], heard: bool
) -> None:
    ours, lifeline = line
    worker = Recorder()
    lifeline.hand_over(worker)
    if heard:
        ours.recv(100)  # else the stream ends with an error on some systems
    ours.close()
    assert worker.next() == "stop"


def test_a_supervisor_that_cannot_be_understood_stops_the_worker(
    line: tuple[socket.socket, Lifeline],
) -> None:
    ours, lifeline = line
    worker = Recorder()
    lifeline.hand_over(worker)
    ours.sendall(b"hello\n")
    assert worker.next() == "stop"


@pytest.mark.parametrize("last_word", [say(stop=True), b""])
def test_before_there_is_a_worker_the_process_ends_at_once(
    line: tuple[socket.socket, Lifeline], exits: queue.SimpleQueue[int], last_word: bytes
) -> None:
    ours, _ = line
    if last_word:
        ours.sendall(last_word)
    else:
        ours.close()
    assert exits.get(timeout=TIMEOUT_S) == 0


def test_a_supervisor_that_is_gone_at_birth_ends_the_child() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with pytest.raises(SystemExit) as ended:
        Lifeline(theirs.detach())
    assert ended.value.code == 0


def test_processes_that_handlers_start_do_not_inherit_the_line() -> None:
    ours, theirs = socket.socketpair()
    os.set_inheritable(theirs.fileno(), True)
    descriptor = theirs.detach()
    ours.sendall(birth_line(Birth("5f0c", 7)))
    worker = Recorder()
    Lifeline(descriptor).hand_over(worker)
    assert not os.get_inheritable(descriptor)
    ours.close()
    assert worker.next() == "stop"
    join_lifelines()


def test_a_wait_ends_with_the_signals_in_their_order_also_with_those_before_it() -> None:
    with Signals(signal.SIGTERM, signal.SIGINT) as signals:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
        assert signals.wait(None) == [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]
        assert signals.wait(0.0) == []


def test_a_signal_ends_a_wait_that_has_begun() -> None:
    with Signals(signal.SIGTERM) as signals:
        sender = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
        sender.start()
        assert signals.wait(TIMEOUT_S) == [signal.SIGTERM]
        sender.join()


def test_more_signals_than_a_socket_has_room_for_end_every_wait() -> None:
    with Signals(signal.SIGTERM) as signals:
        # So full that a signal's byte finds no room.
        while True:
            try:
                signals._writer.send(b"\0" * 4096)
            except BlockingIOError:
                break
        signal.raise_signal(signal.SIGTERM)
        assert signals.wait(None) == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert signals.wait(None) == [signal.SIGTERM]


def test_the_handlers_of_before_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Signals(signal.SIGTERM):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_exit_codes_are_told_in_words() -> None:
    assert how_it_ended(0) == "ended with code 0"
    assert how_it_ended(-9) == "was ended by SIGKILL"
    assert how_it_ended(-63) == "was ended by signal 63"


class StagedProcess:
    """Stands for a child: its end is handed in, and comes at once."""

    ends: list[tuple[int, Report]]
    born: list[Birth]
    told: list[tuple[int, bytes]]
    pid = 1

    def __init__(self, _: WorkerOptions, birth: Birth, born_at: float) -> None:
        self.spawn, self.born_at = birth.spawn, born_at
        self.born.append(birth)
        if not self.ends:
            raise OSError("too many processes")
        self._exit_code, self._report = self.ends.pop(0)
        signal.raise_signal(signal.SIGCHLD)

    def tell(self, line: bytes) -> None:
        self.told.append((self.spawn, line))

    def exit_code(self) -> int:
        return self._exit_code

    def report(self) -> Report:
        return self._report


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> type[StagedProcess]:
    StagedProcess.ends, StagedProcess.born, StagedProcess.told = [], [], []
    monkeypatch.setattr(supervisor_module, "WorkerProcess", StagedProcess)
    return StagedProcess


def supervise(processes: int = 1) -> int:
    return Supervisor(WorkerOptions("shop:worker", burst=True), processes=processes).run()


RAN = Report(ran=True)


def test_the_next_one_is_told_of_those_that_ran_and_died(staged: type[StagedProcess]) -> None:
    staged.ends += [(-9, RAN), (1, Report()), (0, RAN)]
    assert supervise() == 0
    assert [(birth.spawn, birth.dead) for birth in staged.born] == [(1, ()), (2, (1,)), (3, (1,))]
    assert len({birth.supervisor for birth in staged.born}) == 1


def test_those_that_live_are_told_of_each_death(staged: type[StagedProcess]) -> None:
    staged.ends += [(0, RAN), (0, RAN), (0, RAN)]
    assert supervise(processes=3) == 0
    assert staged.told == [(2, death_line(1)), (3, death_line(1)), (3, death_line(2))]


def test_no_two_supervisors_have_the_same_token(staged: type[StagedProcess]) -> None:
    staged.ends += [(0, RAN), (0, RAN)]
    supervise()
    supervise()
    assert len({birth.supervisor for birth in staged.born}) == 2


@pytest.mark.parametrize("ran", [True, False])
def test_what_cannot_run_at_the_start_stops_all_with_a_code_of_its_own(
    staged: type[StagedProcess], caplog: pytest.LogCaptureFixture, ran: bool
) -> None:
    staged.ends += [(78, Report(ran, "cannot load shop")), (78, Report(ran, "cannot load shop"))]
    assert supervise(processes=2) == 78
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "cannot load shop"
    ]
    assert len(staged.born) == 2


def test_what_cannot_run_later_is_tried_again(staged: type[StagedProcess]) -> None:
    staged.ends += [(-9, RAN), (78, Report(failure="half a deploy")), (0, RAN)]
    assert supervise() == 0
    assert len(staged.born) == 3


def test_what_ran_for_long_before_it_could_not_is_tried_again(
    staged: type[StagedProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "HEALTHY_AFTER_S", 0.0)
    staged.ends += [(78, Report(ran=True, failure="the password has changed")), (0, RAN)]
    assert supervise() == 0
    assert len(staged.born) == 2


def test_a_process_that_cannot_be_started_is_tried_again(
    staged: type[StagedProcess], caplog: pytest.LogCaptureFixture
) -> None:
    def recover(record: Any) -> bool:
        if "no process can be started" in record.getMessage():
            staged.ends.append((0, RAN))
        return True

    caplog.handler.addFilter(recover)
    assert supervise() == 0
    assert "no process can be started, next try in 0.0 s: too many processes" in caplog.text
    assert len(staged.born) == 2


def test_a_worker_minds_deaths_that_it_was_told_of_before_it_ran(
    redis_server: EmbeddedServer, queue_name: str
) -> None:
    """The other one lives, in truth, so that only the word of its death can be why."""
    queue = RedisQueue.from_url(redis_server.url, queue_name)
    queue.enqueue(Job("hold", id="a"))
    begun, let_go = threading.Event(), threading.Event()

    def hold(ctx: Context, job: Job) -> bytes:
        if ctx.losses == 0:
            begun.set()
            let_go.wait(TIMEOUT_S)
        return str(ctx.losses).encode()

    first, second = (Worker(queue, {"hold": hold}, lease=120.0) for _ in range(2))
    parentage = Parentage("5f0c", 1)
    running = threading.Thread(target=first.run, kwargs={"parentage": parentage})
    running.start()
    wait_for_event(begun, "the job begins")
    second.sibling_died("5f0c", 1)
    second.run(burst=True)
    job = queue.get("a")
    let_go.set()
    first.stop()
    running.join(TIMEOUT_S)
    queue.close()
    assert job is not None
    assert job.result == b"1"
