"""How long a call is repeated, the same for every driver."""

from __future__ import annotations

import time
from typing import Any

from tenacity import RetryCallState, retry_if_exception, wait_random_exponential

from redisjobs.errors import QueueUnavailableError

# How long each wait for a reply may take.
TIMEOUT_S = 10.0
# A call whose reply was lost is repeated this long, well below the minute for which its number is
# remembered.
REPEAT_FOR_S = 20.0
# A call that cannot have reached the server is tried again only this long: a caller should not hang
# when Redis is down. Where Sentinels are at work it is repeated as long as any: a failover is worth
# the wait, and takes longer than this.
CONNECT_FOR_S = 3.0
BETWEEN_TRIES = wait_random_exponential(multiplier=0.02, max=1.0)


class LineError(QueueUnavailableError):
    """The server cannot be reached. `sent`: whether what was asked may have been carried out all
    the same; `awaits_failover`: whether Sentinels are about to name another server.
    """

    def __init__(self, message: str, *, sent: bool, awaits_failover: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.awaits_failover = awaits_failover


class Patience:
    """Of one call. Its methods are what tenacity asks.

    Args:
        repeatable: whether a try that may have been carried out may be repeated.
    """

    def __init__(self, *, repeatable: bool) -> None:
        self._began = time.monotonic()
        self._repeatable = repeatable
        self._maybe_done = False
        self._awaits_failover = False

    def tries_again_after(self, err: BaseException) -> bool:
        """Whether another try does no harm after this error."""
        if not isinstance(err, LineError):
            return False
        self._maybe_done = self._maybe_done or err.sent
        self._awaits_failover = err.awaits_failover
        return self._repeatable or not err.sent

    def is_over(self, _: RetryCallState | None = None) -> bool:
        """Whether it was tried for long enough, the first try included."""
        return time.monotonic() - self._began >= self.limit_s

    @property
    def limit_s(self) -> float:
        """How long the call is tried, by what its tries came to until now."""
        return REPEAT_FOR_S if self._maybe_done or self._awaits_failover else CONNECT_FOR_S

    def terms(self) -> dict[str, Any]:
        """What tenacity's `Retrying` and `AsyncRetrying` are made with."""
        return {
            "retry": retry_if_exception(self.tries_again_after),
            "wait": BETWEEN_TRIES,
            "stop": self.is_over,
            "reraise": True,
        }

    def explained(self, err: LineError) -> QueueUnavailableError:
        """The last error, with what an earlier one says of the call."""
        if self._maybe_done and not err.sent:
            return QueueUnavailableError(f"{err}; an earlier try may have been carried out")
        return QueueUnavailableError(str(err))
