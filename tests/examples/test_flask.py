"""The Flask service of examples/, by Flask's own test client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from examples.flask_app import create_app
from examples.mail import make_worker
from redisjobs import RedisQueue
from tests.examples.conftest import working

if TYPE_CHECKING:
    from flask.testing import FlaskClient

    from redisjobs.embedded import EmbeddedServer


@pytest.fixture
def web(server: EmbeddedServer) -> FlaskClient:
    return create_app().test_client()


def test_a_request_enqueues_and_another_sees_the_end(
    web: FlaskClient, server: EmbeddedServer
) -> None:
    answer = web.post("/signups", json={"address": "a@b.example"})
    assert (answer.status_code, answer.json) == (202, {"job": "welcome-a@b.example"})
    assert web.get("/jobs/welcome-a@b.example").json == {"status": "PENDING", "error": None}
    with working(make_worker):
        RedisQueue.from_url(server.url, "mail").wait("welcome-a@b.example", 10.0)
    assert web.get("/jobs/welcome-a@b.example").json == {"status": "DONE", "error": None}


def test_a_job_that_is_retried_tells_why(web: FlaskClient, server: EmbeddedServer) -> None:
    web.post("/signups", json={"address": "a@busy.example"})
    make_worker().run(burst=True)
    shown = web.get("/jobs/welcome-a@busy.example").get_json()
    assert shown == {"status": "PENDING", "error": "retryable-error: the mail server is busy"}


def test_a_second_signup_and_a_job_that_is_not_there_are_refused(web: FlaskClient) -> None:
    assert web.post("/signups", json={"address": "a@b.example"}).status_code == 202
    assert web.post("/signups", json={"address": "a@b.example"}).status_code == 409
    assert web.get("/jobs/none").status_code == 404


def test_a_request_waits_for_a_result(web: FlaskClient) -> None:
    with working(make_worker):
        answer = web.post("/previews", json={"template": "Dear {name}", "names": ["Ann"]})
        assert (answer.status_code, answer.json) == (200, {"text": "Dear Ann"})
        failed = web.post("/previews", json={"template": "Dear {nobody}", "names": ["Ann"]})
    assert failed.status_code == 422


def test_without_a_redis_a_request_is_told_to_try_again(
    web: FlaskClient, server: EmbeddedServer
) -> None:
    server.crash()
    answer = web.post("/signups", json={"address": "a@b.example"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
