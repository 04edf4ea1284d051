"""The command that tells where runs part: `multiboard compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from multiboard.cli_paths import ANY_PATH
from multiboard.errors import ArgumentError, MultiboardError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.compare.comparison import Comparison
    from multiboard.reader import RunData

_PATH = click.Path(path_type=Path)
_MODELS: Final = ("f32", "bf16")
_NOT_COMPARED: Final = 2


class _NotCompared(click.ClickException):
    """Something went wrong before anything was compared; the exit status 1 would tell that the runs part."""

    exit_code = _NOT_COMPARED


@click.command()
@click.argument("runs", nargs=-1, required=True, type=ANY_PATH, metavar="RUN RUN...")
@click.option(
    "--tolerance",
    "tolerance",
    multiple=True,
    metavar="FILE|NUMBER|KIND=NUMBER",
    help="Largest relative difference that is none, e.g. 0.01, grads=0.05 or a TOML file of such lines. May be repeated.",
)
@click.option(
    "--noise",
    multiple=True,
    metavar="RUN|f32|bf16",
    help="Repeats of one training, from which the noise is measured; or a model of rounding. May be repeated.",
)
@click.option("--layers", "layers", type=_PATH, metavar="FILE", help="TOML file of layers that belong together.")
@click.option("--kind", "kinds", multiple=True, help="Compare this only, e.g. loss or grads. May be repeated.")
@click.option("--allow-guesses", is_flag=True, help="Compare layers also if it is a guess that they belong together.")
@click.option(
    "--oracle", type=ANY_PATH, metavar="RUN", help="The same training in float64: tells which run is wrong, or both alike."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--junit", type=_PATH, metavar="FILE", help="Write a report for test tools, too.")
@click.option("--report", type=_PATH, metavar="FILE", help="Write the page that `multiboard report` writes, too.")
def compare(
    runs: Sequence[Path],
    tolerance: Sequence[str],
    noise: Sequence[str],
    layers: Path | None,
    kinds: Sequence[str],
    allow_guesses: bool,
    oracle: Path | None,
    as_json: bool,
    junit: Path | None,
    report: Path | None,
) -> None:
    """Tell where runs part from the first of them: which step, which layer, parameters, gradients or loss.

    The exit status is 0 if all are within tolerance, 1 if one is not, and 2 if not everything could be compared.
    """
    from multiboard.compare import comparison
    from multiboard.compare.sources import load
    from multiboard.compare.tolerances import KINDS

    if len(runs) < 2:  # noqa: PLR2004
        raise click.UsageError("Name two runs or more.")
    try:
        read = [load(run) for run in runs]
        found = comparison.compare(
            *read,
            tolerance=tolerances_of(tolerance),
            noise=noise_of(noise),
            layers=layers,
            kinds=kinds or KINDS,
            guesses=allow_guesses,
            oracle=oracle,
        )
    except MultiboardError as error:
        raise _NotCompared(str(error)) from error
    if junit:
        _write(junit, found.to_junit())
    if report:
        _write(report, _page(read, found, layers))
    if as_json:
        click.echo(found.to_json())
    else:
        Console(highlight=False).print(found.table())
    sys.exit(found.code)


def _page(read: Sequence[RunData], found: Comparison, layers: Path | None) -> str:
    """Return the page of a comparison and its runs."""
    from multiboard.page.limits import IN_FILE
    from multiboard.page.parts import Board
    from multiboard.page.report import report

    runs = dict(zip(found.names, read, strict=True))
    return report(Board(runs, fixed=True, limits=IN_FILE, layers=layers, compared=found))


def _write(path: Path, text: str) -> None:
    from multiboard.whole_files import whole_file

    try:
        with whole_file(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise _NotCompared(f"{path} cannot be written: {error.strerror}.") from error


def noise_of(given: Sequence[str]) -> str | list[str] | None:
    """Return the noise that was named: a model, or repeats."""
    if not given:
        return None
    return given[0] if len(given) == 1 and given[0] in _MODELS else list(given)


def tolerances_of(given: Sequence[str]) -> dict[str, float] | None:
    """Return the tolerances that were named, the later ones over the earlier ones."""
    from multiboard.compare.tolerances import tolerances

    found: dict[str, float] = {}
    for one in given:
        name, equals, value = one.rpartition("=")
        if equals and not Path(one).exists():
            found |= tolerances(found | {name: _number(one, value)})
        elif Path(one).exists():
            found |= tolerances(one)
        else:
            found |= tolerances(_number(one, one))
    return found or None


def _number(given: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ArgumentError("tolerance", given, "pass a file, a number, or a kind and a number such as grads=0.05") from None
