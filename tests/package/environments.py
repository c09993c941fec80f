"""Fresh environments, into which the built wheel is installed as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

# `scripts/venv dev` puts them beside what the tests themselves run in: no test uses the network.
WHEELS = Path(sys.prefix, "wheels")
TIMEOUT_S = 60.0


class Environment:
    """A fresh virtual environment: Python, and what is installed into it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        venv.create(folder, with_pip=False, symlinks=True)

    def install(self, *requirements: str) -> None:
        """Installs from the folder of wheels, and from nowhere else."""
        pip = [sys.executable, "-m", "pip", "--isolated", "--python", str(self.python)]
        options = ["--quiet", "--no-compile", "--no-index", "--find-links", str(WHEELS)]
        installed = subprocess.run(
            [*pip, "install", *options, *requirements],
            env=clean_environ({"PIP_CONFIG_FILE": os.devnull}),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert installed.returncode == 0, installed.stderr

    def start(
        self, *words: str, cwd: Path, environ: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Starts a program of this environment, in this folder."""
        return subprocess.Popen(
            [self.folder / "bin" / words[0], *words[1:]],
            cwd=cwd,
            env=clean_environ(environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        *words: str,
        cwd: Path,
        environ: dict[str, str] | None = None,
        exit_code: int = 0,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program of this environment to its end, which must be with this exit code."""
        with self.start(*words, cwd=cwd, environ=environ) as process:
            try:
                out, err = process.communicate(timeout=TIMEOUT_S)
            finally:
                process.kill()
        assert process.returncode == exit_code, f"{words} ended with {process.returncode}: {err}"
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def clean_environ(more: dict[str, str]) -> dict[str, str]:
    """This process's environment without what could lead back to the checkout."""
    ours = ("PYTHON", "PIP_", "VIRTUAL_ENV", "REDISJOBS", "REDIS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more
