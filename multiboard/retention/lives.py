"""Whether a run may be touched: somebody may be writing it, here, in another process or on another computer."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multiboard.files import is_locked
from multiboard.measures import shown_age

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IDLE: Final = 3600.0
"""Seconds for which nobody may have written a file of a run that is touched: another logger on another computer shows in nothing
else."""
FileId = tuple[int, int]
"""Device and number of a file."""
_SPOOL: Final = ("spool.json", "lock")
"""Files of a directory in which a run waits for its upload (see `multiboard.remote.spool`)."""


@contextlib.contextmanager
def held(directory: Path) -> Iterator[bool]:
    """Keep other commands of this kind away from a run directory; yield False if one has it."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # a file system without locks
            pass
        yield True
    finally:
        os.close(descriptor)


def in_use(files: Sequence[Path], idle: float, opened: frozenset[FileId]) -> str:
    """Return why a run has to be left alone, '' if it may be touched.

    Args:
        files: its event files.
        idle: seconds for which none of them may have been written.
        opened: what `opened_for_writing` returns.
    """
    for file in files:
        if is_locked(os.fspath(file)):
            return f"{file.name} is being written"
        found = file.stat()
        if (found.st_dev, found.st_ino) in opened:
            return f"{file.name} is open for writing in a process of this computer"
        age = time.time() - found.st_mtime
        if age < idle:
            return f"{file.name} was written {shown_age(age)}, and has to rest for {idle:g} s (--idle)"
    if not files:
        return "it has no event files any more"
    for directory in files[0].resolve().parents:
        if all((directory / name).is_file() for name in _SPOOL):
            return f"{directory} is a spool: `multiboard upload` brings it to its place"
    return ""


def opened_for_writing() -> frozenset[FileId]:
    """Return the event files that processes of this computer may write, as far as they can be seen, also from containers.

    Other loggers hold their files open and lock nothing.
    """
    found: set[FileId] = set()
    with contextlib.suppress(OSError):
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # of another user, or gone
                found |= set(_written_by(process))
    return frozenset(found)


def _written_by(process: Path) -> Iterator[FileId]:
    for opened in (process / "fd").iterdir():
        with contextlib.suppress(OSError):
            if "tfevents" in os.fspath(opened.readlink()):
                text = (process / "fdinfo" / opened.name).read_text(encoding="ascii")
                flags = next(line for line in text.splitlines() if line.startswith("flags:"))
                if int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY:
                    found = opened.stat()  # a process in a container has another path for it
                    yield found.st_dev, found.st_ino
