"""Installs peers, each in an environment of its own that git ignores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.catalog import Peer


class NotHere(Exception):
    """A peer cannot be had on this machine; the message says why."""


def install(peer: Peer) -> None:
    """Installs it unless that was done.

    Raises:
        NotHere: what it needs is missing, or it cannot be installed.
    """
    done = peer.folder / "installed.json"
    wanted = json.dumps(peer.packages)
    if done.exists() and done.read_text(encoding="utf-8") == wanted:
        return
    peer.folder.mkdir(parents=True, exist_ok=True)
    if peer.is_node:
        if not shutil.which("npm"):
            raise NotHere("needs Node and npm")
        _run("npm", "install", "--no-audit", "--no-fund", *peer.packages, cwd=peer.folder)
    else:
        _run(_python(peer.python), "-m", "venv", str(peer.folder))
        pip = str(peer.folder / "bin" / "pip")
        _run(pip, "install", "--quiet", "--disable-pip-version-check", *peer.packages)
    done.write_text(wanted, encoding="utf-8")


def _python(version: str) -> str:
    """The interpreter of that version, or if it is blank the one that runs this."""
    if not version or sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    installed = sorted(
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(
            f"versions/{version}*/bin/python{version}"
        )
    )
    found = str(installed[-1]) if installed else shutil.which(f"python{version}")
    if not found:
        raise NotHere(f"needs Python {version}")
    return found


def _run(*command: str, cwd: Path | None = None) -> None:
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise NotHere(f"{command[0]} failed: {ran.stderr.strip()[-500:]}")


def version(peer: Peer) -> str:
    """What is installed, as in "mayu 0.2.5"."""
    name = peer.packages[0].partition("[")[0]
    if peer.is_node:
        package = peer.folder / "node_modules" / name / "package.json"
        return f"{name} {json.loads(package.read_text(encoding='utf-8'))['version']}"
    code = f"from importlib.metadata import version; print(version({name!r}))"
    python = str(peer.folder / "bin" / "python")
    ran = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return f"{name} {ran.stdout.strip()}"
