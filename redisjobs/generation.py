"""Which process of a line of forks this is."""

from __future__ import annotations

import os

# Grows in the child of a fork: connections and producers of the parent are not the child's.
_generation = 0


def _count_fork() -> None:
    global _generation
    _generation += 1


os.register_at_fork(after_in_child=_count_fork)


def generation() -> int:
    """What was made under another number belongs to another process."""
    return _generation
