"""The processes that the demo starts, each on a leash."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import Self

from redisjobs.demo.errors import DemoError
from redisjobs.demo.setting import Setting

END_TIMEOUT_S = 10.0
LOG_TAIL_CHARS = 2000


class Process:
    """A running module of the demo. It ends with the `with` block, and when the demo is killed.

    It is in a session of its own, so that a Ctrl-C reaches the demo alone, which then ends it. What
    it says goes to a file in the run's folder.

    Args:
        name: what it is called in messages.
        module: what it runs; it must take the leash.
        arguments: its command line.
    """

    def __init__(self, name: str, setting: Setting, module: str, *arguments: str) -> None:
        self.name = name
        self._log = setting.path(f"{name.replace(' ', '-')}.log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=setting.environment(),
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def check(self) -> None:
        """Sees to it that it has not failed.

        Raises:
            DemoError: it has ended with an error; the message has the end of what it said.
        """
        code = self._process.poll()
        if code:
            raise DemoError(f"{self.name} ended with code {code}. {self.last_words()}")

    def check_running(self) -> None:
        """Sees to it that it has not ended at all.

        Raises:
            DemoError: it has.
        """
        if self._process.poll() is not None:
            raise DemoError(
                f"{self.name} ended with code {self._process.returncode}. {self.last_words()}"
            )

    def last_words(self) -> str:
        """The end of what it said."""
        said = self._log.read_text(errors="replace").strip()
        return f"It said last:\n{said[-LOG_TAIL_CHARS:]}" if said else "It said nothing."

    def end(self) -> None:
        """Ends it: by a SIGTERM, and after ten seconds by a SIGKILL."""
        self._process.terminate()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            if self._process.stdin is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()
