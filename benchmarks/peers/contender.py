"""A peer in the shape that is measured."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from benchmarks.peers.catalog import AT_ONCE, FOLDER, URL, WORK, Peer
from benchmarks.processes import ROOT
from benchmarks.servers import Served


class PeerContender:
    """A peer on this server. `work` is what its handlers do: nothing, "cpu" or "wait".

    Attributes:
        rate: how many jobs a second the last enqueueing stored.
    """

    def __init__(self, served: Served, peer: Peer, work: str = "") -> None:
        self._peer = peer
        self._work = work
        self._url = served.url
        self._client = served.client
        self.rate = 0.0

    @property
    def environ(self) -> Mapping[str, str]:
        """What its processes need in their environment."""
        return {
            **self._peer.environ,
            URL: self._url,
            FOLDER: str(self._peer.folder),
            AT_ONCE: str(self._peer.at_once),
            WORK: self._work,
        }

    def command(self) -> Sequence[str]:
        """What starts one worker process."""
        return self._peer.command(self._url)

    def produce(self, how: str, jobs: int) -> float:
        """Enqueues from a process of its own. Returns how many a second."""
        environ = {**os.environ, "PYTHONPATH": str(ROOT), **self.environ}
        command = self._peer.producing(how, jobs)
        ran = subprocess.run(
            command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if not ran.stdout.strip():  # some crash at exit, when all was stored
            raise RuntimeError(
                f"{command!r} ended with code {ran.returncode}: {ran.stderr[-1000:]}"
            )
        return float(ran.stdout.split()[-1])

    def fill(self, jobs: int) -> None:
        """Enqueues so many jobs, in bulk where it can."""
        self.rate = self.produce("many", jobs)

    def left(self) -> int:
        """How many Redis still holds, waiting or not acknowledged."""
        return sum(self._count(command, key) for command, key in self._peer.left)

    def _count(self, command: str, key: str) -> int:
        if command != "stream":
            return int(self._client.execute_command(command, key))
        # What is acknowledged stays in the stream.
        groups = self._client.xinfo_groups(key) if self._client.exists(key) else []
        if not groups:
            return int(self._client.xlen(key))
        return sum((group["lag"] or 0) + group["pending"] for group in groups)

    def verify(self, jobs: int) -> None:
        """Raises AssertionError unless nothing is left. That each ran once, the journal shows."""
        assert self.left() == 0, f"{self._peer.name}: {self.left()} of {jobs:,} jobs are left"
