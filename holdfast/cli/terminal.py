"""Print lines, tables and errors: plain text without a terminal, and each error with what to do next."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


OPTIONAL_COLUMN = "HOLD"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
GLUE = "\N{NO-BREAK SPACE}"
GAP = 2
"""Columns between two columns of a table."""


class CommandStopped(Exception):
    """The command cannot continue, and the user can change that. `fix` is what to do next."""

    def __init__(self, message: str, *, fix: str = "", status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.status = status


def sanitize(text: str) -> str:
    """Return text for a terminal, with the replacement character for control characters. Tabs and line ends stay.

    The names of callers, and what they send, are printed here; they must not move the cursor or set a title.
    """
    return _CONTROL.sub("\ufffd", text)


def print_line(line: str = "") -> None:
    """Print a line on standard output, with its tabs."""
    print(sanitize(line), flush=True)


def print_note(line: str) -> None:
    """Print a line on standard error, beside the output."""
    ERR.print(Text(line, style="dim"))


def print_error(stop: CommandStopped) -> None:
    """Print the error and what to do next."""
    for number, line in enumerate(sanitize(stop.message).splitlines()):
        ERR.print(Text(("✗ " if number == 0 else "  ") + line, style="bold red" if number == 0 else ""))
    for line in sanitize(stop.fix).splitlines():
        ERR.print(Text("  → " + line))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print a table: tab-separated lines without a terminal, `empty` when there are no rows.

    The column HOLD, which commands need no more than CALL, is left out where it does not fit. Where the other columns
    do not fit either, each row is printed in words, with its first cell alone in a line, to be copied.
    """
    rows = [tuple(sanitize(cell) for cell in row) for row in rows]
    if not OUT.is_terminal:
        for row in rows:
            print_line("\t".join(row))
        return
    if not rows:
        print_note(empty)
        return
    widths = [max(len(cell) for cell in column) + GAP for column in zip(headings, *rows, strict=True)]
    shown = [
        column
        for column, heading in enumerate(headings)
        if heading != OPTIONAL_COLUMN or sum(widths) <= OUT.width + GAP
    ]
    if sum(widths[column] for column in shown) > OUT.width + GAP:
        for row in rows:
            _print_row([headings[column] for column in shown], [row[column] for column in shown])
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in shown:
        drawn.add_column(headings[column], no_wrap=True)
    for row in rows:
        drawn.add_row(*(Text(row[column]) for column in shown))
    OUT.print(drawn)


def _print_row(headings: Sequence[str], row: Sequence[str]) -> None:
    """Print a row in words, for a terminal too narrow for its table."""
    OUT.print(Text(row[0], style="bold"))
    cells = [(heading.lower(), cell) for heading, cell in zip(headings[1:], row[1:], strict=True) if cell]
    words = [cell if cell.startswith(heading) else f"{heading} {cell}" for heading, cell in cells]
    text = f"{GLUE}· ".join(each.replace(" ", GLUE) for each in words)
    for line in textwrap.wrap(text, max(OUT.width - GAP, GAP), break_on_hyphens=False):
        OUT.print(Text("  " + line.replace(GLUE, " ")))
