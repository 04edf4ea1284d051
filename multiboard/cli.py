"""The `multiboard` command."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from multiboard.errors import MissingFrameworkError, MultiboardError

try:
    import click
    from rich.console import Console

    from multiboard.cli_compare import compare
    from multiboard.cli_export import export
    from multiboard.cli_files import inspect, repair
    from multiboard.cli_graph import graph
    from multiboard.cli_profile import profile
    from multiboard.cli_serve import serve, wait_for_end
    from multiboard.demo.launch import BACKENDS, FRAMEWORKS, train_all
except ImportError as error:
    raise SystemExit(str(MissingFrameworkError("the multiboard command", "click and rich", "cli"))) from error

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="multiboard")
def main() -> None:
    """Log and compare training runs of PyTorch, JAX/Flax and Keras in TensorBoard."""


main.add_command(repair)
main.add_command(inspect)
main.add_command(export)
main.add_command(graph)
main.add_command(compare)
main.add_command(profile)
main.add_command(serve)


def _split_frameworks(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in FRAMEWORKS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(FRAMEWORKS)}.")
    return names


@main.command()
@click.option("--steps", type=click.IntRange(min=1), default=220, show_default=True, help="Optimizer steps; 22 are an epoch.")
@click.option("--every", type=click.IntRange(min=1), default=10, show_default=True, help="Steps between two histograms.")
@click.option("--log-dir", type=click.Path(path_type=Path), help="Directory of the runs.  [default: runs/demo-<time>]")
@click.option(
    "--frameworks", default=",".join(FRAMEWORKS), show_default=True, callback=_split_frameworks, help="Which, by comma."
)
@click.option("--keras-backend", type=click.Choice(BACKENDS), default="jax", show_default=True, help="What Keras runs on.")
@click.option("--tolerance", type=float, default=1e-6, show_default=True, help="Difference from which two curves have parted.")
@click.option("--serve", "open_board", is_flag=True, help="Start TensorBoard on 127.0.0.1 afterwards.")
def demo(
    steps: int,
    every: int,
    log_dir: Path | None,
    frameworks: Sequence[str],
    keras_backend: str,
    tolerance: float,
    open_board: bool,
) -> None:
    """Train one small classifier in PyTorch, Flax and Keras, from the same weights, and compare the runs."""
    from multiboard import dashboard
    from multiboard.demo.table import comparison_table
    from multiboard.reader import read

    console = Console()
    log_dir = log_dir or Path("runs", f"demo-{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}")
    try:
        seconds = train_all(log_dir, frameworks, steps, every, keras_backend, console)
        runs = read(log_dir)
        console.print(comparison_table({name: runs[name] for name in frameworks}, seconds, tolerance))
        console.print("\nOpen the dashboard with:", style="bold")
        console.print(f"  {dashboard.command_line(log_dir)}", soft_wrap=True, highlight=False)
        if open_board:
            wait_for_end(*dashboard.start(log_dir), console, ())
    except MultiboardError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
