from __future__ import annotations

import math
import pickle
from datetime import timedelta
from typing import Any

import pytest

from redisjobs.limits import MAX_RETRY_AFTER
from redisjobs.retry import RetryableError, find_retryable

MINUTE = timedelta(minutes=1)


class RateLimited(RetryableError):
    def __init__(self, seconds: int) -> None:
        super().__init__("rate limited", timedelta(seconds=seconds))
        self.seconds = seconds


def test_it_names_its_cause() -> None:
    assert str(RetryableError("busy")) == "retryable-error: busy"
    assert str(RetryableError(ValueError("busy"))) == "retryable-error: busy"
    assert str(RetryableError(ValueError())) == "retryable-error: ValueError"
    assert str(RetryableError()) == "retryable-error: no cause given"


def test_the_cause_may_be_given_by_raise_from() -> None:
    cause = OSError("no route")
    with pytest.raises(RetryableError, match=r"^retryable-error: no route$") as caught:
        raise RetryableError(retry_after=MINUTE) from cause
    assert caught.value.__cause__ is cause


def test_an_exception_given_as_cause_is_the_cause_that_python_shows() -> None:
    cause = ValueError("busy")
    error = RetryableError(cause, MINUTE)
    assert error.cause is error.__cause__ is cause
    assert error.retry_after == MINUTE


def test_with_cause_gives_a_copy() -> None:
    error = RetryableError("busy", MINUTE)
    cause = OSError("no route")
    other = error.with_cause(cause)
    assert other.cause is other.__cause__ is cause
    assert other.retry_after == MINUTE
    assert other is not error
    assert error.cause == "busy"
    assert error.__cause__ is None


def test_with_cause_drops_the_earlier_exception() -> None:
    other = RetryableError(OSError("no route")).with_cause("busy")
    assert other.__cause__ is None
    assert repr(other) == "RetryableError('busy', datetime.timedelta(0))"


def test_with_cause_keeps_a_subclass_and_its_fields() -> None:
    other = RateLimited(30).with_cause("other")
    assert type(other) is RateLimited
    assert other.seconds == 30
    assert other.retry_after == timedelta(seconds=30)
    assert str(other) == "retryable-error: other"


@pytest.mark.parametrize(
    "error",
    [
        RetryableError(),
        RetryableError("busy", MINUTE),
        RetryableError(ValueError("busy"), retry_after=MINUTE),
        RateLimited(30),
        RateLimited(30).with_cause(ValueError("busy")),
    ],
)
def test_it_survives_pickling(error: RetryableError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.retry_after == error.retry_after
    assert type(again.__cause__) is type(error.__cause__)


@pytest.mark.parametrize(
    ("delay", "means"),
    [
        (5, timedelta(seconds=5)),
        (0.25, timedelta(milliseconds=250)),
        (-1, timedelta(0)),
        (math.inf, MAX_RETRY_AFTER),
        (1e300, MAX_RETRY_AFTER),
        (math.nan, timedelta(0)),
    ],
)
def test_a_delay_may_be_seconds(delay: float, means: timedelta) -> None:
    assert RetryableError("busy", delay).retry_after == means


@pytest.mark.parametrize("delay", [True, None, "5"])
def test_a_delay_is_a_time(delay: Any) -> None:
    with pytest.raises(TypeError, match="retry_after must be a timedelta or seconds"):
        RetryableError("busy", delay)
    error = RetryableError("busy", MINUTE)
    with pytest.raises(TypeError, match="retry_after must be a timedelta or seconds"):
        error.retry_after = delay
    assert error.retry_after == MINUTE


@pytest.mark.parametrize("cause", [MINUTE, 5, ValueError])
def test_a_cause_is_an_exception_or_a_str(cause: Any) -> None:
    with pytest.raises(TypeError, match="cause must be an exception or a str"):
        RetryableError(cause)
    with pytest.raises(TypeError, match="cause must be an exception or a str"):
        RetryableError().with_cause(cause)


def test_a_negative_delay_counts_as_none() -> None:
    error = RetryableError("busy", -MINUTE)
    assert error.retry_after == timedelta(0)
    error.retry_after = MINUTE
    assert error.retry_after == MINUTE
    error.retry_after = -MINUTE
    assert error.retry_after == timedelta(0)


def test_a_subclass_may_set_the_delay_for_all_and_skip_the_constructor() -> None:
    class Slow(RetryableError):
        retry_after = MINUTE

        def __init__(self) -> None: ...

    assert Slow().retry_after == MINUTE
    assert str(Slow()) == "retryable-error: no cause given"


RETRYABLE = RetryableError("busy")


def caused_by(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


class WithCause(Exception):
    def __init__(self, cause: object) -> None:
        super().__init__("wrapped")
        self.cause = cause


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RETRYABLE, id="itself"),
        pytest.param(caused_by(RETRYABLE, ValueError()), id="its cause"),
        pytest.param(caused_by(caused_by(RETRYABLE, OSError()), ValueError()), id="a far cause"),
        pytest.param(WithCause(RETRYABLE), id="a cause attribute"),
        pytest.param(WithCause(caused_by(RETRYABLE, OSError())), id="below a cause attribute"),
        pytest.param(ExceptionGroup("g", [OSError(), RETRYABLE]), id="a member of a group"),
        pytest.param(
            caused_by(
                ExceptionGroup("g", [ExceptionGroup("h", [OSError(), WithCause(RETRYABLE)])]),
                ValueError(),
            ),
            id="deep in groups",
        ),
        pytest.param(
            caused_by(RETRYABLE, ExceptionGroup("g", [OSError()])), id="the cause of a group"
        ),
    ],
)
def test_a_retryable_error_is_found_in(error: BaseException) -> None:
    assert find_retryable(error) is RETRYABLE


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError(), id="another error"),
        pytest.param(WithCause("busy"), id="a cause that is a str"),
        pytest.param(WithCause(RetryableError), id="a cause that is a class"),
        pytest.param(ExceptionGroup("g", [OSError()]), id="a group of others"),
    ],
)
def test_no_retryable_error_is_found_in(error: BaseException) -> None:
    assert find_retryable(error) is None


def test_what_was_merely_being_handled_is_no_cause() -> None:
    bug = ValueError("bug")
    bug.__context__ = RetryableError("busy")
    assert find_retryable(bug) is None


def test_a_cycle_of_causes_ends() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert find_retryable(first) is None


def test_the_first_member_that_can_be_retried_counts() -> None:
    first = RetryableError("first")
    group = ExceptionGroup("g", [caused_by(first, OSError()), RetryableError("second")])
    assert find_retryable(group) is first
