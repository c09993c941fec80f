"""Measurements. Each is one command; none is a test."""

from __future__ import annotations
