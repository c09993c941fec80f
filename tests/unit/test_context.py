from __future__ import annotations

import logging
import threading
from asyncio import CancelledError
from collections.abc import Callable

import pytest

from redisjobs.context import CancelReason, Context

DEADLINE_S = 10.0


def make_context(base_logger: logging.Logger | None = None) -> Context:
    base_logger = base_logger or logging.getLogger("redisjobs.test")
    return Context("orders", "w1", "j1", "mail", 3, 1, 42, base_logger)


def joined(thread: threading.Thread, what: str) -> None:
    thread.join(DEADLINE_S)
    assert not thread.is_alive(), f"waited {DEADLINE_S:g} s for {what}"


def test_it_says_where_and_which_attempt_it_is() -> None:
    ctx = make_context()
    assert (ctx.queue_name, ctx.worker_id, ctx.job_id, ctx.job_kind) == (
        "orders",
        "w1",
        "j1",
        "mail",
    )
    assert (ctx.attempt, ctx.losses, ctx.token, ctx.deadline) == (3, 1, 42, None)
    assert not ctx.cancelled
    assert ctx.cancel_reason is None
    assert repr(ctx) == "<Context of job 'j1' (mail), attempt 3>"


def test_the_background_context_is_a_first_attempt_of_nobody() -> None:
    ctx = Context.background()
    assert (ctx.queue_name, ctx.worker_id, ctx.attempt, ctx.losses, ctx.token) == ("", "", 1, 0, 0)
    assert not ctx.cancelled
    assert ctx.logger.logger.name == "redisjobs"


def test_a_background_context_can_be_any_attempt_of_any_job() -> None:
    ctx = Context.background(
        attempt=4, losses=2, token=9, job_id="j1", job_kind="mail", queue_name="orders"
    )
    assert (ctx.attempt, ctx.losses, ctx.token) == (4, 2, 9)
    assert (ctx.job_id, ctx.job_kind, ctx.queue_name, ctx.worker_id) == ("j1", "mail", "orders", "")


@pytest.mark.parametrize("reason", CancelReason)
def test_cancelling_says_why(reason: CancelReason) -> None:
    ctx = make_context()
    ctx.cancel(reason)
    assert ctx.cancelled
    assert ctx.cancel_reason is reason
    assert reason in repr(ctx)


def test_the_reasons_read_as_words() -> None:
    assert [str(reason) for reason in CancelReason] == ["shutdown", "lease lost"]


def test_the_first_reason_stays() -> None:
    ctx = make_context()
    ctx.cancel(CancelReason.LEASE_LOST)
    ctx.cancel(CancelReason.SHUTDOWN)
    assert ctx.cancel_reason is CancelReason.LEASE_LOST


def test_raise_if_cancelled_raises_only_then() -> None:
    ctx = make_context()
    ctx.raise_if_cancelled()
    ctx.cancel(CancelReason.SHUTDOWN)
    with pytest.raises(CancelledError, match="shutdown"):
        ctx.raise_if_cancelled()


def test_waiting_ends_at_the_time_out() -> None:
    assert make_context().wait_cancelled(0) is False


def test_waiting_for_what_is_cancelled_already_returns_at_once() -> None:
    ctx = make_context()
    ctx.cancel(CancelReason.SHUTDOWN)
    assert ctx.wait_cancelled(None) is True


def test_waiting_ends_when_it_is_cancelled() -> None:
    ctx = make_context()
    assert ctx.wait_cancelled(0) is False  # so that there is an event already
    answers: list[bool] = []
    waiters = [
        threading.Thread(target=lambda: answers.append(ctx.wait_cancelled(DEADLINE_S * 2)))
        for _ in range(3)
    ]
    for waiter in waiters:
        waiter.start()
    ctx.cancel(CancelReason.SHUTDOWN)
    for waiter in waiters:
        joined(waiter, "a waiter that was told")
    assert answers == [True] * 3


def test_a_cancel_while_the_wait_is_being_set_up_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ctx = make_context()
    canceller = threading.Thread(target=ctx.cancel, args=(CancelReason.SHUTDOWN,))

    class RacedEvent(threading.Event):
        def __init__(self) -> None:
            super().__init__()
            canceller.start()
            canceller.join(0.05)  # time to get past the waiter, if nothing holds it up

    monkeypatch.setattr("redisjobs.context.threading.Event", RacedEvent)
    assert ctx.wait_cancelled(DEADLINE_S) is True
    joined(canceller, "the canceller")


def test_the_hook_is_called_once_when_it_is_cancelled() -> None:
    ctx, calls = make_context(), list[CancelReason | None]()
    ctx.on_cancel(lambda: calls.append(ctx.cancel_reason))
    assert calls == []
    ctx.cancel(CancelReason.LEASE_LOST)
    ctx.cancel(CancelReason.LEASE_LOST)
    assert calls == [CancelReason.LEASE_LOST]


def test_a_hook_that_comes_too_late_is_called_at_once() -> None:
    ctx, calls = make_context(), list[str]()
    ctx.cancel(CancelReason.SHUTDOWN)
    ctx.on_cancel(lambda: calls.append("late"))
    ctx.cancel(CancelReason.SHUTDOWN)
    assert calls == ["late"]


def test_a_later_hook_replaces_one_that_was_not_called() -> None:
    ctx, calls = make_context(), list[str]()
    ctx.on_cancel(lambda: calls.append("first"))
    ctx.on_cancel(lambda: calls.append("second"))
    ctx.cancel(CancelReason.SHUTDOWN)
    assert calls == ["second"]


def test_a_hook_may_use_the_context() -> None:
    ctx, answers = make_context(), list[bool]()
    ctx.on_cancel(lambda: answers.append(ctx.wait_cancelled(DEADLINE_S)))
    canceller = threading.Thread(target=ctx.cancel, args=(CancelReason.SHUTDOWN,), daemon=True)
    canceller.start()
    joined(canceller, "a hook that looks at its context")
    assert answers == [True]


def test_of_many_who_cancel_and_hook_at_once_the_hook_hears_one() -> None:
    for _ in range(100):
        ctx, calls = make_context(), list[str]()
        start = threading.Barrier(3)

        def after_start(act: Callable[[], object], start: threading.Barrier = start) -> None:
            start.wait(DEADLINE_S)
            act()

        acts: list[Callable[[], object]] = [
            lambda ctx=ctx: ctx.cancel(CancelReason.SHUTDOWN),  # type: ignore[misc]
            lambda ctx=ctx: ctx.cancel(CancelReason.LEASE_LOST),  # type: ignore[misc]
            lambda ctx=ctx, calls=calls: ctx.on_cancel(lambda: calls.append("told")),  # type: ignore[misc]
        ]
        threads = [threading.Thread(target=after_start, args=(act,)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            joined(thread, "a canceller")
        assert calls == ["told"]


def test_the_logger_is_made_once_and_marks_each_record(caplog: pytest.LogCaptureFixture) -> None:
    ctx = make_context()
    assert ctx.logger is ctx.logger
    with caplog.at_level(logging.INFO, "redisjobs.test"):
        ctx.logger.info("sent %d", 7, extra={"address": "a@b", "attempt": "mine"})
    (record,) = caplog.records
    assert record.getMessage() == "sent 7"
    assert record.name == "redisjobs.test"
    assert record.funcName == "test_the_logger_is_made_once_and_marks_each_record"
    marks = ("job_id", "job_kind", "attempt", "queue_name", "worker_id", "address")
    assert [getattr(record, mark) for mark in marks] == ["j1", "mail", 3, "orders", "w1", "a@b"]


def test_the_logger_leaves_the_callers_extra_alone(caplog: pytest.LogCaptureFixture) -> None:
    extra = {"address": "a@b"}
    with caplog.at_level(logging.INFO, "redisjobs.test"):
        make_context().logger.info("sent", extra=extra)
        make_context().logger.info("sent", extra=None)
    assert extra == {"address": "a@b"}
    assert [record.__dict__["job_id"] for record in caplog.records] == ["j1", "j1"]
