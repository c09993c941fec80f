"""What only `AsyncRedisQueue` has to promise: cancellation, many tasks, several loops."""

from __future__ import annotations

import asyncio
import inspect
import random
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
import redis
import redis.asyncio

from redisjobs import (
    AsyncRedisQueue,
    ConfigurationError,
    InvalidJobError,
    Job,
    RedisQueue,
    Status,
    async_transport,
    waiting,
)
from tests.proxy import Proxy
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from redisjobs.embedded import EmbeddedServer
    from tests.conftest import OwnServer

ROOT = Path(__file__).parents[2]


def public(of: type) -> dict[str, Any]:
    return {
        name: getattr(of, name)
        for name in dir(of)
        if not name.startswith("_") and callable(getattr(of, name))
    }


class TestTheTwoQueues:
    def test_have_the_same_methods_with_the_same_parameters(self) -> None:
        blocking, awaited = public(RedisQueue), public(AsyncRedisQueue)
        assert blocking.keys() == awaited.keys()
        for name in blocking:
            ours, theirs = (inspect.signature(each[name]) for each in (blocking, awaited))
            assert [(one.name, one.kind, one.default) for one in ours.parameters.values()] == [
                (one.name, one.kind, one.default) for one in theirs.parameters.values()
            ], name

    def test_differ_in_that_one_is_awaited(self) -> None:
        for name, method in public(AsyncRedisQueue).items():
            assert inspect.iscoroutinefunction(method) == (name != "from_url"), name
        for name, method in public(RedisQueue).items():
            assert not inspect.iscoroutinefunction(method), name

    def test_are_made_with_the_same_settings(self) -> None:
        assert inspect.signature(RedisQueue) == inspect.signature(AsyncRedisQueue)

    def test_refuse_each_others_clients(self) -> None:
        with pytest.raises(ConfigurationError, match="is for RedisQueue"):
            AsyncRedisQueue(redis.Redis())  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="is for AsyncRedisQueue"):
            RedisQueue(redis.asyncio.Redis())  # type: ignore[arg-type]


class TestACallThatIsCancelled:
    def test_leaves_no_reply_for_the_next_one(
        self, open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None]
    ) -> None:
        """Each of many tasks gets its own job, whichever others end in mid-reply."""
        chance = random.Random(7)

        async def application() -> None:
            async with open_queue() as queue:
                await queue.enqueue(*(Job("kind", b"%d" % n, id=str(n)) for n in range(50)))

                async def look(number: int) -> None:
                    job = await queue.get(str(number))
                    assert job is not None
                    assert job.payload == b"%d" % number

                for _ in range(20):
                    tasks = [asyncio.create_task(look(n)) for n in range(50)]
                    for _ in range(chance.randrange(6)):
                        await asyncio.sleep(0)
                    for task in chance.sample(tasks, 20):
                        task.cancel()
                    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                        assert outcome is None or isinstance(outcome, asyncio.CancelledError)

        run(application())

    def test_while_it_waits_for_a_reply_closes_its_connection(
        self, redis_server: EmbeddedServer, queue_name: str, run: Callable[..., None]
    ) -> None:
        async def application(proxy: Proxy) -> None:
            async with AsyncRedisQueue.from_url(proxy.url, queue_name) as queue:
                await queue.enqueue(Job("kind", id="first"))
                proxy.stalled = True
                hanging = asyncio.create_task(queue.get("first"))
                await asyncio.to_thread(
                    wait_until, lambda: proxy.swallowed > 0, "the call is under way"
                )
                hanging.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await hanging
                proxy.stalled = False
                await queue.enqueue(Job("kind", id="second"))
                job = await queue.get("second")
                assert job is not None
                assert job.id == "second"

        with Proxy(redis_server.url) as proxy:
            run(application(proxy))

    def test_of_enqueue_is_told_from_the_next_call(
        self, redis_server: EmbeddedServer, queue_name: str, run: Callable[..., None]
    ) -> None:
        """Its request may arrive late: the next call must not be taken for its repetition."""

        async def application(proxy: Proxy) -> None:
            async with AsyncRedisQueue.from_url(proxy.url, queue_name) as queue:
                for number in range(10):
                    enqueueing = asyncio.create_task(queue.enqueue(Job("kind", id=f"a{number}")))
                    for _ in range(number):
                        await asyncio.sleep(0)
                    enqueueing.cancel()
                    with suppress(asyncio.CancelledError):
                        await enqueueing
                    created = await queue.enqueue(Job("kind", id=f"b{number}"))
                    assert created.created == (f"b{number}",)
                    assert await queue.get(f"b{number}") is not None

        with Proxy(redis_server.url) as proxy:
            run(application(proxy))

    def test_of_wait_disturbs_no_other_wait(
        self, open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None]
    ) -> None:
        async def application() -> None:
            async with open_queue() as queue:
                ids = [str(n) for n in range(30)]
                await queue.enqueue(*(Job("kind", id=id) for id in ids))
                waits = {id: asyncio.create_task(queue.wait(id, 20)) for id in ids}
                for number, id in enumerate(ids[::2]):
                    await asyncio.sleep(0 if number % 3 else 0.002)
                    waits[id].cancel()
                for id in ids[1::2]:
                    assert await queue.cancel(id)
                for id in ids[1::2]:
                    job = await waits[id]
                    assert (job.id, job.status) == (id, Status.CANCELLED)
                ended = await asyncio.gather(
                    *(waits[id] for id in ids[::2]), return_exceptions=True
                )
                assert [type(one).__name__ for one in ended] == ["CancelledError"] * 15

        run(application())


def test_waits_hear_again_after_somebody_cancelled_all_tasks_of_the_loop(
    open_queue: Callable[[], AsyncRedisQueue],
    run: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "LOOK_EVERY_S", 300.0)

    async def application() -> None:
        async with open_queue() as queue:
            await queue.enqueue(Job("kind", id="x"), Job("kind", id="y"))
            waits = asyncio.create_task(queue.wait("x", 20))
            await asyncio.sleep(0.1)
            for task in asyncio.all_tasks() - {asyncio.current_task(), waits, root}:
                task.cancel()
            await asyncio.sleep(0.1)
            later = asyncio.create_task(queue.wait("y", 20))
            await asyncio.sleep(0.1)
            assert await queue.cancel("x")
            assert await queue.cancel("y")
            assert [(await waits).id, (await later).id] == ["x", "y"]

    root: Any = None

    async def rooted() -> None:
        nonlocal root
        root = asyncio.current_task()
        await application()

    run(rooted())


def test_many_calls_at_once_share_a_few_connections(
    open_queue: Callable[[], AsyncRedisQueue],
    client: redis.Redis,
    run: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(async_transport, "MOST_LINES", 5)
    before = client.info("clients")["connected_clients"]

    async def application() -> None:
        async with open_queue() as queue:
            await asyncio.gather(*(queue.enqueue(Job("kind")) for _ in range(200)))
            connected = client.info("clients")["connected_clients"]
            assert connected - before <= 5
            assert (await queue.stats()).kinds["kind"].ready == 200

    run(application())


def test_one_queue_serves_one_loop_after_another_and_two_at_once(
    open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None]
) -> None:
    queue = open_queue()

    async def call(id: str) -> None:
        for number in range(20):
            await queue.enqueue(Job("kind", id=f"{id}-{number}"))
            assert await queue.get(f"{id}-{number}") is not None
        await queue.close()

    run(call("first"))
    other = threading.Thread(target=run, args=(call("other"),))
    other.start()
    run(call("second"))
    other.join(30)

    async def count() -> None:
        assert (await queue.stats()).kinds["kind"].ready == 60
        await queue.close()

    run(count())


# The parent's loop either goes on after the fork, or each part has one of its own.
FORKS = """
import asyncio, os, sys
import redis
from redisjobs import AsyncRedisQueue, Job

queue = AsyncRedisQueue.from_url(sys.argv[1], "forked")
loop = asyncio.Runner()

def run(coroutine):
    return loop.run(coroutine) if sys.argv[2] == "goes on" else asyncio.run(coroutine)

async def in_time(calls):
    async with asyncio.timeout(5):
        await calls

async def store(job):
    assert (await queue.enqueue(job)).created == (job.id,)
    assert (await queue.get(job.id)).payload == job.payload

async def use(who):
    for place in range(0, 200, 4):
        ids = [f"{who}-{place + more}" for more in range(4)]
        await asyncio.gather(*(store(Job("email", id.encode(), id=id)) for id in ids))

async def begin():
    assert (await queue.get("before")).payload == b"parent"

run(store(Job("email", b"parent", id="before")))
go_on, used = os.pipe(), os.pipe()
child = os.fork()
if child:
    os.read(used[0], 1)
    print(len(redis.Redis.from_url(sys.argv[1]).client_list()))
    os.write(go_on[1], b"x")
    run(in_time(use("parent")))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
else:
    with asyncio.Runner() as loop:
        loop.run(in_time(begin()))
        os.write(used[1], b"x")
        os.read(go_on[0], 1)
        loop.run(in_time(use("child")))
    os._exit(0)
"""


@pytest.mark.parametrize("parents_loop", ["goes on", "is over"])
def test_a_queue_outlives_a_fork(own_server: OwnServer, parents_loop: str) -> None:
    """Parent and child use it at once, each on a loop and over connections of its own."""
    server = own_server()
    command = [sys.executable, "-c", FORKS, server.url, parents_loop]
    ran = subprocess.run(command, check=False, timeout=60, cwd=ROOT, capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()
    idle = 2
    assert int(ran.stdout) == idle + 1, "those of the two, and the one that counts them"
    queue = RedisQueue.from_url(server.url, "forked")
    assert queue.stats().kinds["email"].ready == 401
    assert queue.check() == []
    queue.close()


def test_enqueue_many_takes_an_async_iterable(
    open_queue: Callable[[], AsyncRedisQueue], run: Callable[..., None]
) -> None:
    async def jobs(bad: int | None = None) -> AsyncIterator[Job]:
        for number in range(25):
            await asyncio.sleep(0)
            yield Job("kind", b"x" * 2**21 if number == bad else b"")

    async def application() -> None:
        async with open_queue() as queue:
            assert await queue.enqueue_many(jobs(), chunk=10) == 25
            with pytest.raises(InvalidJobError, match="10 jobs of this enqueue_many"):
                await queue.enqueue_many(jobs(bad=13), chunk=10)
            assert (await queue.stats()).kinds["kind"].ready == 35

    run(application())


def test_fakeredis_does_for_users_own_tests(run: Callable[..., None]) -> None:
    async def application() -> None:
        async with AsyncRedisQueue(fakeredis.FakeAsyncRedis()) as queue:
            await queue.enqueue(Job("kind", id="x"))
            waits = asyncio.create_task(queue.wait("x", 10))
            await asyncio.sleep(0.01)
            assert await queue.cancel("x")
            assert (await waits).status == Status.CANCELLED

    run(application())
