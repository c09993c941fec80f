"""The command line, `redisjobs`. It needs the extra `cli`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

_NEEDED = ("click", "rich")


def main() -> None:
    """Runs the command line, and ends the process with its exit code."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"redisjobs: the command line needs {' and '.join(missing)}:"
            f" pip install {' '.join(missing)}\n"
        )
        sys.exit(2)
    from redisjobs.cli.root import commands

    commands(prog_name="redisjobs")
