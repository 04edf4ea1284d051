"""The runs of a comparison: one run per path, and a short name for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from multiboard.errors import ArgumentError
from multiboard.reader import RunData, read_one

if TYPE_CHECKING:
    from collections.abc import Sequence

Source: TypeAlias = str | os.PathLike[str] | RunData


def load(source: Source) -> RunData:
    """Return the run in a directory.

    Raises:
        ReadError: there is no event file.
        ArgumentError: there are several runs, or it is no path.
    """
    if isinstance(source, RunData):
        return source
    if not isinstance(source, str | os.PathLike):
        raise ArgumentError("run", source, "pass a run directory, or what multiboard.read returns of it")
    return read_one(source)


def names(runs: Sequence[RunData]) -> list[str]:
    """Return the ends of the paths, as long as it takes to tell them apart."""
    parts = [Path(run.path).absolute().parts for run in runs]
    for length in range(1, max(map(len, parts), default=1) + 1):
        found = ["/".join(part[-length:]) for part in parts]
        if len(set(found)) == len(found):
            return found
    return [f"{'/'.join(part[-1:])} ({number})" for number, part in enumerate(parts, 1)]


def check_names(runs: Sequence[RunData], given: Sequence[str] | None) -> list[str]:
    """Return the names that runs were given, or those that `names` makes.

    Raises:
        ArgumentError: there is not one name for each run.
    """
    if given is None:
        return names(runs)
    if len(given) != len(runs) or len(set(given)) != len(given):
        raise ArgumentError("names", list(given), f"pass {len(runs)} names, each another one")
    return list(given)
