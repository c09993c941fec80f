"""The Django service of examples/, by Django's own test client, on a database of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import django
import pytest

from redisjobs import RedisQueue, Status
from redisjobs.embedded import EmbeddedServer
from tests.examples.conftest import working
from tests.servers import KINDS, first_found

if TYPE_CHECKING:
    from collections.abc import Iterator

# A handler's thread keeps its connection for CONN_MAX_AGE. It ends with the thread, of which Python
# 3.13 warns.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:.*<sqlite3\.Connection:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """Django is set up once in a process, and so are its database and its queue."""
    with pytest.MonkeyPatch.context() as patch:
        server = EmbeddedServer(executable=KINDS[first_found()]())
        patch.setenv("REDISJOBS_URL", server.url)
        patch.setenv("SHOP_DATABASE", str(tmp_path_factory.mktemp("shop") / "shop.sqlite3"))
        patch.setenv("DJANGO_SETTINGS_MODULE", "examples.django_shop.settings")
        django.setup()
        from django.core.management import call_command

        call_command("migrate", run_syncdb=True, verbosity=0)
        with server:
            yield server


@pytest.fixture
def queue(shop: EmbeddedServer) -> RedisQueue:
    return RedisQueue.from_url(shop.url, "shop")


@pytest.fixture
def web(shop: EmbeddedServer) -> Any:
    from django.test import Client

    return Client()


def order(id: int) -> Any:
    from examples.django_shop.models import Order

    return Order.objects.get(pk=id)


def test_an_order_is_confirmed_by_a_job_after_its_commit(web: Any, queue: RedisQueue) -> None:
    from examples.django_shop.worker import make_worker

    answer = web.post("/orders", {"address": "a@b.example"})
    assert answer.status_code == 202
    placed = answer.json()
    assert not order(placed["order"]).confirmed
    with working(make_worker):
        assert queue.wait(placed["job"], 10.0).status is Status.DONE
    assert order(placed["order"]).confirmed


def test_an_order_that_is_rolled_back_leaves_no_job(web: Any, queue: RedisQueue) -> None:
    before = queue.stats().kinds
    assert web.post("/orders", {"address": "a@b.example", "card": "declined"}).status_code == 402
    assert queue.stats().kinds == before


def test_an_order_placed_while_redis_was_away_gets_its_job_by_the_command(
    web: Any, queue: RedisQueue, shop: EmbeddedServer
) -> None:
    from django.core.management import call_command

    shop.crash()
    try:
        placed = web.post("/orders", {"address": "a@b.example"}).json()
    finally:
        shop.restart()
    assert queue.get(placed["job"]) is None
    told = io.StringIO()
    call_command("confirm_orders", stdout=told)
    call_command("confirm_orders", stdout=told)
    assert told.getvalue() == "1 enqueued\n0 enqueued\n"
    assert queue.get(placed["job"]) is not None


def test_connections_are_looked_after_around_each_job(shop: EmbeddedServer) -> None:
    from django.db import connection

    from examples.django_shop.jobs import with_database

    connection.ensure_connection()
    connection.close_at = 0.0  # older than CONN_MAX_AGE allows
    opened = with_database(lambda: connection.connection)()
    assert opened is None, "the job got a connection whose time was over"


def test_the_supervised_worker_sets_django_up_itself(
    shop: EmbeddedServer, web: Any, queue: RedisQueue
) -> None:
    placed = web.post("/orders", {"address": "a@b.example"}).json()
    command = [sys.executable, "-m", "redisjobs", "worker"]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO")}
    ran = subprocess.run(
        [*command, "examples.django_shop.worker:make_worker", "--burst"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert queue.wait(placed["job"], 1.0).status is Status.DONE
