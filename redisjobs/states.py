"""The one table of states and transitions. `python -m redisjobs.states` prints it as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What became of a job. PENDING: it waits, or it runs."""

    PENDING = "PENDING"
    DONE = "DONE"
    FAILED = "FAILED"
    PANIC = "PANIC"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class StateLetter:
    """The first byte of an entry of the `state` hash."""

    letter: bytes
    status: Status
    terminal: bool
    meaning: str


STATE_LETTERS = (
    StateLetter(b"P", Status.PENDING, False, "waits or runs again after an attempt"),
    StateLetter(b"D", Status.DONE, True, "the handler returned"),
    StateLetter(b"F", Status.FAILED, True, "the handler raised, or its result cannot be stored"),
    StateLetter(b"X", Status.PANIC, True, "the handler raised what is no Exception"),
    StateLetter(b"L", Status.PANIC, True, "lost its worker too often"),
    StateLetter(b"C", Status.CANCELLED, True, "an operator cancelled it"),
)
STATE_OF_LETTER = {state.letter: state for state in STATE_LETTERS}

# Of a status with two letters the first one: the other is written by reap alone.
LETTER_OF_STATUS = {state.status: state.letter for state in reversed(STATE_LETTERS)}


class Place(StrEnum):
    """Where a job is. At every moment it is in exactly one place."""

    ABSENT = "absent"
    WAITING = "waiting"
    HELD = "held"
    DONE = "done"
    FAILED = "failed"
    PANIC = "panic"
    CANCELLED = "cancelled"


MEANING_OF_PLACE = {
    Place.ABSENT: "not stored, or its record's time is over",
    Place.WAITING: "in the due set of its kind",
    Place.HELD: "in the processing list of one worker",
    Place.DONE: "finished as DONE, its record is kept",
    Place.FAILED: "finished as FAILED, its record is kept",
    Place.PANIC: "finished as PANIC, its record is kept",
    Place.CANCELLED: "finished as CANCELLED, its record is kept",
}


class Event(StrEnum):
    """What moves a job."""

    ENQUEUE = "enqueue"
    CLAIM = "claim"
    SETTLE_DONE = "settle done"
    SETTLE_FAILED = "settle failed"
    SETTLE_PANIC = "settle panic"
    SETTLE_CANCELLED = "settle cancelled"
    SETTLE_RETRY = "settle retry"
    RELEASE = "release"
    REAP = "reap"
    REAP_BEYOND_MAX_LOSSES = "reap beyond max losses"
    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of a job's life. `keeps_record` is False where no record of an end is kept."""

    source: Place
    event: Event
    target: Place
    keeps_record: bool = True


_ENDS = (
    (Place.HELD, Event.SETTLE_DONE, Place.DONE),
    (Place.HELD, Event.SETTLE_FAILED, Place.FAILED),
    (Place.HELD, Event.SETTLE_PANIC, Place.PANIC),
    (Place.HELD, Event.SETTLE_CANCELLED, Place.CANCELLED),
    (Place.HELD, Event.REAP_BEYOND_MAX_LOSSES, Place.PANIC),
    (Place.WAITING, Event.CANCEL, Place.CANCELLED),
)
_FINISHED = (Place.DONE, Place.FAILED, Place.PANIC, Place.CANCELLED)
_RETRIED = (Place.FAILED, Place.PANIC, Place.CANCELLED)

TRANSITIONS: tuple[Transition, ...] = (
    Transition(Place.ABSENT, Event.ENQUEUE, Place.WAITING),
    Transition(Place.WAITING, Event.CLAIM, Place.HELD),
    Transition(Place.HELD, Event.SETTLE_RETRY, Place.WAITING),
    Transition(Place.HELD, Event.RELEASE, Place.WAITING),
    Transition(Place.HELD, Event.REAP, Place.WAITING),
    *(Transition(source, event, target) for source, event, target in _ENDS),
    *(Transition(source, event, Place.ABSENT, False) for source, event, _ in _ENDS),
    *(Transition(place, Event.RETRY, Place.WAITING) for place in _RETRIED),
    *(Transition(place, Event.DELETE, Place.ABSENT) for place in (Place.WAITING, *_FINISHED)),
    *(Transition(place, Event.EXPIRE, Place.ABSENT) for place in _FINISHED),
)


def as_markdown() -> str:
    """The letters, the places and the transitions as Markdown tables, and a Mermaid diagram."""
    return "\n".join(
        [
            *_table(
                ("letter", "status", "terminal", "meaning"),
                (
                    (f"`{s.letter.decode()}`", s.status, "yes" if s.terminal else "no", s.meaning)
                    for s in STATE_LETTERS
                ),
            ),
            "",
            *_table(("place", "meaning"), MEANING_OF_PLACE.items()),
            "",
            *_table(
                ("from", "event", "to"), ((t.source, _label(t), t.target) for t in TRANSITIONS)
            ),
            "",
            "```mermaid",
            "stateDiagram-v2",
            *(f"    {source} --> {target}: {label}" for source, target, label in _edges()),
            "```",
        ]
    )


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield _row(heads)
    yield _row("---" for _ in heads)
    yield from (_row(row) for row in rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _label(transition: Transition) -> str:
    return transition.event + ("" if transition.keeps_record else " (no record kept)")


def _edges() -> Iterator[tuple[Place, Place, str]]:
    """One arrow for each pair of places, with all that leads along it."""
    labels: dict[tuple[Place, Place], list[str]] = {}
    for transition in TRANSITIONS:
        events = labels.setdefault((transition.source, transition.target), [])
        label = str(transition.event) if transition.keeps_record else "an end without a record"
        if label not in events:
            events.append(label)
    for (source, target), events in labels.items():
        yield source, target, ", ".join(events)


if __name__ == "__main__":
    print(as_markdown())
