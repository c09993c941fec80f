"""The demo: services enqueue, workers run, one of them is killed half way, and nothing is lost."""

from __future__ import annotations
