"""Which event files are multiboard's, by their names alone: what TensorBoard tells of a run of mere curves does not say it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_NAME: Final = re.compile(r"events\.out\.tfevents\.\d{10}\.\d{6}\.")
"""Begins as `multiboard.files.event_file_name` makes it; others write no sequence before the host."""
_RUNS: Final = 100
"""Directories that are looked into at most, for TensorBoard asks again each time that a page is loaded."""


def any_of_multiboard(log_dir: Path, runs: Iterable[str]) -> bool:
    """Tell whether multiboard has written one of some runs.

    Args:
        log_dir: what TensorBoard reads; of a directory that is on no file system nothing is told.
        runs: names of directories below it, of which the first hundred are looked into.
    """
    return any(_of_multiboard(log_dir / name) for name, _ in zip(runs, range(_RUNS), strict=False))


def _of_multiboard(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return any(_NAME.match(entry.name) for entry in entries)
    except (OSError, ValueError):
        return False
