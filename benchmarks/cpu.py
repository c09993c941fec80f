"""Who used the processor: whole processes, and everybody else meanwhile. Reads /proc."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import NamedTuple

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


class _Process(NamedTuple):
    parent: int
    seconds: float  # its own, and of its children that have ended


def _processes() -> dict[int, _Process]:
    found: dict[int, _Process] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # it has ended
            fields = stat[stat.rindex(")") + 2 :].split()
            ticks = sum(int(fields[place]) for place in (11, 12, 13, 14))
            found[int(entry.name)] = _Process(int(fields[1]), ticks / _TICKS_PER_S)
    return found


def tree_seconds(*roots: int) -> float:
    """What these processes and all their descendants have used, in steps of 10 ms."""
    processes = _processes()
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    seconds, left = 0.0, [pid for pid in roots if pid in processes]
    while left:
        pid = left.pop()
        seconds += processes[pid].seconds
        left += children.get(pid, ())
    return seconds


def _machine_seconds() -> float:
    """What ran on all cores: user, nice, system, stolen. Not interrupts: our own traffic over the
    loopback makes them.
    """
    fields = (_PROC / "stat").read_text().split("\n", 1)[0].split()
    return sum(int(fields[place]) for place in (1, 2, 3, 8)) / _TICKS_PER_S


class ForeignLoad:
    """How many cores others keep busy, from now until it is asked. Ours are this process and its
    descendants.
    """

    def __init__(self) -> None:
        self._began = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.monotonic(), _machine_seconds() - tree_seconds(os.getpid())

    def cores(self) -> float:
        """The mean since it was made."""
        (began, before), (now, after) = self._began, self._now()
        return max(0.0, (after - before) / max(now - began, 1e-9))


def machine() -> str:
    """This machine in one line."""
    model = "unknown processor"
    for line in (_PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, Linux {platform.release()},"
        f" {platform.python_implementation()} {platform.python_version()}"
    )
