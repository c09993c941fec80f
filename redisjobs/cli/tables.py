"""Tables: for people on a terminal, plain columns for a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from redisjobs.cli.times import brief_iso, from_now

if TYPE_CHECKING:
    from rich.table import Table as RichTable

# What is longer than the first of these is folded where it does not fit; on a narrow terminal also
# what is longer than a later one.
_KEPT_WHOLE = (26, 16, 10, 6)
_GAP = 2
_NARROWEST = 12


@dataclass(slots=True)
class Table:
    """Rows of values under headings. Numbers are aligned to the right.

    One that is shown in parts (`show`, then other rows, then `show`) has its headings once, and
    its columns stay where they are as far as they can.
    """

    title: str
    headings: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    _widths: list[int] = field(default_factory=list)

    def show(self) -> None:
        """Writes it to standard output."""
        if sys.stdout.isatty():
            self._show_to_people()
        else:
            self._show_plain()

    def as_rich(self, width: int) -> RichTable:
        """The table for a terminal of this width. Nothing is cut: what is too long is folded."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        now = datetime.now(UTC)
        cells = [[_for_people(value, now) for value in row] for row in self.rows]
        table = RichTable(
            title=Text(self.title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
            pad_edge=False, show_edge=False,
        )  # fmt: skip
        whole = self._kept_whole(cells, width)
        for place, heading in enumerate(self.headings):
            numbers = all(isinstance(row[place], int | float | None) for row in self.rows)
            table.add_column(
                heading, justify="right" if numbers else "left", overflow="fold",
                no_wrap=whole[place],
            )  # fmt: skip
        for line in cells:
            table.add_row(*map(Text, line))
        return table

    def _kept_whole(self, cells: Sequence[Sequence[str]], width: int) -> list[bool]:
        """Which columns are not folded: the short ones, if they leave room for the others."""
        widths = [max(map(len, column)) for column in zip(self.headings, *cells, strict=True)]
        for limit in _KEPT_WHOLE:
            taken = sum(_GAP + (one if one <= limit else _NARROWEST) for one in widths)
            if taken <= width:
                return [one <= limit for one in widths]
        return [False] * len(widths)

    def _show_to_people(self) -> None:
        from rich.console import Console

        console = Console(highlight=False)
        console.print(self.as_rich(console.width))

    def _show_plain(self) -> None:
        lines = [[shown(value) for value in row] for row in self.rows]
        if not self._widths:
            lines.insert(0, list(self.headings))
        longest = [max(map(len, column), default=0) for column in zip(*lines, strict=True)]
        self._widths = [max(pair) for pair in zip_longest(self._widths, longest, fillvalue=0)]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, self._widths, strict=True))
            click.echo("  ".join(cells).rstrip())


def shown(value: object) -> str:
    """A value as a cell. What a terminal could take for a command is escaped."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, datetime):
        return brief_iso(value)
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def counted(number: int, what: str) -> str:
    """As in "1 job" and "2,000 jobs"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _for_people(value: object, now: datetime) -> str:
    return from_now(value, now) if isinstance(value, datetime) else shown(value)
