"""Tables on standard output, written row by row as figures come in."""

from __future__ import annotations


class Table:
    """A table with a title, headings and a rule, printed at once; rows follow.

    Args:
        title: above it.
        columns: headings of all columns but the first, which holds the names of the rows.
        first: width of the first column.
        width: of the other columns at the least; a longer heading widens its own.
    """

    def __init__(self, title: str, *columns: str, first: int = 24, width: int = 11) -> None:
        self._first = first
        self._widths = [max(len(column) + 2, width) for column in columns]
        print(f"\n{title}")
        self.row("", *columns)
        print("─" * (first + sum(self._widths)), flush=True)

    def row(self, name: str, *cells: object) -> None:
        """Print a row: its name, and a cell for each heading, aligned to the right."""
        aligned = (f"  {cell!s:>{width - 2}}" for cell, width in zip(cells, self._widths, strict=True))
        print(f"{name:{self._first}}{''.join(aligned)}".rstrip(), flush=True)
