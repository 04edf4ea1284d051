"""The command that shows and compares what models hold: `multiboard graph`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console

from multiboard.cli_paths import LOG_DIR
from multiboard.errors import MultiboardError

if TYPE_CHECKING:
    from pathlib import Path

    from multiboard.graph import Summary


@click.command()
@click.argument("path", type=LOG_DIR)
@click.option("--tag", help="Of a further graph.  [default: the run's own graph]")
@click.option("--json", "as_json", is_flag=True, help="Print everything that is known of the layers as JSON.")
@click.option(
    "--diff", "other", type=LOG_DIR, help="Another run: list what differs; the exit status is 1 if that is more than names."
)
def graph(path: Path, tag: str | None, as_json: bool, other: Path | None) -> None:
    """Show the layers of the model of a run: shapes, parameters, FLOPs; or what tells it from that of another run."""
    from multiboard.graph import diff

    try:
        summary = _summary(path, tag)
        if other is None:
            _print(summary, as_json)
            return
        found = diff(summary, _summary(other, tag))
    except MultiboardError as error:
        raise click.ClickException(str(error)) from error
    Console(highlight=False).print(str(found), markup=False, soft_wrap=True)
    if found:
        sys.exit(1)


def _print(summary: Summary, as_json: bool) -> None:
    if as_json:
        click.echo(summary.to_json())
    else:
        Console(highlight=False).print(summary.table())


def _summary(path: Path, tag: str | None) -> Summary:
    from multiboard.graph import Summary
    from multiboard.graph.summary_values import data_tag
    from multiboard.reader import read_one

    run, wanted = read_one(path), data_tag(tag)
    if wanted not in run.tensors:
        raise click.ClickException(f"run {str(path)!r} has no graph {wanted!r}; log one with run.graph(graph).")
    return Summary.from_json(run.tensors[wanted].value[-1].item().decode())
