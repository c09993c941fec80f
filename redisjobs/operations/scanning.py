"""Walks over what is too large to read at once."""

from __future__ import annotations

from redisjobs.operations.operation import Argument, Operation, command, reply_of

MOST_ENTRIES = 300
MOST_BYTES = 2**20
_FIRST_ENTRIES = 4


class Walk:
    """SCAN, SSCAN, HSCAN or ZSCAN, a chunk at a time. What is there throughout is seen once, or
    more often.

    Chunks grow to about `most` entries, or to about 1 MiB where entries are large.

    Args:
        words: the command, and its key where it takes one.
        match: the glob that the names have to match.
    """

    def __init__(
        self, *words: Argument, match: bytes | None = None, most: int = MOST_ENTRIES
    ) -> None:
        self._words = words
        self._match: tuple[Argument, ...] = () if match is None else ("MATCH", match)
        self._most = most
        self._count = _FIRST_ENTRIES
        self._cursor = b"0"
        self.ended = False

    def step(self) -> Operation[list[bytes]]:
        """The next chunk, flat: of a hash names and values, of a sorted set names and scores."""
        replies = yield (command(*self._words, self._cursor, *self._match, "COUNT", self._count),)
        entries: list[bytes]
        self._cursor, entries = reply_of(replies)
        self.ended = self._cursor == b"0"
        size = sum(map(len, entries))
        fitting = MOST_BYTES * self._count // size if size else self._most
        self._count = max(1, min(self._most, self._count * 8, fitting))
        return entries


def all_names(walk: Walk, entry_width: int) -> Operation[list[bytes]]:
    """The names that a walk meets, each once. `entry_width`: 2 where a value or score follows each,
    else 1.
    """
    names: dict[bytes, None] = {}
    while not walk.ended:
        entries = yield from walk.step()
        names.update(dict.fromkeys(entries[::entry_width]))
    return list(names)
