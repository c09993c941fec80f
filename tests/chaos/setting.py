"""What a process of the storm is told: where Redis is, where to write its journal, how to work."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from redisjobs import AsyncRedisQueue, RedisQueue
from redisjobs.queue_base import QueueKeywords
from tests.chaos.journal import Journal
from tests.chaos.planted import plant

ROOT = Path(__file__).resolve().parents[2]
QUEUE = "storm"
_VARIABLE = "REDISJOBS_STORM"
# Nothing that ended is dropped, or nothing but what is done: the ledger wants to see all of it.
_KEPT_S, _KEPT = 86400.0, 10_000_000
_KEEPING: QueueKeywords = {
    "retention": _KEPT_S,
    "retention_limit": _KEPT,
    "failed_retention": _KEPT_S,
    "failed_limit": _KEPT,
}


@dataclass(frozen=True)
class Setting:
    """One process of the storm.

    Attributes:
        role: begins the name of its journal.
        lease, shutdown_timeout: of a worker, in seconds.
        seed, rate, asynchronous: of a producer: which jobs, how many a second, and how.
        bug: which bug is planted in it; '' for none.
        keeps_done: whether records of jobs that are done are kept, and results are returned.
    """

    url: str
    folder: str
    role: str
    lease: float = 4.0
    concurrency: int = 8
    shutdown_timeout: float = 1.0
    seed: str = ""
    rate: float = 100.0
    asynchronous: bool = False
    bug: str = ""
    keeps_done: bool = True

    @classmethod
    def from_environment(cls) -> Setting:
        """This process's own."""
        return cls(**json.loads(os.environ[_VARIABLE]))

    def environment(self) -> dict[str, str]:
        """The environment of the process that is to have it."""
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        return {
            **os.environ,
            _VARIABLE: json.dumps(asdict(self)),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        }

    @property
    def _keeping(self) -> QueueKeywords:
        return _KEEPING if self.keeps_done else {**_KEEPING, "retention": 0}

    def queue(self) -> RedisQueue:
        """The queue as this process sees it."""
        queue = RedisQueue.from_url(self.url, QUEUE, **self._keeping)
        plant(self.bug, queue)
        return queue

    def async_queue(self) -> AsyncRedisQueue:
        """The same for coroutines."""
        queue = AsyncRedisQueue.from_url(self.url, QUEUE, **self._keeping)
        plant(self.bug, queue)
        return queue

    def journal(self) -> Journal:
        """This process's journal."""
        return Journal(Path(self.folder), self.role)
