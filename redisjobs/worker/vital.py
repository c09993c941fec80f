"""A thread that a worker cannot do without."""

from __future__ import annotations

import threading
from collections.abc import Callable


class VitalThread(threading.Thread):
    """A daemon that does not die unnoticed: what `work` raises goes to `on_crash`."""

    def __init__(
        self, work: Callable[[], None], name: str, on_crash: Callable[[BaseException], None]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._on_crash = on_crash

    def run(self) -> None:
        """Does the work."""
        try:
            self._work()
        except BaseException as err:  # noqa: BLE001 - told, and raised where the worker runs
            self._on_crash(err)
