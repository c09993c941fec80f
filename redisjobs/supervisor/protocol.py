"""What a supervisor and its children tell each other: a line of JSON each, over a pair of sockets.

    {"supervisor": "5f0c…", "spawn": 7, "dead": [3, 4]}    to the child, the first line
    {"dead": [6]}                                          to the child: a sibling has died
    {"stop": true}                                         to the child: end gracefully
    {"running": true}                                      from the child: it may hold jobs from now
    {"failed": "cannot load …"}                            from the child: why it cannot run

The end of the stream means that the other one is gone. Words that one does not know are passed
over: a child may be of a newer release than the supervisor that it was started by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# EX_CONFIG of sysexits.h: the worker cannot be loaded, or cannot work with its Redis.
CANNOT_RUN = 78
# EX_UNAVAILABLE: a burst found no Redis, or lost it.
UNAVAILABLE = 69
# A child's words wait in the socket until its end, and its room may be as small as 8 KiB.
LONGEST_REASON = 3000


@dataclass(frozen=True, slots=True)
class Birth:
    """Who a child is.

    Attributes:
        supervisor: a token that no other supervisor has.
        spawn: its number; these only grow, while pids come again.
        dead: the spawns whose jobs it takes back before its first claim.
    """

    supervisor: str
    spawn: int
    dead: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """What a later line tells a child."""

    dead: tuple[int, ...] = ()
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a child has told until its end.

    Attributes:
        ran: whether it may have held jobs.
        failure: why it cannot run, as a user should read it; None if it could.
    """

    ran: bool = False
    failure: str | None = None


def say(**words: Any) -> bytes:
    """These words as a line."""
    line = json.dumps(words, ensure_ascii=False, separators=(",", ":"))
    return line.encode(errors="surrogatepass") + b"\n"  # a path's name may have surrogates


def birth_line(birth: Birth) -> bytes:
    """The first line to a child."""
    return say(supervisor=birth.supervisor, spawn=birth.spawn, dead=birth.dead)


def death_line(spawn: int) -> bytes:
    """That a sibling has died."""
    return say(dead=[spawn])


def failure_line(reason: str) -> bytes:
    """Why this child cannot run. Of a long reason the end is told, which says most."""
    return say(failed=reason[-LONGEST_REASON:])


def read_birth(line: bytes) -> Birth:
    """The first line to a child, read.

    Raises:
        ValueError: it is none.
    """
    words = _words(line)
    try:
        return Birth(words["supervisor"], words["spawn"], _dead(words))
    except KeyError as err:
        raise ValueError(f"a supervisor's first line lacks {err}: {line!r}") from err


def read_news(line: bytes) -> News:
    """A later line to a child, read.

    Raises:
        ValueError: it is none.
    """
    words = _words(line)
    return News(_dead(words), bool(words.get("stop")))


def read_report(lines: Iterable[bytes]) -> Report:
    """All that a child has said. What it did not get to say whole counts as not said."""
    words: dict[str, Any] = {}
    for line in lines:
        try:
            words |= _words(line)
        except ValueError:
            continue
    failure = words.get("failed")
    return Report(bool(words.get("running")), None if failure is None else str(failure))


def _words(line: bytes) -> dict[str, Any]:
    words = json.loads(line)
    return words if isinstance(words, dict) else {}


def _dead(words: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(spawn) for spawn in words.get("dead", ()))
