"""Commands of manage.py, one a module."""

from __future__ import annotations
