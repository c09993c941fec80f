"""Supervisors with real children over a real server: deaths, ends, and what is left behind."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from redisjobs import Job, RedisQueue, Status
from redisjobs.embedded import EmbeddedServer
from tests.running import held, wait_for_end
from tests.supervised import MODULE, Supervised
from tests.waiting import Deadline

WAIT_S = 30.0


class Shop:
    """A queue, the folder with its `shop.py`, and supervisors over it."""

    def __init__(self, folder: Path, server: EmbeddedServer, name: str) -> None:
        self.folder = folder
        self.client = redis.Redis.from_url(server.url, socket_timeout=None)
        self.queue = RedisQueue.from_url(server.url, name)
        self._environ = {"REDISJOBS_URL": server.url, "QUEUE": name}
        self._supervised: list[Supervised] = []
        self.write(MODULE)

    def write(self, source: str) -> None:
        (self.folder / "shop.py").write_text(source)

    def supervise(self, *arguments: str) -> Supervised:
        supervised = Supervised(self.folder, "shop:worker", *arguments, **self._environ)
        self._supervised.append(supervised)
        return supervised

    def key(self, what: str) -> str:
        return f"redisjobs:{{{self.queue.name}}}:test-{what}"

    def hold(self, *ids: str) -> None:
        """Enqueues jobs that run until they are let go."""
        self.queue.enqueue(*(Job("hold", id=id) for id in ids))

    def let_go(self, *ids: str) -> None:
        for id in ids:
            self.client.rpush(self.key(f"go-{id}"), "go")

    def next_start(self) -> tuple[str, int, int]:
        """The id of the job that began next, in which process, and after how many losses."""
        began: Any = self.client.blpop([self.key("began")], timeout=WAIT_S)
        assert began is not None, f"awaited in vain: a job begins; {self._outputs()}"
        id, pid, losses = began[1].decode().split()
        return id, int(pid), int(losses)

    def starts(self, count: int) -> dict[str, tuple[int, int]]:
        """The next starts, by id."""
        return {id: (pid, losses) for id, pid, losses in (self.next_start() for _ in range(count))}

    def infos(self) -> dict[int, dict[str, Any]]:
        """What the registered workers say of themselves, by pid."""
        found: Any = self.client.hgetall(self.queue.keys.worker_info)
        return {info["pid"]: info for info in map(json.loads, found.values())}

    def status(self, id: str) -> Status:
        job = self.queue.get(id)
        assert job is not None
        return job.status

    def outcomes(self, *ids: str) -> set[tuple[Status, int]]:
        """The statuses and numbers of attempts of these jobs, once all have ended."""
        return {(job.status, job.attempts_done) for job in wait_for_end(self.queue, *ids)}

    def held_ids(self) -> set[str]:
        """What stands in the workers' lists. No id stands there twice."""
        deliveries = [one for each in held(self.client, self.queue).values() for one in each]
        ids = [delivery.decode().split(":", 1)[1] for delivery in deliveries]
        assert len(set(ids)) == len(ids), "no job is held by two"
        return set(ids)

    def _outputs(self) -> str:
        return "\n".join(supervised.output for supervised in self._supervised)

    def close(self) -> None:
        for supervised in self._supervised:
            supervised.end()
        self.client.close()
        self.queue.close()


@pytest.fixture
def shop(tmp_path: Path, redis_server: EmbeddedServer, queue_name: str) -> Iterator[Shop]:
    shop = Shop(tmp_path, redis_server, queue_name)
    yield shop
    shop.close()


@pytest.fixture
def deadline() -> Deadline:
    return Deadline(WAIT_S)


def test_sigterm_waits_for_what_runs_and_leaves_nothing_behind(
    shop: Shop, deadline: Deadline
) -> None:
    supervised = shop.supervise("--processes", "2", "--concurrency", "1", "--log-level", "debug")
    shop.hold("a", "b", "later")
    running = shop.starts(2)
    assert {pid for pid, _ in running.values()} == set(supervised.children)
    supervised.stop()
    supervised.line("SIGTERM: the workers stop when their jobs have ended", deadline)
    supervised.line("the supervisor stops this worker", deadline, count=2)
    shop.let_go(*running)
    assert supervised.exit_code(deadline) == 0
    assert [shop.status(id) for id in running] == [Status.DONE] * 2
    assert shop.queue.stats().workers == ()
    assert shop.queue.stats().kinds["hold"].ready == 1
    assert shop.client.llen(shop.key("began")) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_kills_all_and_its_number_is_the_exit_code(
    shop: Shop, deadline: Deadline, number: signal.Signals
) -> None:
    supervised = shop.supervise("--processes", "2", "--concurrency", "1")
    shop.hold("a", "b")
    shop.starts(2)
    supervised.stop(number)
    supervised.line(f"{number.name}: the workers stop", deadline)
    supervised.stop(number)
    assert supervised.exit_code(deadline) == 128 + number
    assert "killing the workers" in supervised.output
    assert [shop.status(id) for id in "ab"] == [Status.PENDING] * 2


def test_a_worker_has_the_settings_of_the_command_line(shop: Shop, deadline: Deadline) -> None:
    supervised = shop.supervise("--concurrency", "1", "--lease", "2m", "--prefetch", "0")
    shop.hold("a", "b")
    _, pid, _ = shop.next_start()
    told = shop.infos()[pid]
    assert (told["concurrency"], told["lease_ms"]) == (1, 120_000)
    assert shop.queue.stats().workers[0].held == 1
    shop.let_go("a", "b")
    supervised.stop()
    assert supervised.exit_code(deadline) == 0


def test_a_burst_without_redis_ends_and_says_why(tmp_path: Path, deadline: Deadline) -> None:
    (tmp_path / "shop.py").write_text(MODULE)
    nowhere = f"unix://{tmp_path}/none"
    supervised = Supervised(
        tmp_path, "shop:worker", "--burst", "--processes", "2", REDISJOBS_URL=nowhere, QUEUE="q"
    )
    try:
        assert supervised.exit_code(deadline) == 69
    finally:
        supervised.end()
    told = f"Redis at {tmp_path}/none: cannot be reached"
    assert told in supervised.output
    assert "a burst does not wait until it can be" in supervised.output
    assert "Traceback" not in supervised.output


def test_a_module_that_runs_its_worker_while_it_is_loaded_ends_at_once(
    shop: Shop, deadline: Deadline
) -> None:
    shop.write(f"{MODULE}\nworker.run()\n")
    supervised = shop.supervise()
    assert supervised.exit_code(deadline) == 78
    assert "runs a worker while it is imported: leave that to `redisjobs worker`" in (
        supervised.output
    )


def test_ctrl_c_reaches_the_supervisor_only(shop: Shop, deadline: Deadline) -> None:
    supervised = shop.supervise()
    shop.hold("a")
    _, pid, _ = shop.next_start()
    assert os.getsid(pid) == pid
    os.killpg(supervised.process.pid, signal.SIGINT)
    supervised.line("SIGINT: the workers stop", deadline)
    shop.let_go("a")
    assert supervised.exit_code(deadline) == 0
    assert shop.status("a") is Status.DONE


def test_a_signal_to_all_processes_at_once_ends_them_gracefully(
    shop: Shop, deadline: Deadline
) -> None:
    """As systemd does it by default."""
    supervised = shop.supervise("--processes", "2", "--concurrency", "1")
    shop.hold("a", "b")
    shop.starts(2)
    supervised.stop()
    for pid in supervised.children:
        os.kill(pid, signal.SIGTERM)
    supervised.line("SIGTERM: the workers stop", deadline)
    shop.let_go("a", "b")
    assert supervised.exit_code(deadline) == 0
    assert [shop.status(id) for id in "ab"] == [Status.DONE] * 2
    assert shop.queue.stats().workers == ()


def test_the_next_process_takes_a_dead_ones_jobs_back_before_it_claims(
    shop: Shop, deadline: Deadline
) -> None:
    supervised = shop.supervise()
    shop.hold("a", "b")
    (dead, _), _ = shop.starts(2).values()
    shop.hold(*(f"waiting-{number}" for number in range(200)))
    os.kill(dead, signal.SIGKILL)
    again = shop.starts(2)
    assert set(again) == {"a", "b"}
    (pid, losses), _ = again.values()
    assert (pid, losses) == (supervised.children[1], 1)
    supervised.line("was ended by SIGKILL; starting another one now", deadline)
    assert {info["spawn"] for info in shop.infos().values()} == {2}


def test_a_sibling_takes_a_dead_ones_jobs_back_while_there_is_no_next_one(
    shop: Shop, deadline: Deadline
) -> None:
    supervised = shop.supervise("--processes", "2")
    shop.hold("a", "b", "c", "d")
    running = shop.starts(4)
    assert {pid for pid, _ in running.values()} == set(supervised.children)
    shop.write("raise LookupError('half a deploy')")
    dead, alive = supervised.children
    lost = {id for id, (pid, _) in running.items() if pid == dead}
    shop.let_go(*(running.keys() - lost))
    deadline.until(
        lambda: shop.queue.stats().kinds["hold"].done == len(running) - len(lost), "room for them"
    )
    os.kill(dead, signal.SIGKILL)
    assert shop.starts(len(lost)) == dict.fromkeys(lost, (alive, 1))

    # The deploy is done while the supervisor still tries.
    supervised.line("cannot load shop:worker: LookupError: half a deploy", deadline)
    supervised.line(r"ended with code 78; starting another one in \d", deadline)
    assert supervised.process.poll() is None
    shop.write(MODULE)
    shop.hold("e", "f")
    assert {pid for pid, _ in shop.starts(2).values()} == {supervised.children[-1]}


def test_all_workers_have_their_supervisors_token_and_numbers_of_their_own(
    shop: Shop, deadline: Deadline
) -> None:
    first, second = shop.supervise("--processes", "2"), shop.supervise("--concurrency", "7")
    deadline.until(lambda: len(shop.infos()) == 3, "3 registrations")
    infos = shop.infos()
    assert [infos[pid]["spawn"] for pid in first.children] == [1, 2]
    assert [infos[pid]["concurrency"] for pid in first.children] == [2, 2]
    tokens = {infos[pid]["supervisor"] for pid in first.children}
    assert len(tokens) == 1
    other = infos[second.children[0]]
    assert other["supervisor"] not in tokens
    assert (other["spawn"], other["concurrency"]) == (1, 7)


def test_no_child_outlives_a_supervisor_that_was_killed(shop: Shop, deadline: Deadline) -> None:
    supervised = shop.supervise("--processes", "3", "--concurrency", "1")
    shop.hold("a", "b", "c", "later")
    running = shop.starts(3)
    supervised.stop(signal.SIGKILL)
    supervised.line("the supervisor is gone: this worker stops", deadline, count=3)
    shop.let_go(*running)
    assert supervised.exit_code(deadline) == -signal.SIGKILL
    assert [shop.status(id) for id in running] == [Status.DONE] * 3
    assert shop.queue.stats().workers == ()
    assert supervised.output.count("has stopped") == 3
    assert shop.client.llen(shop.key("began")) == 0


def test_what_a_killed_supervisors_children_cannot_end_in_time_goes_on_elsewhere(
    shop: Shop, deadline: Deadline
) -> None:
    killed = shop.supervise("--processes", "2", "--concurrency", "1", "--shutdown-timeout", "0s")
    shop.hold("a", "b")
    running = shop.starts(2)
    assert {pid for pid, _ in running.values()} == set(killed.children)
    other = shop.supervise("--concurrency", "3")
    deadline.until(lambda: len(shop.infos()) == 3, "the other supervisor's worker is there")
    killed.stop(signal.SIGKILL)
    assert killed.exit_code(deadline) == -signal.SIGKILL, "no child is left"
    shop.hold("later")
    # It is no loss: they were given back.
    assert shop.starts(3) == dict.fromkeys(("a", "b", "later"), (other.children[0], 0))
    shop.let_go("a", "b", "later")
    assert shop.outcomes("a", "b", "later") == {(Status.DONE, 1)}
    assert list(shop.infos()) == other.children
    assert shop.client.llen(shop.key("began")) == 0
    assert shop.queue.check() == []


def test_of_two_supervisors_one_is_killed_whole_and_the_others_workers_run_its_jobs(
    shop: Shop, deadline: Deadline
) -> None:
    """As where one of two machines dies: nobody says so, only the leases end."""
    options = ("--processes", "2", "--lease", "1s")
    killed = shop.supervise(*options, "--concurrency", "1")
    shop.hold("a", "b")
    assert {pid for pid, _ in shop.starts(2).values()} == set(killed.children)
    other = shop.supervise(*options)  # each of its two has two slots
    shop.hold("c", "d")
    assert {pid for pid, _ in shop.starts(2).values()} <= set(other.children)
    assert shop.queue.check() == []
    killed.stop(signal.SIGKILL)
    for pid in killed.children:
        os.kill(pid, signal.SIGKILL)
    assert killed.exit_code(deadline) == -signal.SIGKILL
    again = shop.starts(2)
    assert {id: losses for id, (_, losses) in again.items()} == {"a": 1, "b": 1}
    assert {pid for pid, _ in again.values()} <= set(other.children)
    assert shop.held_ids() == {"a", "b", "c", "d"}
    assert shop.queue.check() == []
    shop.queue.enqueue(*(Job("count") for _ in range(200)))
    shop.let_go("a", "b", "c", "d")
    assert shop.outcomes("a", "b", "c", "d") == {(Status.DONE, 1)}
    deadline.until(lambda: shop.queue.stats().kinds["count"].done == 200, "all have ended")
    assert int(shop.client.getdel(shop.key("count")) or 0) == 200
    assert shop.client.llen(shop.key("began")) == 0, "nothing began twice but what was lost"
    assert set(shop.infos()) == set(other.children)
    assert shop.queue.check() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_still_loads_ends_at_once_with_its_supervisor(
    shop: Shop, deadline: Deadline, number: signal.Signals
) -> None:
    loading = 'client.rpush(told("began"), f"loading {os.getpid()} 0"); client.blpop(["never"])'
    shop.write(MODULE + loading)
    supervised = shop.supervise("--processes", "2")
    shop.next_start()
    shop.next_start()
    supervised.stop(number)
    assert supervised.exit_code(deadline) == (0 if number == signal.SIGTERM else -number)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_nobody_holds_an_end_of_anothers_line(shop: Shop) -> None:
    supervised = shop.supervise("--processes", "3", "--concurrency", "1")
    shop.hold("a", "b", "c")
    shop.starts(3)
    sockets = [sockets_of(pid) for pid in (supervised.process.pid, *supervised.children)]
    assert all(sockets)
    assert len(set.union(*sockets)) == sum(map(len, sockets))


def sockets_of(pid: int) -> set[str]:
    links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return {link for link in links if link.startswith("socket:")}


def test_a_supervisor_loads_no_user_code_and_no_client_of_redis(
    shop: Shop, deadline: Deadline
) -> None:
    shop.write("import os\nprint('loaded by', os.getpid(), flush=True)\n" + MODULE)
    supervised = shop.supervise()
    assert int(supervised.line(r"loaded by (\d+)", deadline)[1]) == supervised.children[0]
    shop.hold("a")
    shop.next_start()
    assert supervised.output.count("loaded by") == 1
    if Path("/proc/self/maps").exists():
        maps = Path(f"/proc/{supervised.process.pid}/maps").read_text()
        assert "hiredis" not in maps
        assert "hiredis" in Path(f"/proc/{supervised.children[0]}/maps").read_text()


def test_what_cannot_be_loaded_at_the_start_is_told_once_and_ends_all(
    shop: Shop, deadline: Deadline
) -> None:
    shop.write("workers = []")
    supervised = shop.supervise("--processes", "3")
    assert supervised.exit_code(deadline) == 78
    told = "cannot load shop:worker: module 'shop' has no attribute 'worker'"
    assert supervised.output.count(told) == 1
    assert "Traceback" not in supervised.output
    assert len(supervised.children) == 3


def test_a_redis_that_cannot_be_worked_with_ends_all_at_the_start(
    shop: Shop, deadline: Deadline
) -> None:
    shop.write(MODULE.replace("from_url(url, name)", "from_url(f'{url}?password=secret', name)"))
    supervised = shop.supervise()
    assert supervised.exit_code(deadline) == 78
    supervised.line("refuses the connection", deadline)
    assert "secret" not in supervised.output
    assert "Traceback" not in supervised.output


def test_a_crash_loop_slows_down_and_a_signal_ends_it_at_once(
    shop: Shop, deadline: Deadline
) -> None:
    shop.write("import os\nos._exit(3)")
    supervised = shop.supervise()
    supervised.line("ended with code 3; starting another one now", deadline)
    first = supervised.line(r"ended with code 3; starting another one in (.*) s", deadline)
    second = supervised.line(
        r"ended with code 3; starting another one in (.*) s", deadline, count=2
    )
    assert 0.3 <= float(first[1]) <= 0.5 < 0.7 <= float(second[1]) <= 1.0
    supervised.stop()
    assert supervised.exit_code(deadline) == 0
    assert len(supervised.children) == 3


def test_a_child_that_ended_gracefully_by_itself_is_followed_by_another(
    shop: Shop, deadline: Deadline
) -> None:
    supervised = shop.supervise()
    shop.hold("a")
    _, first, _ = shop.next_start()
    os.kill(first, signal.SIGTERM)
    shop.let_go("a")
    supervised.line("ended with code 0; starting another one now", deadline)
    shop.hold("b")
    id, second, losses = shop.next_start()
    assert (id, losses) == ("b", 0)
    assert second != first


def test_a_burst_of_three_processes_drains_the_queue_and_ends(
    shop: Shop, deadline: Deadline
) -> None:
    shop.queue.enqueue(*(Job("count") for _ in range(500)))
    supervised = shop.supervise("--processes", "3", "--burst")
    assert supervised.exit_code(deadline) == 0
    assert int(shop.client.get(shop.key("count")) or 0) == 500
    assert shop.queue.stats().kinds["count"].done == 500
    assert shop.queue.stats().workers == ()
    assert len(supervised.children) == 3


def test_a_burst_goes_on_after_a_crash(shop: Shop, deadline: Deadline) -> None:
    crash = "worker.register('crash', lambda ctx, job: ctx.losses or os.kill(os.getpid(), 9))"
    shop.write(MODULE + crash.replace("ctx.losses or", "None if ctx.losses else"))
    shop.queue.enqueue(Job("crash", id="a"), *(Job("count") for _ in range(50)))
    supervised = shop.supervise("--burst")
    assert supervised.exit_code(deadline) == 0
    assert shop.status("a") is Status.DONE
    assert shop.queue.stats().kinds["count"].done == 50
    assert len(supervised.children) == 2


def test_a_thread_of_the_users_that_never_ends_keeps_nobody(shop: Shop, deadline: Deadline) -> None:
    forever = """
import atexit, sys, threading
sys.modules["__main__"].LEAVE_WITHIN_S = 0.2
threading.Thread(target=threading.Event().wait).start()
"""
    shop.write(MODULE + forever)
    supervised = shop.supervise()
    shop.hold("a")
    shop.next_start()
    shop.let_go("a")
    supervised.stop()
    assert supervised.exit_code(deadline) == 0
    assert shop.status("a") is Status.DONE


def test_what_the_user_left_for_the_end_is_done(shop: Shop, deadline: Deadline) -> None:
    shop.write(MODULE + "import atexit; atexit.register(print, 'the end of', os.getpid())")
    supervised = shop.supervise()
    shop.hold("a")
    _, pid, _ = shop.next_start()
    supervised.stop()
    shop.let_go("a")
    assert supervised.exit_code(deadline) == 0
    assert f"the end of {pid}\n" in supervised.output


@pytest.mark.parametrize("level", ["info", "warning"])
def test_a_log_line_has_time_level_process_and_logger(
    shop: Shop, deadline: Deadline, level: str
) -> None:
    supervised = shop.supervise("--log-level", level, "--burst")
    assert supervised.exit_code(deadline) == 0
    if level == "warning":
        assert supervised.output == ""
    else:
        pid = supervised.children[0]
        line = rf"(?m)^[-\d]+ [:,\d]+ INFO +{pid} redisjobs\.worker: worker of queue"
        supervised.line(line, deadline)


def test_logging_that_the_module_has_set_up_is_left_alone(shop: Shop, deadline: Deadline) -> None:
    shop.write("import logging; logging.basicConfig(level=20, format='mine: %(message)s')" + MODULE)
    supervised = shop.supervise("--burst")
    assert supervised.exit_code(deadline) == 0
    supervised.line("(?m)^mine: worker of queue", deadline)
    assert supervised.output.count("has stopped") == 1
