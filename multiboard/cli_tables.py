"""Tables of commands, from which no name is cut."""

from __future__ import annotations

import os
from typing import Final

from rich.console import Console
from rich.table import Table

_WIDEST: Final = 10_000


def console_of_tables() -> Console:
    """Return a console; a pipe or a file has no width, so that each row of a table is a line there."""
    console = Console(highlight=False)
    if not (console.is_terminal or "COLUMNS" in os.environ):
        console.width = _WIDEST
    return console


def table(*headings: str) -> Table:
    """Return a table whose first columns are texts; what is too long for a terminal goes on in the next line."""
    made = Table()
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made
