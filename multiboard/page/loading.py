"""The runs that a page is asked to show, and what they are called on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeAlias

from multiboard.compare.sources import names
from multiboard.errors import ArgumentError, did_you_mean
from multiboard.page.well_formed import well_formed
from multiboard.reader import RunData, Runs, local_directory, read_run, run_directories
from multiboard.urls import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Shown: TypeAlias = str | os.PathLike[str] | RunData | Runs
"""A run directory, a directory above runs, or what `multiboard.read` returns."""


def load(sources: Sequence[Shown], baseline: str | None = None) -> dict[str, RunData]:
    """Read runs.

    Args:
        sources: a directory above runs stands for all of them.
        baseline: name of the run that comes first; None for the first one that is found.

    Returns:
        The runs by name: relative to the one directory that was given, otherwise by the ends of their paths.

    Raises:
        ReadError: a directory holds no event files.
        ArgumentError: nothing was given, a run was given twice, or there is no such baseline.
    """
    sources = [local_directory(source) if is_url(source) else source for source in sources]  # type: ignore[arg-type]
    heads = _heads(sources)
    found = [pair for source, head in zip(sources, heads, strict=True) for pair in _runs(source, head)]
    if not found:
        raise ArgumentError("runs", list(map(str, sources)), "name a run directory, or one above runs")
    runs: dict[str, RunData] = {}
    seen: set[Path] = set()
    for name, run in found:
        place = run.path.resolve()
        if place in seen:
            raise ArgumentError("runs", os.fspath(run.path), "the same run was given twice")
        seen.add(place)
        runs[_free(well_formed(name), runs)] = run
    return _ordered(runs, baseline)


def _heads(sources: Sequence[Shown]) -> list[str]:
    """Return what the names of the runs of each source begin with; '' for a directory above runs that is alone."""
    paths = [RunData(_path(source)) for source in sources]
    return names(paths) if len(paths) > 1 else [""] * len(paths)


def _path(source: Shown) -> Path:
    from pathlib import Path

    if isinstance(source, RunData):
        return source.path
    if isinstance(source, Runs):
        return _above(*next(iter(source.items()))) if len(source) else Path()
    if not isinstance(source, str | os.PathLike):
        raise ArgumentError("runs", source, "pass a directory, or what multiboard.read returns of it")
    return Path(source)


def _above(name: str, run: RunData) -> Path:
    """Return the directory that a run has its name from."""
    return run.path if name == "." else run.path.absolute().parents[name.count("/")]


def _runs(source: Shown, head: str) -> Iterator[tuple[str, RunData]]:
    """Yield names and runs of one source."""
    if isinstance(source, RunData):
        found = {".": source}
    elif isinstance(source, Runs):
        found = dict(source)
    else:
        found = {name: read_run(directory) for name, directory in run_directories(source).items()}
    for name, run in found.items():
        if name == ".":
            yield head or run.path.absolute().name or ".", run
        else:
            yield f"{head}/{name}" if head else name, run


def _free(name: str, taken: dict[str, RunData]) -> str:
    number = 2
    free = name
    while free in taken:
        free = f"{name} ({number})"
        number += 1
    return free


def _ordered(runs: dict[str, RunData], baseline: str | None) -> dict[str, RunData]:
    if baseline is None:
        return runs
    if baseline not in runs:
        raise ArgumentError("baseline", baseline, f"the runs are {', '.join(runs)}.{did_you_mean(baseline, runs)}")
    return {baseline: runs[baseline], **runs}
