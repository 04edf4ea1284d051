"""The spools of a computer: which wait, and which of them a run takes over from processes that have ended."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from multiboard.remote.segments import is_event_name
from multiboard.remote.spool import ABOUT, About, Spool, about_of, files_below, take_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

_EMPTY_AFTER: Final = 60.0
"""Seconds after which a spool that says nothing of itself was left behind by a process that was killed while it made it."""


class Waiting(NamedTuple):
    """A spool that waits for its upload.

    Attributes:
        path: of its directory.
        about: what it says of itself.
        files: number of files in it.
        size: their bytes.
        busy: whether a process has it.
    """

    path: str
    about: About
    files: int
    size: int
    busy: bool


def waiting(root: str) -> list[Waiting]:
    """Return all spools below a directory, the oldest first."""
    found = []
    for path, about in _spools(root):
        with contextlib.suppress(OSError):
            if about is not None:
                sizes = [os.path.getsize(file) for file in files_below(os.path.join(path, about.name))]
                found.append(Waiting(path, about, len(sizes), sum(sizes), _is_busy(path)))
    return found


def left_behind(root: str, url: str) -> list[Spool]:
    """Take over the spools of a URL whose processes have ended, the oldest first; what never became a spool is deleted.

    Args:
        root: directory of all spools.
        url: as it may be shown.
    """
    found = []
    for path, about in _spools(root):
        with contextlib.suppress(OSError):
            if about is None:
                _delete_unborn(path)
            elif _is_of(about, url) and (spool := Spool.adopt(path)) is not None:
                found.append(spool)
    return found


def waiting_names(root: str, url: str) -> list[str]:
    """Return the names in the store of the segments of a URL that wait in any spool, also one that is being uploaded.

    Args:
        root: directory of all spools.
        url: as it may be shown.
    """
    names = []
    for path, about in _spools(root):
        with contextlib.suppress(OSError):
            if about is not None and _is_of(about, url):
                spool = Spool(path, about, -1)
                names += [spool.relative(segment) for segment in spool.segments()]
    return names


def _spools(root: str) -> Iterator[tuple[str, About | None]]:
    """Yield every directory of spools and what it says of itself; None if it is none yet, or no more."""
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return
    for name in names:
        path = os.path.join(root, name)
        try:
            about = about_of(path)
        except OSError:
            continue
        yield path, about


def _is_of(about: About, url: str) -> bool:
    return about.url.rstrip("/") == url.rstrip("/")


def _delete_unborn(path: str) -> None:
    """Delete what a process has left that was killed while it made or deleted a spool."""
    is_spool = re.fullmatch(r"\d{10}-[0-9a-f]{8}", os.path.basename(path)) is not None
    if is_spool and not os.path.exists(os.path.join(path, ABOUT)) and time.time() - os.path.getmtime(path) > _EMPTY_AFTER:
        lock = take_lock(path)
        if lock is not None:
            if not any(is_event_name(file) for file in files_below(path)):
                shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _is_busy(path: str) -> bool:
    lock = take_lock(path)
    if lock is not None:
        os.close(lock)
    return lock is None
