"""Bad input: a clear error, nothing written, nothing lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from redisjobs import ConfigurationError, Job, RedisQueue
from redisjobs.errors import InvalidJobError
from tests import drivers
from tests.drivers import DRIVERS
from tests.running import snapshot

if TYPE_CHECKING:
    import redis

    from redisjobs.embedded import EmbeddedServer
    from tests.drivers import Driver


LONG = "x" * 201
WIDE = "ü" * 101


def _job(**fields: Any) -> Callable[[], Any]:
    """Makes a good job, then spoils it: where the constructor would refuse, by hand."""

    def make() -> Job:
        job = Job("email", b"payload", id="job-1")
        for name, value in fields.items():
            setattr(job, name, value)
        return job

    return make


BAD_JOBS: dict[str, tuple[Callable[[], Any], str]] = {
    "blank id": (_job(id=""), "id must not be blank"),
    "id of spaces": (_job(id=" \t\n"), "id must not be blank"),
    "long id": (_job(id=LONG), "at most 200 bytes .* has 201"),
    "wide id": (_job(id=WIDE), "at most 200 bytes .* has 202"),
    "id with NUL": (_job(id="a\0b"), "id must have no NUL"),
    "id that is bytes": (_job(id=b"job"), "id must be a str, not bytes"),
    "id that is a number": (_job(id=7), "id must be a str, not int"),
    "id with a lone surrogate": (_job(id="a\ud800"), "lone surrogate"),
    "blank kind": (_job(kind=""), "kind must not be blank"),
    "long kind": (_job(kind=LONG), "kind must have at most 200 bytes"),
    "kind with NUL": (_job(kind="a\0b"), "kind must have no NUL"),
    "kind that is None": (_job(kind=None), "kind must be a str, not NoneType"),
    "payload that is a str": (_job(payload="text"), r"'job-1' \(email\): .* bytes, not str"),
    "payload that is None": (_job(payload=None), "the payload must be bytes, not NoneType"),
    "payload that is a bytearray": (_job(payload=bytearray(b"x")), "bytes, not bytearray"),
    "payload that is too large": (
        _job(payload=b"x" * 1001),
        r"'job-1' \(email\): the payload has 1,001 bytes, over the limit of 1,000",
    ),
    "RunAt beyond the year 2200": (
        _job(run_at=datetime(2200, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
        r"'job-1' \(email\): its RunAt is beyond the year 2200",
    ),
    "delay beyond the year 2200": (_job(delay=timedelta(days=80_000)), "beyond the year 2200"),
    "a str": (lambda: "email", "takes Job objects, not str"),
    "a dict": (lambda: {"kind": "email"}, "takes Job objects, not dict"),
    "None": (lambda: None, "takes Job objects, not NoneType"),
    "a list of jobs": (lambda: [Job("email")], "takes Job objects, not list"),
}


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """These tests run over both queues."""
    with drivers.driver(request.param) as made:
        yield made


@pytest.fixture
def small(driver: Driver, redis_server: EmbeddedServer, queue: RedisQueue) -> RedisQueue:
    """The queue, with a small limit for payloads."""
    made: RedisQueue = driver.from_url(redis_server.url, queue.name, max_payload=1000)
    return made


@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "between", "last"])
@pytest.mark.parametrize(("make", "words"), BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_bad_job_is_refused_with_all_that_come_with_it(
    small: RedisQueue, client: redis.Redis, make: Callable[[], Any], words: str, place: int
) -> None:
    there = Job("email")
    small.enqueue(there)
    before = snapshot(client, small)
    jobs: list[Any] = [Job("email"), Job("report")]
    jobs.insert(place, make())
    with pytest.raises(InvalidJobError, match=words):
        small.enqueue(*jobs)
    assert snapshot(client, small) == before
    small.enqueue(*(jobs[:place] + jobs[place + 1 :]))
    assert small.stats().kinds["email"].ready == 2, "the good ones are as good as before"


@pytest.mark.parametrize(("make", "words"), BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_bad_job_is_refused_by_enqueue_many(
    small: RedisQueue, client: redis.Redis, make: Callable[[], Any], words: str
) -> None:
    with pytest.raises(InvalidJobError, match=words) as caught:
        small.enqueue_many([Job("email"), make()])
    assert caught.value.stored == 0
    assert snapshot(client, small) == {}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: Job("email", run_at=datetime(2030, 1, 1)),  # noqa: DTZ001
        lambda: Job("email", created_at=datetime(2030, 1, 1)),  # noqa: DTZ001
        lambda: setattr(Job("email"), "run_at", datetime(2030, 1, 1)),  # noqa: DTZ001
    ],
    ids=["run_at", "created_at", "assigned"],
)
def test_a_naive_datetime_is_refused_where_it_is_given(spoil: Callable[[], Any]) -> None:
    with pytest.raises(InvalidJobError, match="must be timezone-aware"):
        spoil()


def test_what_is_just_within_the_limits_is_taken(small: RedisQueue) -> None:
    job = Job(
        "k" * 200,
        b"x" * 1000,
        id="ü" * 100,
        run_at=datetime(2200, 1, 1, tzinfo=UTC),
    )
    small.enqueue(job)
    stored = small.get(job.id)
    assert stored is not None
    assert (stored.kind, stored.payload, stored.run_at) == (job.kind, job.payload, job.run_at)


def test_an_id_twice_in_one_call_is_refused(queue: RedisQueue, client: redis.Redis) -> None:
    with pytest.raises(InvalidJobError, match="'job-1' is there twice in one call"):
        queue.enqueue(Job("email", id="job-1"), Job("email"), Job("report", id=" job-1 "))
    assert snapshot(client, queue) == {}


def test_more_than_10_000_jobs_are_refused(queue: RedisQueue, client: redis.Redis) -> None:
    with pytest.raises(InvalidJobError, match=r"10,001 jobs in one call: .* use enqueue_many"):
        queue.enqueue(*[Job("email") for _ in range(10_001)])
    assert snapshot(client, queue) == {}


def test_more_bytes_than_one_call_may_carry_are_refused(
    queue: RedisQueue, client: redis.Redis
) -> None:
    payload = b"x" * 2**20
    with pytest.raises(InvalidJobError, match=r"bytes in one call: .* use enqueue_many"):
        queue.enqueue(*[Job("email", payload) for _ in range(64)])
    assert snapshot(client, queue) == {}


@pytest.mark.parametrize("call", ["get", "cancel", "retry", "delete"])
@pytest.mark.parametrize("id", ["", "  ", LONG, "a\0b", None, 7, b"job-1"])
def test_an_id_that_no_job_can_have_is_refused(
    queue: RedisQueue, client: redis.Redis, call: str, id: Any
) -> None:
    queue.enqueue(Job("email", id="job-1"))
    before = snapshot(client, queue)
    with pytest.raises(InvalidJobError, match="id"):
        getattr(queue, call)(id)
    assert snapshot(client, queue) == before


@pytest.mark.parametrize("name", ["a{b}", "{", "}", "", " ", "a\nb", "x" * 201, None, b"orders"])
def test_a_queue_name_that_cannot_be_is_refused(
    driver: Driver, redis_server: EmbeddedServer, name: Any
) -> None:
    with pytest.raises(ConfigurationError, match="queue"):
        driver.from_url(redis_server.url, name)


@pytest.mark.parametrize("name", ["orders:eu", "zakaz-заказ", "a b", "*?[x]", "%s", "'\\"])
def test_any_other_name_is_one(
    driver: Driver, redis_server: EmbeddedServer, client: redis.Redis, queue_name: str, name: str
) -> None:
    queue = driver.from_url(redis_server.url, f"{name} {queue_name}")
    job = Job("email")
    queue.enqueue(job)
    assert queue.get(job.id) is not None
    assert queue.delete(job.id)
    assert queue.check() == []
    client.delete(queue.keys.kinds)
    queue.close()
