"""The Lua scripts, as the server runs them: each file with what it includes put in, and its
SHA-1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_INCLUDE = re.compile(r"^-- include: (.*)$", re.MULTILINE)


class Script(NamedTuple):
    """A script's text, and the digest by which the server knows it."""

    name: str
    text: bytes
    sha: bytes


def _read(path: str) -> str:
    return (files(__package__) / path).read_text(encoding="utf-8")


def _without_comments(text: str) -> str:
    """Drops whole-line comments: they need not travel, nor fill the server's script cache."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return "\n".join(line for line in lines if line.strip())


def assemble(name: str, replaced: Mapping[str, str]) -> Script:
    """One script with its includes. `replaced` stands in for include files of these names."""
    text = _read(f"{name}.lua")
    parts: list[str] = []
    for line in _INCLUDE.findall(text):
        parts.extend(replaced.get(part) or _read(f"include/{part}.lua") for part in line.split())
    body = _without_comments("\n".join([*parts, text])).encode()
    return Script(name, body, hashlib.sha1(body, usedforsecurity=False).hexdigest().encode())


class Library:
    """All scripts by name. Tests replace the include `now` to move the server's time."""

    def __init__(self, replaced: Mapping[str, str] | None = None) -> None:
        self._replaced = dict(replaced or {})
        self._scripts: dict[str, Script] = {}

    def __getitem__(self, name: str) -> Script:
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = assemble(name, self._replaced)
        return script


@cache
def standard() -> Library:
    """The library that every queue of this process shares."""
    return Library()
