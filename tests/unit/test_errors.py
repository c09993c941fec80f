from __future__ import annotations

import pickle

import pytest

from redisjobs import errors
from redisjobs.errors import JobExistsError, RedisJobsError, message_of

OWN_ERRORS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, Exception)
]


@pytest.mark.parametrize("error", OWN_ERRORS)
def test_every_error_is_a_redis_jobs_error(error: type[Exception]) -> None:
    assert issubclass(error, RedisJobsError)


@pytest.mark.parametrize("error", [errors.InvalidJobError, errors.ConfigurationError])
def test_bad_values_are_value_errors(error: type[Exception]) -> None:
    assert issubclass(error, ValueError)


def test_existing_jobs_are_all_listed_and_ten_are_named() -> None:
    ids = [f"job-{number}" for number in range(1012)]
    error = JobExistsError(ids)
    assert error.ids == tuple(ids)
    assert "'job-0', 'job-1'," in str(error)
    assert "'job-9' and 1,002 more exist already" in str(error)
    assert "job-10" not in str(error)


def test_ten_existing_jobs_are_named_without_more() -> None:
    assert "'9' exist already" in str(JobExistsError(str(number) for number in range(10)))


def test_one_existing_job_reads_as_one() -> None:
    assert str(JobExistsError(["a"])).startswith("job 'a' exists already; nothing was written")


def stopped_half_way(error: RedisJobsError) -> RedisJobsError:
    error.stored = 3000
    return error


def test_an_error_of_enqueue_many_tells_how_much_was_stored() -> None:
    error = stopped_half_way(JobExistsError(["a"]))
    assert str(error).startswith("job 'a' exists already")
    assert "3,000 jobs of this enqueue_many were stored before" in str(error)


@pytest.mark.parametrize(
    "error", [JobExistsError(["a", "b"]), stopped_half_way(JobExistsError(["a"]))]
)
def test_errors_with_fields_survive_pickling(error: RedisJobsError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)


class Unreadable(Exception):
    def __str__(self) -> str:
        raise SystemExit("no")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("too big"), "too big"),
        (ValueError(), "ValueError"),
        (ValueError("  \n"), "ValueError"),
        (Unreadable(), "its message cannot be read: SystemExit"),
    ],
)
def test_a_message_is_never_blank(error: BaseException, message: str) -> None:
    assert message_of(error) == message
