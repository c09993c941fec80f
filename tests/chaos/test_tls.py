"""Connections that are encrypted."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from redisjobs import AsyncRedisQueue, Job, RedisQueue, RetryableError, Status
from redisjobs.errors import QueueUnavailableError
from redisjobs.operations.claim import ClaimRequest, claim
from redisjobs.operations.membership import register
from tests.running import Ledger, running, wait_for_end
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from redisjobs.context import Context
    from tests.conftest import OwnServer


def _use_everything(queue: RedisQueue) -> None:
    """Each method, and workers that come to each of their operations."""
    ledger = Ledger()

    def retried(ctx: Context, job: Job) -> None:
        if ctx.attempt == 1:
            raise RetryableError("once")
        ledger.note(ctx, job)

    def fails(ctx: Context, job: Job) -> None:
        raise ValueError("for good")

    dead, jobs = Job("kind"), [Job("kind"), Job("retried"), Job("kind", delay=0.3)]
    info = json.dumps({"lease_ms": 300}).encode()
    queue.enqueue(dead)
    queue.lines.run(lambda: register(queue.keys, "dead", 1, info, {}))
    queue.lines.run(lambda: claim(queue.keys, ClaimRequest("dead", ["kind"], 1, 1, 3, 1)))
    handlers = {"kind": ledger.note, "retried": retried, "fails": fails}
    with running(queue, handlers, lease=0.6, min_retry_backoff=0):
        queue.enqueue(*jobs)
        failed, cancelled = Job("fails"), Job("kind", delay=60)
        queue.enqueue(failed, cancelled)
        assert queue.cancel(cancelled.id)
        assert queue.wait(jobs[0].id, 10).status is Status.DONE
        ended = wait_for_end(queue, *(job.id for job in jobs), dead.id)
        assert {job.status for job in ended} == {Status.DONE}
        assert queue.wait(failed.id, 10).status is Status.FAILED
        assert queue.delete(cancelled.id)
        assert queue.stats().kinds["kind"].done == 3
    assert queue.retry(failed.id)
    assert queue.dequeue(["fails"], _done)
    assert queue.check() == []


def _done(ctx: Context, job: Job) -> Job:
    job.status = Status.DONE
    return job


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A folder with `key.pem` and `cert.pem`, which is its own authority, for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl is on PATH (Debian: apt-get install openssl)")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path


@pytest.fixture
def encrypted(own_server: OwnServer, certificate: Path) -> str:
    """The URL of a server that speaks TLS only."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own_server(
        "redis-on-path",
        options={
            "tls-port": str(port),
            "tls-cert-file": str(certificate / "cert.pem"),
            "tls-key-file": str(certificate / "key.pem"),
            "tls-ca-cert-file": str(certificate / "cert.pem"),
            "tls-auth-clients": "no",
        },
    )
    return f"rediss://127.0.0.1:{port}/0"


def test_over_tls_everything_works(encrypted: str, certificate: Path) -> None:
    queue = RedisQueue.from_url(f"{encrypted}?ssl_ca_certs={certificate / 'cert.pem'}", "tls")
    _use_everything(queue)
    wait_until(lambda: queue.stats().workers == (), "all workers have left")
    queue.close()


def test_over_tls_the_asyncio_queue_works_too(encrypted: str, certificate: Path) -> None:
    async def enqueue_and_get() -> None:
        url = f"{encrypted}?ssl_ca_certs={certificate / 'cert.pem'}"
        queue, job = AsyncRedisQueue.from_url(url, "tls-async"), Job("kind")
        await queue.enqueue(job)
        got = await queue.get(job.id)
        assert got is not None
        assert got.status is Status.PENDING
        await queue.close()

    asyncio.run(enqueue_and_get())


def test_a_server_whose_certificate_is_not_trusted_is_not_spoken_to(encrypted: str) -> None:
    queue = RedisQueue.from_url(encrypted, "tls")
    with pytest.raises(QueueUnavailableError, match="certificate verify failed"):
        queue.enqueue(Job("kind"))
    queue.close()
