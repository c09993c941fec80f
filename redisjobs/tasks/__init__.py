"""Typed tasks: functions that become jobs, whose arguments and results keep their types."""

from __future__ import annotations

from redisjobs.tasks.registry import Registry
from redisjobs.tasks.task import Task

__all__ = ["Registry", "Task"]
