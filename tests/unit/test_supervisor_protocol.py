from __future__ import annotations

import pytest

from redisjobs.supervisor.protocol import (
    LONGEST_REASON,
    Birth,
    News,
    Report,
    birth_line,
    death_line,
    failure_line,
    read_birth,
    read_news,
    read_report,
    say,
)
from redisjobs.supervisor.restarts import MOST_REMEMBERED

# What a pipe or a socket takes at once wherever it is small: a page.
SMALL_BUFFER_BYTES = 4096


def test_a_birth_comes_through() -> None:
    birth = Birth("5f0c", 7, (3, 4))
    assert read_birth(birth_line(birth)) == birth


def test_a_birth_with_all_deaths_that_are_remembered_fits_into_an_empty_socket() -> None:
    last = 999_999_999
    dead = tuple(range(last - MOST_REMEMBERED, last))
    assert len(birth_line(Birth("0" * 16, last, dead))) < SMALL_BUFFER_BYTES


def test_a_death_and_a_stop_come_through() -> None:
    assert read_news(death_line(6)) == News(dead=(6,))
    assert read_news(say(stop=True)) == News(stop=True)


def test_words_of_another_release_are_passed_over() -> None:
    assert read_news(b'{"pause": true, "dead": [2]}\n') == News(dead=(2,))
    assert read_news(b'["something else"]\n') == News()
    assert read_birth(b'{"supervisor": "a", "spawn": 1, "queue": "x"}\n') == Birth("a", 1)


@pytest.mark.parametrize("line", [b"", b"dead 6\n", b'{"dead": ["x"]}\n', b"\xff\n"])
def test_what_is_no_line_of_a_supervisor_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_news(line)


@pytest.mark.parametrize("line", [b"{}\n", b'{"supervisor": "a"}\n', b'{"spawn": 3}\n', b"x\n"])
def test_a_birth_without_name_and_number_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_birth(line)


def test_a_report_says_whether_it_ran_and_why_it_could_not() -> None:
    assert read_report([]) == Report()
    assert read_report([say(running=True)]) == Report(ran=True)
    assert read_report([failure_line("no module 'x'")]) == Report(failure="no module 'x'")
    both = [say(running=True), failure_line("the password is wrong")]
    assert read_report(both) == Report(ran=True, failure="the password is wrong")


def test_what_a_child_did_not_get_to_say_whole_counts_as_not_said() -> None:
    assert read_report([say(running=True), failure_line("broken")[:-9]]) == Report(ran=True)


def test_a_reason_may_have_several_lines_and_any_letters() -> None:
    reason = "Traceback:\n  File “ä.py”\r\nValueError: \x85 \u2028 \udc80"
    told = failure_line(reason)
    assert told.count(b"\n") == 1
    assert read_report(told.splitlines()) == Report(failure=reason)


def test_of_a_long_reason_the_end_is_told() -> None:
    report = read_report([failure_line("first" + "x" * 10_000 + "last")])
    assert report.failure is not None
    assert len(report.failure) == LONGEST_REASON
    assert report.failure.endswith("xlast")
