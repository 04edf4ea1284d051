"""The command that writes old logs as multiboard would have written them: `multiboard convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from multiboard.cli_paths import LOG_DIR
from multiboard.errors import MultiboardError

if TYPE_CHECKING:
    from multiboard.conversion import RunConversion

_SHOWN: Final = 5
"""Damaged places, changes and files of a run that are listed one by one."""


@click.command()
@click.argument("old", metavar="OLD_DIR", type=LOG_DIR)
@click.argument("new", metavar="NEW_DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--merge-sub-runs", is_flag=True, help="Put what add_hparams and add_scalars wrote beside a run into it, as hparams and tags."
)
def convert(old: Path, new: Path, merge_sub_runs: bool) -> None:
    """Write logs of tensorboardX, torch, TensorFlow, Keras or clu in multiboard's form; the originals are only read.

    All runs below OLD_DIR get the same paths below NEW_DIR, with the same steps, times and values. Damaged records are left out
    and listed. The exit status is 1 if nothing could be converted.
    """
    from multiboard.conversion import convert as write

    console = Console(highlight=False, soft_wrap=True, emoji=False)
    try:
        report = write(old, new, merge_sub_runs=merge_sub_runs)
    except (MultiboardError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for name, run in report.runs.items():
        _print_run(console, name, run)
    total = sum(sum(run.values.values()) for run in report.runs.values())
    own = sum(not run.merged for run in report.runs.values())
    console.print(f"{total:,} values of {len(report.runs)} runs are in {own} runs in {report.out}", markup=False)


def _print_run(console: Console, name: str, run: RunConversion) -> None:
    values = ", ".join(f"{count:,} {kind}" for kind, count in run.values.items()) or "no values"
    into = f", merged into {run.path}" if run.merged else ""
    console.print(f"{name}: {run.events:,} events, {values}{into}", markup=False)
    for sentence, count in run.notes.most_common(_SHOWN):
        console.print(f"  {sentence}" + (f" ({count:,} times)" if count > 1 else ""), markup=False)
    if len(run.notes) > _SHOWN:
        console.print(f"  and {len(run.notes) - _SHOWN} more tags with such changes", markup=False)
    for file, places in run.damage.items():
        for place in places[:_SHOWN]:
            console.print(f"  {file}, byte {place.offset}: {place.reason}", markup=False)
        if len(places) > _SHOWN:
            console.print(f"  {file}: and {len(places) - _SHOWN} more places, the last at byte {places[-1].offset}", markup=False)
    if run.copied:
        console.print(f"  copied: {', '.join(run.copied[:_SHOWN])}" + (" …" if len(run.copied) > _SHOWN else ""), markup=False)
    if run.left:
        what = (
            "file was not copied: TensorBoard does not read it"
            if run.left == 1
            else "files were not copied: TensorBoard does not read them"
        )
        console.print(f"  {run.left} other {what}", markup=False)
