"""The FastAPI services of examples/, by FastAPI's own test client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from examples import fastapi_app, fastapi_with_worker
from examples.mail import make_worker
from redisjobs import RedisQueue, Status
from tests.examples.conftest import working

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redisjobs.embedded import EmbeddedServer


@pytest.fixture
def web(server: EmbeddedServer) -> Iterator[TestClient]:
    with TestClient(fastapi_app.app) as client:
        yield client


@pytest.fixture
def queue(server: EmbeddedServer) -> RedisQueue:
    return RedisQueue.from_url(server.url, "mail")


def test_a_request_enqueues_and_another_sees_the_end(web: TestClient, queue: RedisQueue) -> None:
    answer = web.post("/signups", json={"address": "a@b.example", "language": "fr"})
    assert (answer.status_code, answer.json()) == (202, {"job": "welcome-a@b.example"})
    assert web.get("/jobs/welcome-a@b.example").json() == {"status": "PENDING", "error": None}
    with working(make_worker):
        done = queue.wait("welcome-a@b.example", 10.0)
    assert done.status is Status.DONE
    assert b"a@b.example (fr)" in (done.result or b"")
    assert web.get("/jobs/welcome-a@b.example").json()["status"] == "DONE"


def test_a_second_signup_and_a_job_that_is_not_there_are_refused(web: TestClient) -> None:
    assert web.post("/signups", json={"address": "a@b.example"}).status_code == 202
    assert web.post("/signups", json={"address": "a@b.example"}).status_code == 409
    assert web.get("/jobs/none").status_code == 404


def test_a_request_waits_for_a_result(web: TestClient) -> None:
    with working(make_worker):
        answer = web.post("/previews", json={"template": "Dear {name}", "names": ["Ann", "Bo"]})
        assert (answer.status_code, answer.json()) == (200, {"text": "Dear Ann\nDear Bo"})
        failed = web.post("/previews", json={"template": "Dear {nobody}", "names": ["Ann"]})
    assert failed.status_code == 422
    assert "nobody" in failed.json()["detail"]


def test_without_a_redis_a_request_is_told_to_try_again(
    web: TestClient, server: EmbeddedServer
) -> None:
    server.crash()
    answer = web.post("/signups", json={"address": "a@b.example"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_a_service_runs_its_jobs_on_its_own_loop(server: EmbeddedServer) -> None:
    with TestClient(fastapi_with_worker.app) as client:
        answer = client.post("/previews", params={"template": "Dear {name}"})
        assert (answer.status_code, answer.json()) == (200, {"text": "Dear you"})
    queue = RedisQueue.from_url(server.url, "mail")
    assert queue.stats().workers == ()
    assert queue.check() == []
