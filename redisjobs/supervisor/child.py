"""A supervisor's child: loads a worker and runs it. Started by `process`, not by users."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Sequence

from redisjobs.errors import ConfigurationError, IncompatibleQueueError, QueueUnavailableError
from redisjobs.queue_base import QueueBase
from redisjobs.supervisor.burst import ending_without_redis
from redisjobs.supervisor.lifeline import Lifeline
from redisjobs.supervisor.loading import load_worker
from redisjobs.supervisor.logs import LEVELS, configure_logging
from redisjobs.supervisor.protocol import CANNOT_RUN, UNAVAILABLE
from redisjobs.worker.worker import Worker

_LOGGER = logging.getLogger("redisjobs.supervisor")

# How long the process may take to end once its worker has: for what the user's code has registered
# with atexit, but not for a thread of its that never ends.
LEAVE_WITHIN_S = 10.0


def main(arguments: Sequence[str]) -> int:
    """Runs the worker until it is stopped. Returns the exit code for this process."""
    options = _parser().parse_args(arguments)
    lifeline = Lifeline(options.lifeline)
    try:
        worker = load_worker(options.target)
        configure_logging(options.log_level)
        worker.use_settings(**json.loads(options.settings))
        _warn_of_another_queue(worker)
        with ending_without_redis(worker) if options.burst else contextlib.nullcontext():
            worker.run(burst=options.burst, parentage=lifeline.hand_over(worker))
    except (ConfigurationError, IncompatibleQueueError) as err:
        lifeline.fail(str(err))
        return CANNOT_RUN
    except QueueUnavailableError as err:
        lifeline.fail(f"{err}; a burst does not wait until it can be")
        return UNAVAILABLE
    return 0


def _warn_of_another_queue(worker: Worker) -> None:
    """Where the environment names a queue, somebody may think that it is the worker's."""
    named = os.environ.get("REDISJOBS_QUEUE")
    if named and isinstance(worker.queue, QueueBase) and named != worker.queue.name:
        _LOGGER.warning(
            "this worker works on queue %r, as its module says, but REDISJOBS_QUEUE is %r:"
            " that is where the other commands look",
            worker.queue.name, named,
        )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m redisjobs.supervisor.child")
    parser.add_argument("target")
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--settings", default="{}", help="of the worker, as JSON")
    parser.add_argument("--burst", action="store_true")
    parser.add_argument("--log-level", choices=LEVELS, default="info")
    return parser


def _leave_in_time(exit_code: int) -> None:
    """A thread of the user's that never ends must not keep the process, and so its supervisor."""
    timer = threading.Timer(LEAVE_WITHIN_S, os._exit, (exit_code,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    exit_code = 1
    try:
        exit_code = main(sys.argv[1:])
    finally:
        _leave_in_time(exit_code)
    sys.exit(exit_code)
