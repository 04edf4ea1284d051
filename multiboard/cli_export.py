"""The command that writes what runs hold to one file of rows: `multiboard export`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console

from multiboard.cli_paths import LOG_DIR
from multiboard.errors import MultiboardError

if TYPE_CHECKING:
    from pathlib import Path

    from multiboard.export import Exported


@click.command()
@click.argument("path", type=LOG_DIR)
@click.option(
    "-o", "--out", default="-", help="A file that ends in .csv, .jsonl or .parquet, also .csv.gz.  [default: standard output]"
)
@click.option("--csv", "form", flag_value="csv", help="Write CSV, whatever the name.")
@click.option("--jsonl", "form", flag_value="jsonl", help="Write JSON lines, whatever the name.")
@click.option("--parquet", "form", flag_value="parquet", help="Write Parquet, whatever the name.")
@click.option("--kind", type=click.Choice(["scalars", "histograms", "texts", "all"]), default="scalars", show_default=True)
@click.option("--tags", multiple=True, metavar="PATTERN", help="Only these tags, e.g. 'train/*'; may be repeated.")
@click.option("--runs", "names", multiple=True, metavar="PATTERN", help="Only these runs; may be repeated.")
@click.option("--wide", is_flag=True, help="A column per tag; scalars only.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def export(
    path: Path,
    out: str,
    form: str | None,
    kind: str,
    tags: tuple[str, ...],
    names: tuple[str, ...],
    wide: bool,
    force: bool,
) -> None:
    """Write the points of runs to one file, at full resolution: scalars, histograms and texts.

    The exit status is 1 if there is nothing to write or the file cannot be written, and nothing is left behind then.
    """
    from multiboard.export import export as write

    if wide and kind != "scalars":
        raise click.UsageError(f"--wide is for scalars, and --kind is {kind}.")
    target = sys.stdout.buffer if out == "-" else out
    try:
        done = write(path, target, kind=kind, tags=tags, runs=names, wide=wide, form=form, overwrite=force)
    except BrokenPipeError:  # who reads has seen enough; click ends the program
        raise
    except (MultiboardError, OSError) as error:
        raise click.ClickException(str(error)) from error
    _report(done, out)


def _report(done: Exported, out: str) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if out != "-":
        console.print(f"{out}: {done.rows:,} rows", markup=False)
    for file, places in done.damage.items():
        count = f"{len(places)} place{'s' if len(places) > 1 else ''}"
        console.print(f"{file}: damaged at {count}; `multiboard inspect` says where", markup=False)
