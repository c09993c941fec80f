"""The workers of the demo: `python -m redisjobs.demo.workers` runs them under a supervisor."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from redisjobs.demo.journal import Journal
from redisjobs.demo.leash import take_leash
from redisjobs.demo.setting import Setting
from redisjobs.demo.tasks import handlers
from redisjobs.supervisor.process import WorkerOptions
from redisjobs.supervisor.supervisor import Supervisor
from redisjobs.worker import Worker

CONCURRENCY = 4
# Under a supervisor the lease is not what a dead worker's jobs wait for.
LEASE_S = 10.0
RETRY_AFTER_S = 0.3
SHUTDOWN_TIMEOUT_S = 2.0


def make_worker() -> Worker:
    """A worker of the run that this process is part of."""
    setting = Setting.from_environment()
    return Worker(
        setting.queue(),
        handlers(Journal(Path(setting.directory))),
        concurrency=CONCURRENCY,
        lease=LEASE_S,
        min_retry_backoff=RETRY_AFTER_S,
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
    )


def supervise(setting: Setting) -> int:
    """Runs the workers of a run until it is stopped. Returns the exit code for this process."""
    logging.basicConfig(level=logging.INFO)
    return Supervisor(WorkerOptions(setting.worker), processes=setting.workers).run()


if __name__ == "__main__":
    take_leash()
    sys.exit(supervise(Setting.from_environment()))
