"""The error by which a handler asks for another attempt."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Self

from redisjobs.errors import message_of
from redisjobs.limits import MAX_RETRY_AFTER

_NO_DELAY = timedelta(0)


class RetryableError(Exception):
    """Raised by a handler: the job is to run again, not before `retry_after` is over.

    `retry_after` is a timedelta or seconds. The worker's floor (5 s by default) applies. A negative
    delay counts as none.

    Raises:
        TypeError: `cause` is neither an exception nor a str, or `retry_after` is no time.
    """

    cause: BaseException | str | None = None
    _retry_after = _NO_DELAY

    def __init__(
        self, cause: BaseException | str | None = None, retry_after: timedelta | float = _NO_DELAY
    ) -> None:
        super().__init__()
        self._retry_after = _checked_delay(retry_after)
        self._set_cause(cause)

    @property
    def retry_after(self) -> timedelta:
        """How long to wait at least."""
        return self._retry_after

    @retry_after.setter
    def retry_after(self, delay: timedelta) -> None:
        self._retry_after = _checked_delay(delay)

    def with_cause(self, cause: BaseException | str | None) -> Self:
        """A copy of this error, of the same class, with another cause."""
        other = copy.copy(self)
        other._set_cause(cause)
        return other

    def _set_cause(self, cause: object) -> None:
        if cause is not None and not isinstance(cause, (BaseException, str)):
            raise TypeError(f"cause must be an exception or a str, not {type(cause).__name__}")
        self.cause = cause
        self.args = (cause, self._retry_after)
        self.__cause__ = cause if isinstance(cause, BaseException) else None

    def __str__(self) -> str:
        cause = self.cause or self.__cause__
        if isinstance(cause, BaseException):
            cause = message_of(cause)
        return f"retryable-error: {cause or 'no cause given'}"

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with `args`: not every subclass has a constructor for them.
        return _rebuilt, (type(self), self.args), self.__dict__

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        self.__dict__.update(state or {})
        if isinstance(self.cause, BaseException):
            self.__cause__ = self.cause


def find_retryable(err: BaseException) -> RetryableError | None:
    """The first RetryableError in an error: itself, in its causes, or in the members of a group.

    What was merely being handled when it was raised (`__context__`) is no cause.
    """
    seen: set[int] = set()
    to_look_at = [err]
    while to_look_at:
        found = to_look_at.pop()
        if isinstance(found, RetryableError):
            return found
        if id(found) not in seen:
            seen.add(id(found))
            to_look_at += reversed(list(_causes(found)))
    return None


def _causes(err: BaseException) -> Iterator[BaseException]:
    if err.__cause__ is not None:
        yield err.__cause__
    cause = err.__dict__.get("cause")  # read this way it runs no code of the error's class
    if isinstance(cause, BaseException):
        yield cause
    if isinstance(err, BaseExceptionGroup):
        yield from err.exceptions


def _checked_delay(delay: object) -> timedelta:
    if not isinstance(delay, timedelta):
        if isinstance(delay, bool) or not isinstance(delay, int | float):
            raise TypeError(
                f"retry_after must be a timedelta or seconds, not {type(delay).__name__}"
            )
        delay = _seconds(delay)
    return max(delay, _NO_DELAY)


def _seconds(number: float) -> timedelta:
    try:
        return min(timedelta(seconds=number), MAX_RETRY_AFTER)
    except (OverflowError, ValueError):  # infinite, or no number
        return MAX_RETRY_AFTER if number > 0 else _NO_DELAY


def _rebuilt(cls: type[RetryableError], args: tuple[Any, ...]) -> RetryableError:
    return cls.__new__(cls, *args)
