"""Where the windows of a profiler go: a run, or the directory of one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from multiboard.errors import ArgumentError
from multiboard.reports import Reports
from multiboard.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.profile.processing import Done


class Place(NamedTuple):
    """Where the windows of a profiler go.

    Attributes:
        log_dir: the run directory.
        report: called with cause and message of what goes wrong.
        log: called with the numbers of a window and its first step; None logs nothing.
    """

    log_dir: str
    report: Callable[[str, str], None]
    log: Callable[[Done, int], None] | None


def place_of(run: Run | str | os.PathLike[str] | None) -> Place | None:
    """Return where windows go."""
    if run is None:
        return None
    if not isinstance(run, Run):
        if not isinstance(run, (str, os.PathLike)):
            raise ArgumentError("run", run, "pass a multiboard.Run, the directory of one, or None with an adapter that drives it")
        return Place(str(Path(run).absolute()), Reports().add, None)

    def log(done: Done, step: int) -> None:
        if run.closed:
            return
        run.log(done.scalars, step)
        for tag, text in done.texts.items():
            run.text(tag, text, step)

    return Place(str(Path(run.log_dir).absolute()), run.report, log)
