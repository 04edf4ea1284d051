"""The command that tells what is wrong: `multiboard doctor`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

import click
from rich.markup import escape

from multiboard.cli_tables import console_of_tables, table
from multiboard.doctor.findings import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.doctor.findings import Finding

_SIGNS: Final = {
    State.GOOD: "[green]✓[/green]",
    State.ABSENT: "[dim]-[/dim]",
    State.CARE: "[yellow]![/yellow]",
    State.WRONG: "[red]✗[/red]",
}


@click.command()
@click.argument("log_dir", required=False, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(log_dir: str | None, as_json: bool) -> None:
    """Tell what is wrong with this installation and with LOG_DIR, and what to do about it.

    ✓ is in order, - is not there and not needed, ! works but not as well as it could, ✗ does not work. The exit status is 1 if
    there is a ✗. No framework is imported.
    """
    from multiboard.doctor import examine

    found = list(examine(log_dir))
    if as_json:
        click.echo(json.dumps([one._asdict() | {"state": one.state.value} for one in found], indent=1))
    else:
        _print(found)
    sys.exit(any(one.state is State.WRONG for one in found))


def _print(found: Sequence[Finding]) -> None:
    console, rows = console_of_tables(), table("", "", "", "what was found", "what to do")
    for number, one in enumerate(found):
        first = not number or found[number - 1].area != one.area
        if first and number:
            rows.add_section()
        area = f"[bold]{one.area}[/bold]" if first else ""
        rows.add_row(area, _SIGNS[one.state], escape(one.subject), escape(one.text), escape(one.remedy))
    console.print(rows)
    wrong, care = (sum(one.state is state for one in found) for state in (State.WRONG, State.CARE))
    console.print(f"{wrong} wrong, {care} could be better" if wrong or care else "All in order.")
