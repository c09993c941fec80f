"""Certificates for tests of TLS, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

OPENSSL = shutil.which("openssl")
WHERE_FROM = "no openssl is on PATH (Debian: apt-get install openssl)"
_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]


class Certificates(NamedTuple):
    """Paths: of an authority, and of a certificate for 127.0.0.1 with its key."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        """An authority, and a server's certificate of it."""
        folder.mkdir()
        _openssl(
            folder, "req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",  # Python 3.13 insists
        )  # fmt: skip
        return cls(folder / "ca.pem", folder / "ca.pem", folder / "ca.key").certified("server")

    def certified(self, name: str) -> Certificates:
        """Another certificate of this authority."""
        folder = self.authority.parent
        _openssl(
            folder, "req", "-x509", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.pem",
            "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
            "-addext", "basicConstraints=critical,CA:FALSE",
            "-CA", "ca.pem", "-CAkey", "ca.key",
        )  # fmt: skip
        return self._replace(certificate=folder / f"{name}.pem", key=folder / f"{name}.key")

    @property
    def of_server(self) -> dict[str, str]:
        """The lines of a server's or a Sentinel's configuration that name these."""
        return {
            "tls-cert-file": str(self.certificate),
            "tls-key-file": str(self.key),
            "tls-ca-cert-file": str(self.authority),
        }

    @property
    def of_client(self) -> dict[str, str]:
        """redis-py's settings with which a client shows this certificate."""
        return {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key)}


def _openssl(folder: Path, *words: str) -> None:
    assert OPENSSL is not None
    ran = subprocess.run([OPENSSL, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
