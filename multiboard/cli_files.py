"""The command that writes clean copies: `multiboard repair`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from multiboard.errors import MultiboardError

if TYPE_CHECKING:
    from multiboard.clean_copy import FileRepair, RunRepair

_SHOWN: Final = 5
"""Damaged places of a file that are listed one by one."""
_PATH = click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))


@click.command()
@_PATH
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Directory of the copies.  [default: PATH-repaired]"
)
def repair(path: Path, out: Path | None) -> None:
    """Write clean copies of runs that are damaged or whose steps go back; the originals are only read."""
    from multiboard.clean_copy import repair as write_copies

    console = Console(highlight=False, soft_wrap=True)
    try:
        report = write_copies(path, out)
    except MultiboardError as error:
        raise click.ClickException(str(error)) from error
    for name, run in report.runs.items():
        console.print(f"{name}: {_summary(run)}", style="bold" if run.copy else None, markup=False)
        for file_name, file in run.files.items():
            _print_file(console, file_name, file)
    copied = sum(run.copy is not None for run in report.runs.values())
    console.print(f"{copied} of {len(report.runs)} runs copied" + (f" to {report.out}" if copied else ""), markup=False)


def _summary(run: RunRepair) -> str:
    if run.copy is None:
        return "in order, not copied"
    return f"copied to {run.copy}" + (", in the order of the steps" if run.sorted else "")


def _print_file(console: Console, name: str, file: FileRepair) -> None:
    left_out = f", {file.overwritten} points left out that were written again later" if file.overwritten else ""
    console.print(f"  {name}: {file.records} records readable, {file.kept} points kept{left_out}", markup=False)
    for place in file.damage[:_SHOWN]:
        console.print(f"    at byte {place.offset}: {place.reason}", markup=False)
    if len(file.damage) > _SHOWN:
        console.print(f"    and {len(file.damage) - _SHOWN} more places, the last at byte {file.damage[-1].offset}")
