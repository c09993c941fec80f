"""A Flask service that enqueues, looks a job up, and waits for a result."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, abort, request

from examples.mail import render_preview, send_welcome
from redisjobs import JobExistsError, JobFailedError, QueueUnavailableError, RedisQueue


def create_app() -> Flask:
    """The application. Its queue may be shared by threads, and made before a server forks."""
    app = Flask(__name__)
    queue = RedisQueue.from_url(os.environ["REDISJOBS_URL"], "mail")

    @app.post("/signups")
    def sign_up() -> tuple[dict[str, str], int]:
        address = request.get_json()["address"]
        job = send_welcome.options(id=f"welcome-{address}").job(address)
        try:
            queue.enqueue(job)
        except JobExistsError:
            abort(409, f"{address} has signed up already")
        return {"job": job.id}, 202

    @app.get("/jobs/<id>")
    def show_job(id: str) -> dict[str, str | None]:
        job = queue.get(id)
        if job is None:
            abort(404, f"no job {id}")
        return {"status": job.status, "error": job.last_error}

    @app.post("/previews")
    def preview() -> dict[str, str]:
        wanted = request.get_json()
        job = render_preview.job(wanted["template"], wanted["names"])
        queue.enqueue(job)
        try:
            return {"text": render_preview.wait(queue, job, timeout=5.0)}
        except TimeoutError:
            abort(504, f"job {job.id} takes longer; look it up later")
        except JobFailedError as err:
            abort(422, err.remote_error)

    @app.errorhandler(QueueUnavailableError)
    def say_try_again(_: QueueUnavailableError) -> tuple[dict[str, Any], int, dict[str, str]]:
        return {"detail": "try again later"}, 503, {"Retry-After": "5"}

    return app
