"""What the storm's workers run. Each run is written down when it begins and when it ends.

What a run leaves in Redis carries its token, so that the ledger can tell whose outcome was stored.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redisjobs import RetryableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redisjobs.context import Context
    from redisjobs.job import Job
    from tests.chaos.journal import Journal


class Handlers:
    """Handlers by kind. A payload is how many milliseconds a run takes, or how many attempts of it
    fail. `returns`: whether a run returns its token.
    """

    def __init__(self, journal: Journal, *, returns: bool = True) -> None:
        self._journal = journal
        self._returns = returns

    def by_kind(self) -> dict[str, Any]:
        """As a worker takes them."""
        return {
            "quick": self.nap, "quick-async": self.nap_async, "nap": self.nap,
            "nap-async": self.nap_async, "slow": self.slow, "slow-async": self.nap_async,
            "later": self.nap, "flaky": self.flaky, "fails": self.fails, "panics": self.panics,
            "poison": self.poison,
        }  # fmt: skip

    @contextmanager
    def _written_down(self, ctx: Context, job: Job) -> Iterator[bytes | None]:
        journal, token = self._journal, ctx.token
        journal.began(job.id, token, job.kind, ctx.attempt, ctx.losses, ctx.worker_id)
        outcome, after_ms = "done", 0
        try:
            yield b"token=%d" % token if self._returns else None
        except RetryableError as err:
            outcome, after_ms = "retry", round(err.retry_after.total_seconds() * 1000)
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except BaseException as err:
            outcome = "failed" if isinstance(err, Exception) else "panic"
            raise
        finally:
            journal.ended(job.id, token, outcome, after_ms)

    def nap(self, ctx: Context, job: Job) -> bytes | None:
        """Sleeps, and minds nothing meanwhile."""
        with self._written_down(ctx, job) as result:
            if seconds := int(job.payload) / 1000:
                time.sleep(seconds)
            return result

    async def nap_async(self, ctx: Context, job: Job) -> bytes | None:
        """The same on the loop, where it can be cancelled."""
        with self._written_down(ctx, job) as result:
            if seconds := int(job.payload) / 1000:
                await asyncio.sleep(seconds)
            return result

    def slow(self, ctx: Context, job: Job) -> bytes | None:
        """Takes long, and stops where it is asked to."""
        with self._written_down(ctx, job) as result:
            ctx.wait_cancelled(int(job.payload) / 1000)
            ctx.raise_if_cancelled()
            return result

    def flaky(self, ctx: Context, job: Job) -> bytes | None:
        """Its first attempts ask for another one."""
        with self._written_down(ctx, job) as result:
            if ctx.attempt <= int(job.payload):
                raise RetryableError(f"token={ctx.token}", retry_after=0.3 * ctx.attempt)
            return result

    def fails(self, ctx: Context, job: Job) -> None:
        """Raises."""
        with self._written_down(ctx, job):
            raise ValueError(f"token={ctx.token}")

    async def panics(self, ctx: Context, job: Job) -> None:
        """Raises what is no Exception."""
        with self._written_down(ctx, job):
            raise SystemExit(f"token={ctx.token}")

    def poison(self, ctx: Context, job: Job) -> None:
        """Kills its process."""
        with self._written_down(ctx, job):
            os.kill(os.getpid(), signal.SIGKILL)
