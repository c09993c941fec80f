from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from redisjobs.states import (
    LETTER_OF_STATUS,
    MEANING_OF_PLACE,
    STATE_LETTERS,
    STATE_OF_LETTER,
    TRANSITIONS,
    Event,
    Place,
    Status,
    as_markdown,
)

FINISHED = {Place.DONE, Place.FAILED, Place.PANIC, Place.CANCELLED}


def test_each_letter_is_one_byte_and_stands_for_one_state() -> None:
    assert len(STATE_OF_LETTER) == len(STATE_LETTERS)
    assert all(len(letter) == 1 for letter in STATE_OF_LETTER)
    assert set(LETTER_OF_STATUS) == set(Status)


@pytest.mark.parametrize("status", Status)
def test_a_status_is_written_with_a_letter_that_reads_as_it(status: Status) -> None:
    assert STATE_OF_LETTER[LETTER_OF_STATUS[status]].status is status


def test_a_panic_of_the_handler_and_one_by_losses_have_letters_of_their_own() -> None:
    assert LETTER_OF_STATUS[Status.PANIC] == b"X"
    assert STATE_OF_LETTER[b"L"].status is Status.PANIC
    assert STATE_OF_LETTER[b"L"].meaning == "lost its worker too often"


def test_only_pending_is_not_terminal() -> None:
    assert {state.status for state in STATE_LETTERS if not state.terminal} == {Status.PENDING}


def test_each_terminal_status_has_a_place_of_its_name() -> None:
    terminal = {state.status.lower() for state in STATE_LETTERS if state.terminal}
    assert terminal == {str(place) for place in FINISHED}


def test_an_event_leads_from_a_place_to_one_other_or_to_one_without_a_record() -> None:
    keys = [(step.source, step.event, step.keeps_record) for step in TRANSITIONS]
    assert len(set(keys)) == len(keys)


def test_every_place_and_event_is_used_and_explained() -> None:
    assert {step.event for step in TRANSITIONS} == set(Event)
    assert {step.source for step in TRANSITIONS} == set(Place)
    assert {step.target for step in TRANSITIONS} == set(Place)
    assert set(MEANING_OF_PLACE) == set(Place)


def test_a_job_comes_and_is_held_by_one_event_each() -> None:
    assert {step.event for step in TRANSITIONS if step.source is Place.ABSENT} == {Event.ENQUEUE}
    assert {step.event for step in TRANSITIONS if step.target is Place.HELD} == {Event.CLAIM}


def test_nothing_moves_a_finished_job_but_an_operator_or_time() -> None:
    moves = {step.event for step in TRANSITIONS if step.source in FINISHED}
    assert moves == {Event.RETRY, Event.DELETE, Event.EXPIRE}
    assert not [step for step in TRANSITIONS if step.source in FINISHED & {step.target}]


def test_a_done_job_is_not_retried_and_a_held_one_not_deleted_or_cancelled() -> None:
    steps = {(step.source, step.event) for step in TRANSITIONS}
    assert (Place.DONE, Event.RETRY) not in steps
    assert (Place.HELD, Event.DELETE) not in steps
    assert (Place.HELD, Event.CANCEL) not in steps


def test_every_end_leads_to_absence_where_no_record_is_kept() -> None:
    live = {Place.WAITING, Place.HELD}
    ends = {(s.source, s.event) for s in TRANSITIONS if s.source in live and s.target in FINISHED}
    bare = {(s.source, s.event) for s in TRANSITIONS if not s.keeps_record}
    assert ends == bare
    assert all(s.target is Place.ABSENT for s in TRANSITIONS if not s.keeps_record)


def test_the_markdown_has_each_letter_each_transition_and_the_diagram() -> None:
    lines = as_markdown().splitlines()
    assert "| `L` | PANIC | yes | lost its worker too often |" in lines
    assert "| held | reap | waiting |" in lines
    assert "| held | settle done (no record kept) | absent |" in lines
    assert "    held --> waiting: settle retry, release, reap" in lines
    assert "    held --> absent: an end without a record" in lines
    rows = [line for line in lines if line.startswith("| ") and "---" not in line]
    assert len(rows) == len(STATE_LETTERS) + len(Place) + len(TRANSITIONS) + 3
    diagram = lines[lines.index("```mermaid") :]
    assert diagram[1] == "stateDiagram-v2"
    assert len(diagram) == 3 + len({(step.source, step.target) for step in TRANSITIONS})


def test_the_module_prints_the_markdown() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "redisjobs.states"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout == as_markdown() + "\n"
