"""What is built once, and the environments it is installed into."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.package.environments import WHEELS, Environment, clean_environ

ROOT = Path(__file__).resolve().parents[2]


class Built(NamedTuple):
    """The files that a release consists of, and a wheel built without the sdist in between."""

    sdist: Path
    wheel: Path
    wheel_of_checkout: Path


def build(folder: Path, *options: str) -> Path:
    """Runs `python -m build` on the checkout without the network."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), *options]
    built = subprocess.run(
        [*command, str(ROOT)],
        env=clean_environ({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """An sdist, the wheel made from it, and the wheel made from the checkout."""
    release = build(tmp_path_factory.mktemp("release"))
    checkout = build(tmp_path_factory.mktemp("checkout"), "--wheel")
    [sdist], [wheel] = release.glob("*.tar.gz"), release.glob("*.whl")
    [wheel_of_checkout] = checkout.glob("*.whl")
    return Built(sdist, wheel, wheel_of_checkout)


def fresh(folder: Path, *requirements: str) -> Environment:
    """A fresh environment with these requirements."""
    if not WHEELS.is_dir():
        pytest.skip("there are no wheels to install: scripts/venv dev brings them")
    environment = Environment(folder)
    environment.install(*requirements)
    return environment


@pytest.fixture(scope="session")
def newest(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel without extras, on the newest releases of what it needs."""
    return fresh(tmp_path_factory.mktemp("newest") / "venv", str(built.wheel))


@pytest.fixture(scope="session")
def oldest(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel without extras, on the oldest redis-py and tenacity that are supported."""
    needed = ("redis==5.2", "tenacity==8.2")
    return fresh(tmp_path_factory.mktemp("oldest") / "venv", str(built.wheel), *needed)


@pytest.fixture(scope="session")
def full(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel with the extras that users install."""
    wheel = f"{built.wheel}[cli,embedded]"
    return fresh(tmp_path_factory.mktemp("full") / "venv", wheel)
