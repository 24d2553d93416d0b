"""A table without lines that fits the terminal: some of its columns are cut, the others never."""

from collections.abc import Iterable, Sequence
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

GAP = 2
"""Columns between two columns."""

NARROWEST = 8
"""A column that is cut keeps this much."""


class Grid:
    """Rows under headings. flexible: columns that are cut, the widest first, when the whole would be too wide."""

    def __init__(self, *columns: str, flexible: Sequence[str] = (), right: Sequence[str] = ()) -> None:
        self._columns = columns
        self._flexible = frozenset(flexible)
        self._right = frozenset(right)
        self._rows: list[list[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row; a str is text as it is, without markup."""
        self._rows.append([cell if isinstance(cell, Text) else Text(cell) for cell in cells])

    def widths(self, available: int) -> list[int]:
        """Return the width of each column, in terminal columns, so that the whole has at most `available` if it can."""
        cells = [[len(name), *(cell_len(row[at].plain) for row in self._rows)] for at, name in enumerate(self._columns)]
        widths = [max(column) for column in cells]
        room = available - GAP * (len(widths) - 1)
        may_shrink = [at for at, name in enumerate(self._columns) if name in self._flexible]
        while sum(widths) > room:
            at = max(may_shrink, key=lambda at: widths[at], default=None)
            if at is None or widths[at] <= max(NARROWEST, len(self._columns[at])):
                break
            widths[at] -= 1
        return widths

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Table]:
        """Draw it for a console (the protocol of rich)."""
        widths = self.widths(options.max_width)
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for name, width in zip(self._columns, widths, strict=True):
            side: Literal["left", "right"] = "right" if name in self._right else "left"
            table.add_column(name.upper(), justify=side, no_wrap=True, overflow="ellipsis", width=width)
        for row in self._rows:
            table.add_row(*row)
        yield table
