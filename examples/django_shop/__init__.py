"""A Django service whose orders are confirmed by jobs."""

from __future__ import annotations
