"""The command that writes runs side by side to one HTML file: `multiboard report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from multiboard.cli_compare import noise_of, tolerances_of
from multiboard.cli_paths import ANY_PATH
from multiboard.errors import MultiboardError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.page.limits import Limits
    from multiboard.page.notebook import Page

_PATH: Final = click.Path(path_type=Path)
LARGE: Final = 20_000_000
"""Bytes from which on it is said how a file becomes smaller."""


@click.command()
@click.argument("runs", nargs=-1, required=True, type=ANY_PATH, metavar="RUN [RUN...]")
@click.option("-o", "--out", default="report.html", show_default=True, type=_PATH, help="The file.")
@click.option("--title", help="Title of the page.  [default: the names of the runs]")
@click.option("--baseline", metavar="NAME", help="The run that the others are compared with.  [default: the first one]")
@click.option("--max-points", type=click.IntRange(min=2), help="Points of a curve at most.  [default: 1000]")
@click.option(
    "--max-tensors", type=click.IntRange(min=0), help="Tensors of a kind with histograms and norms at most.  [default: 60]"
)
@click.option("--media", type=click.IntRange(min=0), help="Steps of a tag of pictures, clips and texts at most.  [default: 8]")
@click.option("--tolerance", multiple=True, metavar="FILE|NUMBER|KIND=NUMBER", help="As of `multiboard compare`.")
@click.option("--noise", multiple=True, metavar="RUN|f32|bf16", help="As of `multiboard compare`.")
@click.option("--layers", type=_PATH, metavar="FILE", help="TOML file of layers that belong together.")
@click.option("--allow-guesses", is_flag=True, help="Compare layers also if it is a guess that they belong together.")
@click.option("--oracle", type=ANY_PATH, metavar="RUN", help="As of `multiboard compare`; the run is not shown.")
def report(
    runs: Sequence[Path],
    out: Path,
    title: str | None,
    baseline: str | None,
    max_points: int | None,
    max_tensors: int | None,
    media: int | None,
    tolerance: Sequence[str],
    noise: Sequence[str],
    layers: Path | None,
    allow_guesses: bool,
    oracle: Path | None,
) -> None:
    """Write runs side by side to one HTML file, which opens without a server and without a network.

    A directory above runs stands for all of them.
    """
    from multiboard.page.notebook import show

    try:
        page = show(
            *runs,
            baseline=baseline,
            title=title,
            limits=limits_of(max_points, max_tensors, media),
            tolerance=tolerances_of(tolerance),
            noise=noise_of(noise),
            layers=layers,
            guesses=allow_guesses,
            oracle=oracle,
        )
    except (MultiboardError, OSError) as error:
        raise click.ClickException(str(error)) from error
    try:
        page.save(out)
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}.") from error
    _say(page, out)


def limits_of(points: int | None, tensors: int | None, media: int | None) -> Limits:
    """Return the limits of a page; None takes what a report has otherwise."""
    from multiboard.page.limits import IN_FILE

    given = {"points": points, "tensors": tensors, "media": media}
    return IN_FILE._replace(**{name: value for name, value in given.items() if value is not None})


def _say(page: Page, out: Path) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    size = out.stat().st_size if out.is_file() else 0
    console.print(f"{out}: {size / 1000:,.0f} kB", markup=False)
    if size > LARGE:
        told = "the file is large; --max-tensors, --max-points and --media make it smaller"
        console.print(f"{out}: {told}", markup=False, style="yellow")
    if page.comparison is not None:
        from multiboard.page.verdict import sentence

        console.print(sentence(page.comparison), markup=False)
