"""A table without lines that fits the terminal: some of its columns are cut, the others never."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
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

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Text]:
        """Draw it for a console (the protocol of rich): one line for each row, with no blanks at its end."""
        widths = self.widths(options.max_width)
        heading = [Text(name.upper(), style="bold") for name in self._columns]
        for row in (heading, *self._rows):
            line = Text(no_wrap=True, overflow="ellipsis")
            for name, cell, width in zip(self._columns, row, widths, strict=True):
                shown = cell.copy()
                shown.truncate(width, overflow="ellipsis")
                shown.align("right" if name in self._right else "left", width)
                line.append_text(shown)
                line.append(" " * GAP)
            line.rstrip()
            yield line
