"""The command that trains one classifier in three frameworks: `multiboard demo`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from multiboard.cli_serve import wait_for_end
from multiboard.demo.breaks import BREAKS, place
from multiboard.demo.launch import BACKENDS, FRAMEWORKS, train_all
from multiboard.errors import MultiboardError

if TYPE_CHECKING:
    from collections.abc import Sequence


def _split_frameworks(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in FRAMEWORKS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(FRAMEWORKS)}.")
    return names


@click.command()
@click.option("--steps", type=click.IntRange(min=1), default=220, show_default=True, help="Optimizer steps; 22 are an epoch.")
@click.option("--every", type=click.IntRange(min=1), default=10, show_default=True, help="Steps between two histograms.")
@click.option("--log-dir", type=click.Path(path_type=Path), help="Directory of the runs.  [default: runs/demo-<time>]")
@click.option(
    "--frameworks", default=",".join(FRAMEWORKS), show_default=True, callback=_split_frameworks, help="Which, by comma."
)
@click.option("--keras-backend", type=click.Choice(BACKENDS), default="jax", show_default=True, help="What Keras runs on.")
@click.option("--tolerance", type=float, default=1e-5, show_default=True, help="Difference from which two curves have parted.")
@click.option(
    "--break",
    "mistake",
    type=click.Choice(list(BREAKS)),
    metavar="NAME",
    help=f"Make a classical mistake in one framework, and see it found: {', '.join(BREAKS)}.",
)
@click.option("--in", "wanted", type=click.Choice(FRAMEWORKS), help="Where to make it.  [default: flax if that can make it]")
@click.option("--serve", "open_board", is_flag=True, help="Start TensorBoard on 127.0.0.1 afterwards.")
def demo(
    steps: int,
    every: int,
    log_dir: Path | None,
    frameworks: Sequence[str],
    keras_backend: str,
    tolerance: float,
    mistake: str | None,
    wanted: str | None,
    open_board: bool,
) -> None:
    """Train one small classifier in PyTorch, Flax and Keras, from the same weights, and compare the runs."""
    from multiboard import dashboard
    from multiboard.demo.table import comparison_table, verdict
    from multiboard.reader import read

    console = Console()
    log_dir = log_dir or Path("runs", f"demo-{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}")
    if wanted and not mistake:
        raise click.UsageError("--in says where to make the mistake that --break names.")
    try:
        broken = {place(mistake, frameworks, wanted): mistake} if mistake else {}
        for name in broken.values():
            console.print(f"In {next(iter(broken))}, {BREAKS[name].text}.\n", highlight=False)
        seconds = train_all(log_dir, frameworks, steps, every, keras_backend, console, broken)
        runs = {name: read(log_dir)[name] for name in frameworks}
        console.print(comparison_table(runs, seconds, tolerance))
        if len(runs) > 1:
            console.print(verdict(runs, broken))
        console.print("\nOpen the dashboard with:", style="bold")
        console.print(f"  {dashboard.command_line(log_dir)}", soft_wrap=True, highlight=False)
        if open_board:
            wait_for_end(*dashboard.start(log_dir), console, ())
    except MultiboardError as error:
        raise click.ClickException(str(error)) from error
