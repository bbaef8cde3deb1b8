"""A table on the terminal: with rich if it is there, else plain."""

from __future__ import annotations

from collections.abc import Collection, Sequence

_WIDTH = 140  # a log has no width, and a wrapped table is unreadable


def show(
    headings: Sequence[str], lines: Sequence[Sequence[str]], caption: str = "", marked: Collection[int] = ()
) -> None:
    """Print the lines, the first column to the left and the others to the right; ``marked`` ones stand out."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(map(len, column)) for column in zip(headings, *lines, strict=True)]
        for line in (headings, *lines):
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        print(caption)
        return
    table = Table(caption=caption or None)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for number, line in enumerate(lines):
        table.add_row(*line, style="yellow" if number in marked else None)
    console = Console()
    console.width = max(console.width, _WIDTH)
    console.print(table)
