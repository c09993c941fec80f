"""How long the random tests of this folder run, and from which seed: more of either finds more."""

from __future__ import annotations

import os


def seed() -> int:
    """REDISJOBS_SEED, 1 if it is not set: every run is alike unless another is asked for."""
    return int(os.environ.get("REDISJOBS_SEED", "1"))


def scaled(usual: int) -> int:
    """`usual`, times REDISJOBS_STEPS: with 10, ten times as many."""
    return max(1, round(usual * float(os.environ.get("REDISJOBS_STEPS", "1"))))
