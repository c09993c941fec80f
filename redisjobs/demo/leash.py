"""Ends a process when the one that started it ends, however that ends."""

from __future__ import annotations

import os
import signal
import threading


def take_leash() -> None:
    """From now on, the end of standard input is a SIGTERM. The other end of that pipe is the
    demo's, and the kernel closes it also when the demo is killed.
    """
    threading.Thread(target=_follow, name="leash", daemon=True).start()


def _follow() -> None:
    # Not through sys.stdin: a thread that holds its lock would disturb the interpreter's end.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
