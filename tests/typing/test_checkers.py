"""Type checkers reject the wrong calls of `calls.py`, all of them, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CALLS = Path(__file__).with_name("calls.py")
IGNORED = re.compile(r"  # type: ignore\[(?!no-untyped-def).*\]")

# Mypy reads this package and its dependencies anew, without a cache that it would share.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def unmarked(tmp_path: Path) -> Path:
    """The calls, without what has errors ignored."""
    path = tmp_path / "calls.py"
    path.write_text(IGNORED.sub("", CALLS.read_text(encoding="utf-8")), encoding="utf-8")
    return path


def wrong_lines() -> set[int]:
    lines = CALLS.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if IGNORED.search(line)}


def needs(tool: str) -> None:
    if find_spec(tool) is None:
        pytest.skip(f"{tool} is not installed: pip install 'redisjobs[dev]'")


def output_of(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=False,
        timeout=280,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def test_there_are_wrong_calls_to_reject() -> None:
    assert len(wrong_lines()) > 25


def test_mypy_rejects_the_wrong_calls_only(unmarked: Path) -> None:
    needs("mypy")
    output = output_of(
        "mypy", "--strict", "--config-file=", "--no-error-summary", "--hide-error-context",
        "--follow-imports=silent", f"--cache-dir={unmarked.parent / 'cache'}", str(unmarked),
        cwd=ROOT,
    )  # fmt: skip
    found = {int(line) for line in re.findall(r"calls\.py:(\d+): error", output)}
    assert found == wrong_lines(), output


def test_pyright_rejects_the_wrong_calls_only(unmarked: Path) -> None:
    needs("basedpyright")
    settings = {"include": ["calls.py"], "extraPaths": [str(ROOT)], "typeCheckingMode": "standard"}
    config = unmarked.with_name("pyrightconfig.json")
    config.write_text(json.dumps(settings), encoding="utf-8")
    output = output_of(
        "basedpyright", "--outputjson", f"--pythonpath={sys.executable}", f"--project={config}",
        cwd=unmarked.parent,
    )  # fmt: skip
    diagnostics = json.loads(output)["generalDiagnostics"]
    errors = [problem for problem in diagnostics if problem["severity"] == "error"]
    found = {problem["range"]["start"]["line"] + 1 for problem in errors}
    assert found == wrong_lines(), output
