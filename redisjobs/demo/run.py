"""One run of the demo, from the server to the report."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redisjobs.demo.follow import Course, Follower
from redisjobs.demo.journal import read_starts
from redisjobs.demo.keyspace import remove_all
from redisjobs.demo.kill import recovery
from redisjobs.demo.plan import KINDS, Plan, differences
from redisjobs.demo.processes import Process
from redisjobs.demo.producers import SERVICES
from redisjobs.demo.progress import Display
from redisjobs.demo.report import Report, Sums
from redisjobs.demo.setting import Setting
from redisjobs.demo.signals import undisturbed
from redisjobs.embedded import EmbeddedServer, server_url
from redisjobs.errors import RedisJobsError
from redisjobs.queue import RedisQueue

WORKER = "redisjobs.demo.workers:make_worker"


@dataclass(frozen=True, slots=True)
class Options:
    """What to show.

    Attributes:
        url: where Redis is; None: where the environment says, else on an embedded server.
        files: work on at most this many files; None: on all.
        workers: how many worker processes.
        kill: whether to kill one of them half way.
        worker: which worker they run, as `redisjobs worker` takes it.
    """

    url: str | None = None
    files: int | None = None
    workers: int = 3
    kill: bool = True
    worker: str = WORKER


def run_demo(options: Options, display: Display) -> Report:
    """Runs the demo. Nothing of it is left behind, however it ends: no process, and no key.

    Raises:
        DemoError: it cannot be run to its end.
        RedisJobsError: Redis cannot be reached or used, or no server can be started.
    """
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="redisjobs-demo-"))
        url, is_ours = stack.enter_context(_server(options.url, display))
        name = f"demo-{secrets.token_hex(6)}"
        setting = Setting(url, name, directory, options.files, options.workers, options.worker)
        plan = setting.plan()
        queue = setting.queue()
        stack.callback(queue.close)
        queue.stats()  # tells at once if Redis cannot be reached
        if not is_ours:
            display.say(f"queue {name!r}; its keys are removed at the end")
            stack.callback(_remove_keys, queue, display)
        course = _run_jobs(setting, plan, queue, options.kill, display)
        display.say("reading all results, and computing the same ones without a queue")
        return _report(plan, queue, course, Path(directory), kill_wanted=options.kill)


@contextmanager
def _server(url: str | None, display: Display) -> Iterator[tuple[str, bool]]:
    """The URL of the server to use, and whether it is one of our own."""
    given = url or server_url(os.environ)
    if given:
        yield given, False
        return
    with ExitStack() as stack:
        with undisturbed():
            server = stack.enter_context(EmbeddedServer())
        display.say(f"started {server.executable.name} {server.version} for this demo alone")
        yield server.url, True


def _run_jobs(
    setting: Setting,
    plan: Plan,
    queue: RedisQueue,
    kill: bool,
    display: Display,
) -> Course:
    with ExitStack() as stack:
        workers = _started(stack, "the workers' supervisor", setting, "workers")
        follower = Follower(queue, plan.job_count, workers, display, kill=kill)
        follower.until_started(setting.workers)
        display.say(
            f"workers started: {setting.workers}; now {SERVICES} services enqueue"
            f" {plan.job_count:,} jobs, {len(KINDS)} about each source file"
        )
        services = [
            _started(stack, f"service {number}", setting, "producers", str(number))
            for number in range(SERVICES)
        ]
        return follower.until_done(services)


def _started(
    stack: ExitStack, name: str, setting: Setting, module: str, *arguments: str
) -> Process:
    """A process of the demo's that ends with the stack."""
    with undisturbed():
        process = Process(name, setting, f"redisjobs.demo.{module}", *arguments)
        return stack.enter_context(process)


def _report(
    plan: Plan, queue: RedisQueue, course: Course, directory: Path, *, kill_wanted: bool
) -> Report:
    """The report of a run whose workers have ended."""
    collected = plan.collected(queue.get)
    return Report(
        jobs=plan.job_count,
        done=course.counts.done,
        failed=course.counts.failed,
        retried=collected.retried,
        retries_planned=len(plan.files),
        kill_wanted=kill_wanted,
        recovery=None if course.kill is None else recovery(course.kill, read_starts(directory)),
        seconds=course.seconds,
        sums=Sums.of(collected.results),
        unfinished=collected.unfinished,
        differences=differences(plan.expected(), collected.results),
        broken=list(queue.check()),
    )


def _remove_keys(queue: RedisQueue, display: Display) -> None:
    try:
        queue.lines.run(lambda: remove_all(queue.keys))
    except RedisJobsError as err:
        display.say(f"the keys of queue {queue.name!r} could not be removed: {err}")
