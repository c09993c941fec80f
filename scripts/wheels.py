"""Fills a folder with the wheels of what redisjobs needs when it runs, in the newest release and in
the oldest that is supported. Fresh environments of tests/package are installed from it.

    python scripts/wheels.py FOLDER
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
# Wheels of their oldest release are good for every Python. That of msgpack is not.
OLDEST_TOO = {"redis", "tenacity"}


def main(folder: str) -> None:
    """Downloads them, or builds those that have no wheel for this platform."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = project["dependencies"]
    _wheels(folder, [*needed, *extras["cli"], *extras["embedded"]])
    _wheels(folder, [_oldest(line) for line in needed if Requirement(line).name in OLDEST_TOO])


def _oldest(line: str) -> str:
    requirement = Requirement(line)
    [bound] = requirement.specifier
    extras = f"[{','.join(requirement.extras)}]" if requirement.extras else ""
    return f"{requirement.name}{extras}=={bound.version}"


def _wheels(folder: str, requirements: list[str]) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--quiet", "--prefer-binary", "--wheel-dir", folder]
    subprocess.run([*wheel, *requirements], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
