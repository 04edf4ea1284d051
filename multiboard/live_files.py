"""Whether a dashboard has to look at several files of one run: TensorBoard leaves all but the newest one for good otherwise."""

from __future__ import annotations

import os
import re
import time
from typing import Final

from multiboard.files import event_file_names, is_locked

RECENT: Final = 120.0
"""Seconds since the last write in which a file counts as live, also where a lock is not seen: written on another machine."""
_NAME: Final = re.compile(r"events\.out\.tfevents\.\d+\.\d{6}\.(.+\.\d+)")
"""Names that multiboard gives; what is captured is host and process."""


def several_live_files(log_dir: str | os.PathLike[str]) -> bool:
    """Tell whether any directory, at or below this one, holds two or more event files that are being written.

    A file is live if it is locked, or was written a moment ago and its process has not begun another one since. So a training
    that was killed and resumed a moment ago counts, too.

    Args:
        log_dir: of a run or above runs; it need not exist.
    """
    return any(_has_several(directory) for directory, _, files in os.walk(log_dir) if len(files) > 1)


def live_files(directory: str) -> list[str]:
    """Return the names of the event files of one directory that are being written.

    Raises:
        OSError: the directory cannot be read.
    """
    now = time.time()
    names = event_file_names(directory)
    newest = {_writer_of(name): name for name in names}
    return [
        name
        for name in names
        if is_locked(path := os.path.join(directory, name)) or (newest[_writer_of(name)] == name and _age(path, now) < RECENT)
    ]


def _has_several(directory: str) -> bool:
    try:
        return len(live_files(directory)) > 1
    except OSError:  # a directory that is deleted at this moment, or that may not be read
        return False


def _writer_of(name: str) -> str:
    found = _NAME.match(name)
    return found[1] if found else name


def _age(path: str, now: float) -> float:
    """Return the seconds since a file was written; a clock of another machine may be ahead."""
    try:
        return now - os.stat(path).st_mtime
    except FileNotFoundError:
        return RECENT
