"""Tables: for people on a terminal, plain columns for a pipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

import click

from redisjobs.cli.fitting import Column, fit
from redisjobs.cli.times import brief_iso, from_now

if TYPE_CHECKING:
    from rich.table import Table as RichTable


@dataclass(slots=True)
class Table:
    """Rows of values under headings. Numbers are aligned to the right.

    `whole`: the headings of ids, which are folded last. `least`: of columns that a narrow terminal
    leaves out, the least important first.

    One that is shown in parts (`show`, then other rows, then `show`) has its headings once, and
    its columns stay where they are as far as they can.
    """

    title: str
    headings: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    whole: Sequence[str] = ()
    least: Sequence[str] = ()
    _widths: list[int] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)

    def show(self) -> None:
        """Writes it to standard output."""
        if sys.stdout.isatty():
            self._show_to_people()
        else:
            self._show_plain()

    def _show_to_people(self) -> None:
        from rich.console import Console

        console = Console(highlight=False)
        columns = self._columns()
        widths = fit(columns, self._least_first(), console.width)
        console.print(self._as_rich([one for one in columns if one.heading in widths], widths))
        missing = [one for one in self.headings if one not in widths and one not in self._told]
        if missing:
            self._told.update(missing)
            click.echo(f"too narrow to show: {', '.join(missing)}", err=True)

    def _as_rich(self, columns: Sequence[Column], widths: Mapping[str, int]) -> RichTable:
        """What is longer than its column is folded, never cut."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(
            title=Text(self.title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
            pad_edge=False, show_edge=False,
        )  # fmt: skip
        for column in columns:
            justify: Literal["left", "right"] = (
                "right" if self._has_numbers(column.heading) else "left"
            )
            table.add_column(
                column.heading, justify=justify, overflow="fold", width=widths[column.heading]
            )
        for cells in zip(*(column.cells for column in columns), strict=True):
            table.add_row(*map(Text, cells))
        return table

    def _columns(self) -> list[Column]:
        now = datetime.now(UTC)
        return [
            Column(
                heading,
                [_for_people(value, now) for value in self._values(heading)],
                heading in self.whole or self._has_numbers(heading),
            )
            for heading in self.headings
        ]

    def _least_first(self) -> list[str]:
        """Which columns may be left out, and in which order: those that say nothing first."""
        return sorted(
            self.least, key=lambda heading: any(one is not None for one in self._values(heading))
        )

    def _values(self, heading: str) -> list[object]:
        place = self.headings.index(heading)
        return [row[place] for row in self.rows]

    def _has_numbers(self, heading: str) -> bool:
        return all(isinstance(value, int | float | None) for value in self._values(heading))

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
