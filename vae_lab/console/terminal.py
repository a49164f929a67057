"""Tables in the terminal."""

import io
import re
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # with which a name would move the cursor, or worse


def print_whatever() -> None:
    """Lets stdout and stderr print any text: what their encoding has not is replaced, and ends no sweep."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def console() -> Console:
    """The terminal; a file gets lines of 140 columns."""
    print_whatever()
    return Console(width=None if sys.stdout.isatty() else 140, markup=False)  # a name may hold [brackets]


def show_lines(
    title: str, header: Sequence[str], lines: Sequence[Sequence[str]], caption: str | None = None, left: int = 1
) -> None:
    """Prints a table whose first columns (`left` of them) hold words and whose others hold numbers."""
    screen = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for place, column in enumerate(header):
        screen.add_column(column, justify="left" if place < left else "right", overflow="fold")
    for line in lines:
        screen.add_row(*(CONTROLS.sub("", text) for text in line))
    console().print(screen)


def show_table(table: Any, title: str) -> None:
    """Prints a `vae_lab.report.table.Table` of arms."""
    several = any(row.finished > 1 for row in table.rows)
    caption = "mean ± standard error over seeds, nats per image" if several else None
    show_lines(title, table.header(), table.lines(), caption)
