"""How the demo heeds signals: it unwinds, but never while something is half started."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def unwinding_on_signals() -> Iterator[None]:
    """Lets a SIGTERM or a closed terminal end the demo as tidily as a Ctrl-C."""
    with _handled_by(lambda number, _: sys.exit(128 + number), _ENDING):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Lets no signal in until its end, and then those that came: a process whose start is
    interrupted would be nobody's.

    It does not block them, since the process that is started would inherit that.
    """
    came: list[int] = []
    with _handled_by(lambda number, _: came.append(number), (signal.SIGINT, *_ENDING)):
        yield
    for number in came:
        signal.raise_signal(number)


@contextmanager
def _handled_by(
    handler: Callable[[int, FrameType | None], object], numbers: tuple[signal.Signals, ...]
) -> Iterator[None]:
    # What is ignored stays so, as SIGHUP under nohup.
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)
