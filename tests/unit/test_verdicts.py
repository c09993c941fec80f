"""What check says of facts that it saw."""

from __future__ import annotations

import pytest

from redisjobs.operations.verdicts import (
    MOST_SENTENCES,
    CheckReport,
    Facts,
    ReportFullError,
    on_delivery,
    on_job,
    on_token,
)
from redisjobs.operations.workers import NO_INFO, read_info
from redisjobs.states import STATE_LETTERS

DUE, HELD = b"due:mail", b"processing:w"


def facts(
    *places: bytes,
    letter: bytes = b"",
    kind: bytes | None = b"mail",
    past: bool = False,
    lost: bool = False,
) -> Facts:
    return Facts(b"id", kind, letter, past, lost, places)


SOUND = [
    facts(DUE),
    facts(HELD),
    facts(DUE, letter=b"P"),
    facts(HELD, letter=b"P", lost=True),
    facts(kind=None),
    *(
        facts(b"finished:%b:mail" % state.status.lower().encode(), letter=state.letter, past=past)
        for state in STATE_LETTERS
        if state.terminal
        for past in (False, True)
    ),
    # What cannot be read is reported by what reads it.
    facts(letter=b"?"),
    facts(DUE, HELD, letter=b"Z"),
    facts(kind=b""),
    facts(b"due:sms", kind=b" Mail "),
]


@pytest.mark.parametrize("sound", SOUND, ids=repr)
def test_nothing_is_said_of_a_job_in_its_place(sound: Facts) -> None:
    assert on_job(sound) == []


@pytest.mark.parametrize(
    ("broken", "beginning", "end"),
    [
        (facts(), "I1: job 'id' of kind 'mail' has not ended", "and in no processing list"),
        (facts(letter=b"P"), "I1:", "in no processing list"),
        (facts(DUE, HELD), "I1:", "but is in 2: due:mail, processing:w"),
        (facts(HELD, HELD), "I1:", "but is in 2: processing:w, processing:w"),
        (facts(DUE, b"due:sms"), "I1:", "but is in 2: due:mail, due:sms"),
        (facts(b"due:sms"), "kinds:", "waits in due:sms, the due set of another kind"),
        (facts(b"finished:done:mail"), "I1:", "has not ended, but is in finished:done:mail"),
        (
            facts(letter=b"D"),
            "I1:",
            "belongs in finished:done:mail alone, but is in no set or list",
        ),
        (facts(letter=b"D", past=True), "I1:", "but is in no set or list"),
        (facts(DUE, letter=b"D"), "I1:", "but is in due:mail"),
        (facts(b"finished:failed:mail", letter=b"L"), "I1:", "but is in finished:failed:mail"),
        (facts(b"finished:done:sms", letter=b"D"), "I1:", "but is in finished:done:sms"),
        (
            facts(b"finished:done:mail", HELD, letter=b"D"),
            "I1:",
            "but is in finished:done:mail, processing:w",
        ),
        (
            facts(b"finished:done:mail", letter=b"D", lost=True),
            "losses:",
            "ended as DONE, but its losses are still counted",
        ),
        (facts(DUE, kind=None), "I1: job 'id' has no record", "but is still in due:mail"),
        (facts(kind=None, letter=b"D"), "I1:", "but is still in state"),
        (facts(HELD, kind=None, letter=b"P", lost=True), "I1:", "processing:w, state, losses"),
        (facts(kind=None, lost=True), "losses:", "but is still in losses"),
    ],
)
def test_one_sentence_says_what_is_wrong_with_a_job(
    broken: Facts, beginning: str, end: str
) -> None:
    [sentence] = on_job(broken)
    assert sentence.startswith(beginning)
    assert sentence.endswith(end)


@pytest.mark.parametrize("delivery", [b"", b"5", b"5:", b":x", b"x:5", b"-1:x", b"1" * 17 + b":x"])
def test_what_is_no_delivery_is_named_with_its_list(delivery: bytes) -> None:
    [sentence] = on_delivery(HELD, delivery)
    assert sentence.startswith(f"I1: {delivery.decode()!r} in processing:w is no delivery")


def test_a_delivery_is_a_token_and_an_id_with_anything_in_it() -> None:
    assert on_delivery(HELD, b"17:1:\n\xff") == []


def test_a_token_above_the_counter_is_told() -> None:
    assert on_token(5, 5) == on_token(5, 0) == []
    [sentence] = on_token(5, 6)
    assert sentence.startswith("tokens: the counter is at 5, but token 6 is in a processing list")


def test_a_report_says_nothing_twice_and_ends_when_it_is_full() -> None:
    report = CheckReport()
    report.add(["same", "same"])
    report.add(["same"])
    assert report == ["same"]
    with pytest.raises(ReportFullError):
        report.add(str(number) for number in range(MOST_SENTENCES))
    assert len(report) == MOST_SENTENCES


@pytest.mark.parametrize(
    "junk", [None, b"", b"{", b"\xff", b"[]", b"7", b'"host"', b"[" * 100_000, b"9" * 5000]
)
def test_info_of_a_worker_that_is_junk_says_nothing(junk: bytes | None) -> None:
    assert read_info(junk) == NO_INFO


def test_fields_of_a_workers_info_that_are_junk_are_passed_over() -> None:
    info = read_info(
        b'{"host":5,"pid":true,"kinds":["a",7,null],"concurrency":"4","started":null,'
        b'"version":"0.1","lease_ms":15000,"supervisor":null,"spawn":null,"later":{}}'
    )
    assert info == NO_INFO._replace(kinds=("a",), version="0.1", lease_ms=15000)
