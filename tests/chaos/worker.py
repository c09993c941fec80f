"""A worker of the storm: under a supervisor as `tests.chaos.worker:make_worker`, or alone as
`python -m tests.chaos.worker`.
"""

from __future__ import annotations

import logging

from redisjobs.demo.leash import take_leash
from redisjobs.worker import Worker
from tests.chaos.handlers import Handlers
from tests.chaos.setting import Setting


def make_worker() -> Worker:
    """The worker that this process was told to run."""
    setting = Setting.from_environment()
    return Worker(
        setting.queue(),
        Handlers(setting.journal(), returns=setting.keeps_done).by_kind(),
        concurrency=setting.concurrency,
        lease=setting.lease,
        shutdown_timeout=setting.shutdown_timeout,
        min_retry_backoff=0.1,
    )


if __name__ == "__main__":
    take_leash()
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    make_worker().run()
