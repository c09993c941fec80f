"""What a release consists of."""

from __future__ import annotations

import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import redisjobs

if TYPE_CHECKING:
    from tests.package.conftest import Built

ROOT = Path(__file__).resolve().parents[2]


def files_of_wheel(wheel: Path) -> dict[PurePosixPath, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {PurePosixPath(name): archive.read(name) for name in archive.namelist()}


def files_of_package() -> dict[PurePosixPath, bytes]:
    return {
        PurePosixPath(path.relative_to(ROOT)): path.read_bytes()
        for path in (ROOT / "redisjobs").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def metadata_folder() -> str:
    return f"redisjobs-{redisjobs.__version__}.dist-info"


def test_the_wheel_is_the_package_whole_and_nothing_else(built: Built) -> None:
    wheel, package = files_of_wheel(built.wheel), files_of_package()
    code = {path: text for path, text in wheel.items() if path.parts[0] != metadata_folder()}
    assert code == package
    assert PurePosixPath("redisjobs/py.typed") in code
    assert PurePosixPath("redisjobs/operations/include/now.lua") in code
    scripts = [path for path in code if path.suffix == ".lua"]
    assert len(scripts) > 20


def test_the_wheel_carries_the_licence(built: Built) -> None:
    licence = PurePosixPath(metadata_folder(), "licenses", "LICENSE")
    assert files_of_wheel(built.wheel)[licence] == (ROOT / "LICENSE").read_bytes()


def test_a_wheel_made_from_the_sdist_is_the_one_made_from_the_checkout(built: Built) -> None:
    assert files_of_wheel(built.wheel) == files_of_wheel(built.wheel_of_checkout)


def test_the_metadata_says_what_the_package_needs(built: Built) -> None:
    text = files_of_wheel(built.wheel)[PurePosixPath(metadata_folder(), "METADATA")].decode()
    metadata = Parser().parsestr(text)
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    names = sorted(line.split(">=")[0] for line in needed)
    assert names == ["msgpack", "redis[hiredis]", "tenacity"]
    assert {"cli", "embedded"} <= set(metadata.get_all("Provides-Extra", []))
    assert metadata["Version"] == redisjobs.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    # The page that a package index shows.
    assert text.endswith((ROOT / "README.md").read_text(encoding="utf-8"))


def test_the_sdist_carries_package_and_tests_and_nothing_left_by_tools(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        stem = f"redisjobs-{redisjobs.__version__}/"
        names = {member.name.removeprefix(stem) for member in archive if member.isfile()}
    assert {str(path) for path in files_of_package()} <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= names
    # With what its tests read.
    assert {"tests/conftest.py", "docs/design.md", "examples/mail.py", "scripts/test"} <= names
    left = ("__pycache__", ".pyc", ".venv", "_cache", ".hypothesis", ".egg-info")
    assert not [name for name in names if any(part in name for part in left)]
