"""`queue.wait`: a job's end, told to who waits for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis

from redisjobs import (
    ConfigurationError,
    Context,
    InvalidJobError,
    Job,
    JobNotFoundError,
    RedisQueue,
    Status,
    Worker,
    waiting,
)
from redisjobs.operations.claim import ClaimRequest, claim
from redisjobs.operations.giving_back import reap
from redisjobs.operations.membership import register
from redisjobs.operations.operation import Operation, command
from tests import drivers
from tests.drivers import DRIVERS
from tests.proxy import Proxy
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer
    from tests.drivers import Driver

# Nothing that is asked for in the tests comes by looking again.
NEVER_S = 300.0
LONG_S = 20.0


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """These tests run over both queues."""
    with drivers.driver(request.param) as made:
        yield made


@pytest.fixture(autouse=True)
def _looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOOK_EVERY_S", NEVER_S)


def in_background(call: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as err:  # noqa: BLE001 - the test looks at it
            future.set_exception(err)

    threading.Thread(target=run, daemon=True).start()
    return future


@pytest.fixture
def near(redis_server: EmbeddedServer, queue_name: str) -> Iterator[RedisQueue]:
    """The same queue, for what others do to it meanwhile."""
    made = RedisQueue.from_url(redis_server.url, queue_name)
    yield made
    made.close()


def run_all(near: RedisQueue, fn: Callable[[Context, Job], bytes | None] | None = None) -> None:
    Worker(near, {"kind": fn or (lambda ctx, job: b"out")}).run(burst=True)


def is_waited_for(client: redis.Redis, queue: RedisQueue, *ids: str) -> None:
    wait_until(
        lambda: {*client.zrange(queue.keys.waited, 0, -1)} >= {id.encode() for id in ids},
        f"somebody waits for {ids}",
    )


def fails(ctx: Context, job: Job) -> bytes:
    raise ValueError("no")


class TestAJobThatEnds:
    def test_before_it_was_asked_for_is_returned_at_once(
        self, queue: RedisQueue, near: RedisQueue
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        run_all(near)
        done = queue.wait("x", 0)
        assert (done.id, done.status, done.result) == ("x", Status.DONE, b"out")

    @pytest.mark.parametrize(
        ("end", "status"),
        [
            (run_all, Status.DONE),
            (lambda near: run_all(near, fails), Status.FAILED),
            (lambda near: near.cancel("x"), Status.CANCELLED),
        ],
    )
    def test_later_wakes_who_waits(
        self,
        queue: RedisQueue,
        near: RedisQueue,
        client: redis.Redis,
        end: Callable[[RedisQueue], Any],
        status: Status,
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        waits = in_background(lambda: queue.wait(" x ", NEVER_S))
        is_waited_for(client, queue, "x")
        end(near)
        assert waits.result(LONG_S).status == status
        assert not client.exists(queue.keys.waited)

    def test_by_losing_its_worker_too_often_wakes_too(
        self, queue: RedisQueue, near: RedisQueue, client: redis.Redis
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        near.lines.run(lambda: register(near.keys, "w", 60_000_000, b"{}", {}))
        request = ClaimRequest("w", ["kind"], 1, 1, 3, 1)
        assert near.lines.run(lambda: claim(near.keys, request)).claims
        waits = in_background(lambda: queue.wait("x", NEVER_S))
        is_waited_for(client, queue, "x")
        near.lines.run(lambda: reap(near.keys, "w", None, 0, ["kind"]))
        assert waits.result(LONG_S).status == Status.PANIC

    def test_wakes_all_who_wait_for_it_and_nobody_else(
        self, queue: RedisQueue, near: RedisQueue, client: redis.Redis
    ) -> None:
        near.enqueue(Job("kind", id="x"), Job("other", id="y"))
        for_x = [in_background(lambda: queue.wait("x", NEVER_S)) for _ in range(5)]
        for_y = in_background(lambda: queue.wait("y", NEVER_S))
        is_waited_for(client, queue, "x", "y")
        wait_until(
            lambda: client.pubsub_numsub(queue.keys.end_of("x"))[0][1] == listeners(queue, 5),
            "all listen",
        )
        run_all(near)
        assert {waits.result(LONG_S).id for waits in for_x} == {"x"}
        assert not for_y.done()
        near.cancel("y")
        assert for_y.result(LONG_S).id == "y"
        wait_until(
            lambda: client.pubsub_numsub(queue.keys.end_of("y"))[0][1] == 0, "nobody listens"
        )

    def test_with_a_retry_before_is_not_taken_for_ended(
        self, queue: RedisQueue, near: RedisQueue, client: redis.Redis
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        run_all(near, fails)
        assert near.retry("x")
        waits = in_background(lambda: queue.wait("x", NEVER_S))
        is_waited_for(client, queue, "x")
        run_all(near)
        assert waits.result(LONG_S).status == Status.DONE


def listeners(queue: RedisQueue, waits: int) -> int:
    """How many connections so many waits of one process come to."""
    return waits if type(queue) is RedisQueue else 1


class TestAJobThatIsNotThere:
    def test_was_never_enqueued(self, queue: RedisQueue) -> None:
        with pytest.raises(JobNotFoundError, match="'x' is not in queue"):
            queue.wait("x", NEVER_S)

    def test_ended_without_a_record(
        self, queue: RedisQueue, near: RedisQueue, client: redis.Redis, redis_server: EmbeddedServer
    ) -> None:
        keeps_none = RedisQueue.from_url(redis_server.url, queue.name, retention=0)
        near.enqueue(Job("kind", id="x"))
        waits = in_background(lambda: queue.wait("x", NEVER_S))
        is_waited_for(client, queue, "x")
        run_all(keeps_none)
        with pytest.raises(JobNotFoundError, match=r"ended as DONE, and queue .* keeps no record"):
            waits.result(LONG_S)

    def test_is_deleted_while_it_is_waited_for(
        self, queue: RedisQueue, near: RedisQueue, client: redis.Redis
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        waits = in_background(lambda: queue.wait("x", NEVER_S))
        is_waited_for(client, queue, "x")
        assert near.delete("x")
        with pytest.raises(JobNotFoundError, match="'x' was deleted"):
            waits.result(LONG_S)

    def test_is_past_its_time(self, queue: RedisQueue, near: RedisQueue) -> None:
        near.enqueue(Job("kind", id="x"))
        Worker(near, {"kind": lambda ctx, job: None}).run(burst=True)
        near.lines.run(lambda: register(near.keys, "w", 1000, b"{}", {"retention_us": 1}))
        with pytest.raises(JobNotFoundError, match="not kept any more"):
            queue.wait("x", NEVER_S)


class TestTime:
    @pytest.mark.parametrize("timeout", [0, 0.05, timedelta(milliseconds=50), -1])
    def test_over_is_a_timeout_error_that_names_the_job(
        self, queue: RedisQueue, near: RedisQueue, timeout: float | timedelta
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        with pytest.raises(TimeoutError, match="job 'x' has not ended within"):
            queue.wait("x", timeout)

    def test_without_end_is_none(
        self, queue: RedisQueue, near: RedisQueue, client: redis.Redis
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        waits = in_background(lambda: queue.wait("x"))
        is_waited_for(client, queue, "x")
        run_all(near)
        assert waits.result(LONG_S).status == Status.DONE

    @pytest.mark.parametrize("timeout", ["1", True, float("nan"), b"1"])
    def test_that_is_none_is_refused(self, queue: RedisQueue, timeout: Any) -> None:
        with pytest.raises(ConfigurationError, match="timeout"):
            queue.wait("x", timeout)

    def test_is_not_spent_on_an_id_that_cannot_be(self, queue: RedisQueue) -> None:
        with pytest.raises(InvalidJobError):
            queue.wait(" ", NEVER_S)


class TestAConnectionThatBreaks:
    def test_while_it_listens_is_opened_again(
        self, queue: RedisQueue, near: RedisQueue, client: redis.Redis, driver: Driver,
        redis_server: EmbeddedServer,
    ) -> None:  # fmt: skip
        near.enqueue(Job("kind", id="x"))
        with Proxy(redis_server.url) as proxy:
            far = driver.from_url(proxy.url, queue.name)
            waits = in_background(lambda: far.wait("x", NEVER_S))
            is_waited_for(client, queue, "x")
            proxy.down()
            run_all(near)  # its end is told, and nobody hears it
            assert not waits.done()
            proxy.up()
            assert waits.result(LONG_S).status == Status.DONE

    @pytest.mark.parametrize("command", ["SUBSCRIBE", "wait", "get"])
    def test_at_any_call_is_no_end(
        self, queue: RedisQueue, near: RedisQueue, driver: Driver, redis_server: EmbeddedServer,
        command: str,
    ) -> None:  # fmt: skip
        near.enqueue(Job("kind", id="x"))
        run_all(near)
        with Proxy(redis_server.url) as proxy:
            far = driver.from_url(proxy.url, queue.name)
            fault = proxy.cut(command)
            assert far.wait("x", NEVER_S).status == Status.DONE
            assert fault.happened.is_set()

    def test_half_open_is_given_up_and_opened_again(
        self, queue: RedisQueue, near: RedisQueue, driver: Driver, redis_server: EmbeddedServer
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        run_all(near)
        with Proxy(redis_server.url) as proxy:
            far = driver.from_url(proxy.url, queue.name)
            getattr(far.lines, "_inner", far.lines)._timeout_s = 0.3
            proxy.stall()
            waits = in_background(lambda: far.wait("x", NEVER_S))
            wait_until(lambda: proxy.swallowed > 0, "it is asked in vain")
            proxy.stalled = False  # for new connections
            assert waits.result(LONG_S).status == Status.DONE

    def test_half_open_makes_no_wait_much_longer(
        self, queue: RedisQueue, near: RedisQueue, driver: Driver, redis_server: EmbeddedServer
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        with Proxy(redis_server.url) as proxy:
            far = driver.from_url(proxy.url, queue.name)
            proxy.stall()
            waits = in_background(lambda: far.wait("x", 0.2))
            with pytest.raises(TimeoutError, match=r"has not ended within 0\.2 s; Redis at 127"):
                waits.result(8)

    def test_until_the_time_is_over_is_named(
        self, queue: RedisQueue, near: RedisQueue, driver: Driver, redis_server: EmbeddedServer
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        with Proxy(redis_server.url) as proxy:
            far = driver.from_url(proxy.url, queue.name)
            proxy.down()
            with pytest.raises(TimeoutError, match=r"has not ended within 0\.3 s; Redis at 127"):
                far.wait("x", 0.3)

    def test_by_a_restart_of_redis_is_survived(
        self, own_server: OwnServer, driver: Driver, tmp_path: Path
    ) -> None:
        options = {"appendonly": "yes", "appendfsync": "always", "dir": str(tmp_path)}
        server = own_server(tcp=True, options=options)
        near, queue = RedisQueue.from_url(server.url), driver.from_url(server.url)
        near.enqueue(Job("kind", id="x"))
        waits = in_background(lambda: queue.wait("x", NEVER_S))
        wait_until(lambda: near.lines.run(lambda: _waited(near)), "somebody waits")
        server.crash()
        server.restart()
        run_all(near)
        assert waits.result(LONG_S).status == Status.DONE
        near.close()


def _waited(queue: RedisQueue) -> Operation[int]:
    replies = yield (command("EXISTS", queue.keys.waited),)
    found: int = replies[0]
    return found


class TestWhatItLeaves:
    def test_a_lost_message_is_made_up_for_by_looking_again(
        self, queue: RedisQueue, near: RedisQueue, client: redis.Redis,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        monkeypatch.setattr(waiting, "LOOK_EVERY_S", 0.3)
        near.enqueue(Job("kind", id="x"))
        waits = in_background(lambda: queue.wait("x", NEVER_S))
        is_waited_for(client, queue, "x")
        client.delete(queue.keys.waited)  # as if nobody had asked: no end is told
        run_all(near)
        assert waits.result(LONG_S).status == Status.DONE

    def test_expires_and_is_no_broken_invariant(
        self, queue: RedisQueue, near: RedisQueue, client: redis.Redis
    ) -> None:
        near.enqueue(Job("kind", id="x"))
        with pytest.raises(TimeoutError):
            queue.wait("x", 0)
        assert 0 < client.pttl(queue.keys.waited) <= 60_000
        assert near.check() == []

    def test_while_nobody_waits_nothing_is_told(self, own_server: OwnServer) -> None:
        server = own_server()
        queue = RedisQueue.from_url(server.url)
        queue.enqueue(*(Job("kind") for _ in range(100)))
        run_all(queue)
        with redis.Redis.from_url(server.url) as client:
            assert "cmdstat_publish" not in client.info("commandstats")
        queue.close()
