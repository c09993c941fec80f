"""What all processes of one demo must agree on, handed down through their environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from redisjobs.demo.errors import DemoError
from redisjobs.demo.plan import Plan, source_files, standard_library
from redisjobs.queue import RedisQueue

VARIABLE = "REDISJOBS_DEMO"


@dataclass(frozen=True, slots=True)
class Setting:
    """One run of the demo.

    Attributes:
        url: where Redis is.
        queue_name: the run's own queue.
        directory: the run's own folder, for journals and logs.
        files: work on at most this many files; None: on all.
        workers: how many worker processes.
        worker: which worker they run, as `redisjobs worker` takes it.
    """

    url: str
    queue_name: str
    directory: str
    files: int | None
    workers: int
    worker: str

    def environment(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment for a process of this run. Not its arguments: these anyone may read, and
        the URL may have a password.
        """
        return {**(os.environ if environ is None else environ), VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls) -> Setting:
        """The run that this process is part of.

        Raises:
            DemoError: it is part of none.
        """
        stored = os.environ.get(VARIABLE)
        if stored is None:
            raise DemoError("this is a part of `redisjobs demo`: run that")
        return cls(**json.loads(stored))

    def plan(self) -> Plan:
        """The files and jobs of this run."""
        root = standard_library()
        return Plan(root, source_files(root, self.files))

    def queue(self) -> RedisQueue:
        """The run's queue. It keeps the result of every job: they are all read at the end."""
        return RedisQueue.from_url(
            self.url, self.queue_name, retention=3600.0, retention_limit=1_000_000
        )

    def path(self, name: str) -> Path:
        """A file in the run's folder."""
        return Path(self.directory, name)
