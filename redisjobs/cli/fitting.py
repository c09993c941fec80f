"""How wide the columns of a table are on a terminal, and which are left out for want of room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

GAP = 2
# Text gives way down to this.
_NARROWEST = 12
# The ids that are made here need no more; longer ones are folded before nothing else is shown.
_ID = 26


class Column(NamedTuple):
    """What a column shows.

    Attributes:
        heading: its words are not broken.
        cells: one text a row.
        is_whole: whether its cells are ids or numbers, which nobody can read in two parts.
    """

    heading: str
    cells: Sequence[str]
    is_whole: bool

    @property
    def widest(self) -> int:
        """With this much room nothing is folded."""
        return max(map(len, (self.heading, *self.cells)))

    def narrowest(self, longest_whole: int) -> int:
        """The least room that it can do with, where ids are whole up to this length."""
        word = max(map(len, self.heading.split()))
        if self.is_whole:
            whole = (len(cell) for cell in self.cells if len(cell) <= longest_whole)
            return max(word, max(whole, default=0))
        return max(word, min(_NARROWEST, max(map(len, self.cells), default=0)))


def fit(columns: Sequence[Column], least: Sequence[str], width: int) -> dict[str, int]:
    """The widths of the columns that are shown, by their headings.

    Text is folded first; then columns are left out; ids are broken if nothing else is left.

    Args:
        columns: in their order.
        least: the headings of those that may be left out, the least important first.
        width: of the terminal.
    """
    for longest_whole in (width, _ID):
        shown = {column.heading: column for column in columns}
        for heading in ("", *least):
            shown.pop(heading, None)
            if widths := _shared(shown, longest_whole, width):
                return widths
    return _shared(shown, 0, width) or {one.heading: one.narrowest(0) for one in shown.values()}


def _shared(shown: Mapping[str, Column], longest_whole: int, width: int) -> dict[str, int]:
    """The widths, where the widest give way first; none if there is too little room."""
    room = width - GAP * (len(shown) - 1)
    bounds = {
        heading: (column.narrowest(longest_whole), column.widest)
        for heading, column in shown.items()
    }
    for most in range(max(widest for _, widest in bounds.values()), -1, -1):
        widths = {
            heading: max(narrowest, min(widest, most))
            for heading, (narrowest, widest) in bounds.items()
        }
        if sum(widths.values()) <= room:
            return widths
    return {}
