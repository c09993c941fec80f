"""The processes that a benchmark starts, and their end."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.cpu import tree_seconds

ROOT = Path(__file__).resolve().parents[1]
_END_S = 10.0


class Processes:
    """Running processes."""

    def __init__(self, started: Sequence[subprocess.Popen[bytes]]) -> None:
        self._started = started

    def cpu_seconds(self) -> float:
        """What they and their descendants have used."""
        return tree_seconds(*(process.pid for process in self._started))

    def check(self) -> None:
        """Raises RuntimeError if one has ended."""
        for process in self._started:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended with code {process.returncode}")

    def end(self) -> None:
        """SIGTERM, then SIGKILL for what does not heed it."""
        for process in self._started:
            process.terminate()
        for process in self._started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
            process.kill()
            process.wait()


@contextlib.contextmanager
def running(
    command: Sequence[str], copies: int, environ: Mapping[str, str], log: Path
) -> Iterator[Processes]:
    """So many processes of one command, in this checkout, ended afterwards."""
    whole = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    with log.open("ab") as output:
        processes = Processes(
            [
                subprocess.Popen(command, env=whole, cwd=ROOT, stdout=output, stderr=output)
                for _ in range(copies)
            ]
        )
        try:
            yield processes
        except BaseException as err:
            err.add_note(f"{command!r} wrote: {log.read_text(errors='replace')[-3000:]}")
            raise
        finally:
            processes.end()
