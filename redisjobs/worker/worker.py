"""The worker as users see it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Unpack

from redisjobs.attempt import AsyncHandler, SyncHandler
from redisjobs.errors import ConfigurationError, InvalidJobError, UnknownKindError
from redisjobs.job import Job
from redisjobs.limits import normalise_kind
from redisjobs.origin import Origin
from redisjobs.queue import JobQueue
from redisjobs.queue_base import QueueBase
from redisjobs.registry import Handlers
from redisjobs.worker.engine import Engine
from redisjobs.worker.hosted import hosted
from redisjobs.worker.janitor import ChildDeath
from redisjobs.worker.loop import CallersLoop, HandlerLoop, Loop
from redisjobs.worker.plain import PlainRunner, is_job_queue
from redisjobs.worker.settings import WorkerKeywords, WorkerSettings
from redisjobs.worker.shutdown import Shutdown
from redisjobs.worker.signals import stopping_on_signals

if TYPE_CHECKING:
    from redisjobs.aio import AsyncRedisQueue

_LOGGER = logging.getLogger("redisjobs.worker")

# What is being imported to find a worker in it, as MODULE:WORKER.
being_loaded: ContextVar[str] = ContextVar("being_loaded", default="")


@dataclass(frozen=True, slots=True)
class Parentage:
    """A worker's supervisor: its token, the number of this spawn, and the spawns that died before
    this one began.
    """

    supervisor: str
    spawn: int
    dead: tuple[int, ...] = field(default=())

    def deaths(self) -> list[ChildDeath]:
        """Those spawns, as the janitor takes them."""
        return [ChildDeath(self.supervisor, spawn) for spawn in self.dead]


class Worker:
    """Runs the jobs of a queue: sync handlers on threads, `async def` handlers on an event loop of
    its own, or with `arun()` on its caller's.

    Args:
        queue: a `RedisQueue`, an `AsyncRedisQueue` (the worker opens blocking connections of its
            own), or any object with `enqueue` and `dequeue`, which is polled by as many threads.
        handlers: functions by kind, each `fn(ctx, job) -> bytes | None`, sync or `async def`; or a
            `Registry`, where what it gets later counts, too.
        concurrency: how many handlers run at once; 0 means 1.
        prefetch: how many jobs to hold beyond those; "auto" takes what will start within about 20
            ms; 0: none.
        lease: seconds for which the worker may stay silent before others take its jobs; it beats
            every third of it.
        shutdown_timeout: seconds for which running handlers may go on after a stop.
        max_losses: how often a job may lose its worker before it ends as PANIC.
        min_retry_backoff: seconds that a `RetryableError` waits at least.
        poll_interval: seconds after which it looks for jobs if nothing wakes it; under 0.1 means
            0.1.
        logger: where it logs, by default "redisjobs.worker". Records about a job carry its id, kind
            and attempt.

    Raises:
        ConfigurationError: a setting, the queue or a handler cannot be used.
        InvalidJobError: no job can have that kind.
    """

    def __init__(
        self,
        queue: JobQueue | AsyncRedisQueue,
        handlers: Mapping[str, SyncHandler | AsyncHandler] | Handlers | None = None,
        *,
        concurrency: int = 10,
        prefetch: int | Literal["auto"] = "auto",
        lease: float = 15.0,
        shutdown_timeout: float = 30.0,
        max_losses: int = 3,
        min_retry_backoff: float = 5.0,
        poll_interval: float = 1.0,
        logger: logging.Logger | None = None,
    ) -> None:
        if not is_job_queue(queue):
            raise ConfigurationError(
                "a worker needs a RedisQueue, or an object with enqueue() and dequeue(),"
                f" not {type(queue).__name__}"
            )
        self.queue = queue
        self.settings = WorkerSettings.of(
            concurrency,
            prefetch,
            lease,
            shutdown_timeout,
            max_losses,
            min_retry_backoff,
            poll_interval,
        )
        self._handlers = handlers if isinstance(handlers, Handlers) else Handlers(handlers)
        self._logger = logger or _LOGGER
        self._shutdown = Shutdown(self.settings.shutdown_timeout_s)
        self._engine: Engine | None = None
        self._early_deaths: list[ChildDeath] = []
        self._running = False

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that it runs."""
        return self._handlers.kinds

    def register(self, kind: str, fn: SyncHandler | AsyncHandler) -> None:
        """Has `fn` run the jobs of this kind, from now on, also while the worker runs.

        Raises:
            KindExistsError: the kind has a handler already.
            InvalidJobError: no job can have this kind.
            ConfigurationError: `fn` cannot be called.
        """
        self._handlers.register(kind, fn)
        engine = self._engine
        if engine is not None:
            engine.heartbeat.beat_soon()
            engine.wakeup.wake()

    def use_settings(self, **settings: Unpack[WorkerKeywords]) -> None:
        """Has the next `run()` use these settings instead of those that it was made with.

        Raises:
            ConfigurationError: a value cannot be used; it names the setting.
        """
        self.settings = self.settings.with_these(settings)
        self._shutdown.allow(self.settings.shutdown_timeout_s)

    def enqueue(self, *jobs: Job) -> Any:
        """Enqueues jobs that this worker can run, all or none.

        Raises:
            UnknownKindError: a job's kind has no handler here; nothing was written.
            InvalidJobError: what is no job, or can be none.
        """
        for job in jobs:
            if not isinstance(job, Job):
                raise InvalidJobError(f"enqueue takes Job objects, not {type(job).__name__}")
            kind = normalise_kind(job.kind)
            if self._handlers.get(kind) is None:
                known = ", ".join(sorted(self._handlers.kinds)) or "none"
                raise UnknownKindError(
                    f"job {job.id!r}: no handler for kind {kind!r}; registered: {known}."
                    " Register it, or enqueue through the queue itself"
                )
        return self.queue.enqueue(*jobs)

    def run(self, *, burst: bool = False, parentage: Parentage | None = None) -> None:
        """Runs jobs until `stop()`, SIGTERM or SIGINT, then lets running handlers end. A second
        signal ends the process.

        With `burst`, returns when nothing of its kinds is due and it holds nothing. Signals are
        heeded in the main thread only.

        Raises:
            ConfigurationError: it runs already, or Redis is there but cannot be used.
        """
        # `parentage` comes from the supervisor, and is no part of the public API.
        _refuse_while_loading()
        with stopping_on_signals(self.stop):
            self._run_alone(burst, parentage, HandlerLoop)

    async def arun(self, *, burst: bool = False) -> None:
        """As `run()`, inside an application: `async def` handlers run on its event loop, plain ones
        on threads. Signals are the application's.

        When cancelled it stops gracefully before it raises; cancelled again, it does not wait for
        running handlers any more.

        Raises:
            ConfigurationError: it runs already, or Redis is there but cannot be used.
        """
        _refuse_while_loading()
        loop = CallersLoop(asyncio.get_running_loop(), on_closed=self._stop_at_once)
        await hosted(
            lambda: self._run_alone(burst, None, lambda: loop), self.stop, self._stop_at_once
        )

    def _stop_at_once(self) -> None:
        self._shutdown.allow(0.0)
        self._shutdown.request()

    def _run_alone(
        self, burst: bool, parentage: Parentage | None, new_loop: Callable[[], Loop]
    ) -> None:
        if self._running:
            raise ConfigurationError("this worker runs already: make another one")
        self._running = True
        try:
            self._run(burst, parentage, new_loop)
        finally:
            self._engine = None
            self._running = False

    def _run(self, burst: bool, parentage: Parentage | None, new_loop: Callable[[], Loop]) -> None:
        if self._shutdown.requested:
            self._logger.info("this worker was stopped before: run() returns at once")
            return
        if not self._handlers.kinds:
            self._logger.warning(
                "no handlers are registered: this worker only waits for register()"
            )
        if not isinstance(self.queue, QueueBase):
            PlainRunner(
                self.queue, self._handlers, self.settings, self._shutdown, self._logger, new_loop
            ).run(burst=burst)
            return
        origin = (
            Origin.here()
            if parentage is None
            else Origin.here(parentage.supervisor, parentage.spawn)
        )
        self._engine = Engine(
            self.queue.source,
            self._handlers,
            self.settings,
            origin,
            self._shutdown,
            self._logger,
            new_loop,
            burst=burst,
        )
        self._logger.info(
            "worker of queue %r starts: %s", self.queue.name, ", ".join(self._handlers.kinds),
            extra={"queue_name": self.queue.name},
        )  # fmt: skip
        told = () if parentage is None else parentage.deaths()
        self._engine.run([*told, *self._early_deaths])
        self._logger.info(
            "worker of queue %r has stopped", self.queue.name, extra={"queue_name": self.queue.name}
        )

    def stop(self) -> None:
        """Has `run()` end gracefully; before `run()`, has it return at once. From any thread, also
        in a signal handler.
        """
        self._shutdown.request()

    def sibling_died(self, supervisor: str, spawn: int) -> None:
        """A supervisor's word that another of its children is dead: its jobs are taken back at
        once.
        """
        death = ChildDeath(supervisor, spawn)
        if self._engine is None:
            # Told before the first claim; twice, if the engine appears just now.
            self._early_deaths.append(death)
        engine = self._engine
        if engine is not None:
            engine.janitor.tell(death)


def _refuse_while_loading() -> None:
    """A module that runs its worker whenever it is imported would never be loaded."""
    if target := being_loaded.get():
        raise ConfigurationError(
            f"the module of {target} runs a worker while it is imported: leave that to"
            ' `redisjobs worker`, or put it under `if __name__ == "__main__":`'
        )
