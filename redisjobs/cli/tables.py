"""Tables: for people on a terminal, plain columns for a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import click


@dataclass(slots=True)
class Table:
    """Rows of values under headings. Numbers are aligned to the right."""

    title: str
    headings: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)

    def show(self) -> None:
        """Writes it to standard output."""
        if sys.stdout.isatty():
            self._show_to_people()
        else:
            self._show_plain()

    def _show_to_people(self) -> None:
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=self.title, title_justify="left")
        for place, heading in enumerate(self.headings):
            numbers = any(isinstance(row[place], int | float) for row in self.rows)
            table.add_column(heading, justify="right" if numbers else "left")
        for row in self.rows:
            table.add_row(*(Text(shown(value)) for value in row))
        Console().print(table)

    def _show_plain(self) -> None:
        lines = [list(self.headings), *([shown(value) for value in row] for row in self.rows)]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.headings))]
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            click.echo("  ".join(cells).rstrip())


def shown(value: object) -> str:
    """A value as a cell. What a terminal could take for a command is escaped."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    text = str(value)
    return text if text.isprintable() else text.encode("unicode_escape").decode()
