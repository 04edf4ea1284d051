"""Event files on disk: names that are unique and sorted, append, and what happens when the disk is full.

A record is never left half written in the middle of a file: a failed write is cut back to the last whole record, and the bytes
stay in memory until there is space again. A file that is being written is locked (flock), so that a second writer of a directory
can be told.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import time
from typing import TYPE_CHECKING, Final

from multiboard.encode import file_version, session_start
from multiboard.errors import LogDirError
from multiboard.records import frame

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MARK: Final = "tfevents"
_SEQUENCES: Final = 1_000_000
_SECONDS: Final = re.compile(rf"events\.out\.{_MARK}\.(\d{{10}})\.")


def event_file_name(seconds: int, sequence: int) -> str:
    """Return a file name that sorts by time, then by sequence, and names host and process.

    >>> event_file_name(1700000000, 3).startswith("events.out.tfevents.1700000000.000003.")
    True
    """
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname()) or "localhost"
    return f"events.out.{_MARK}.{seconds:010d}.{sequence:06d}.{host}.{os.getpid()}"


def is_event_file(path: Path) -> bool:
    """Tell whether TensorBoard takes a path for an event file."""
    return _MARK in path.name and path.is_file()


def event_files(directory: Path) -> list[Path]:
    """Return the event files in a directory, in the order in which they are read: by name."""
    return sorted(filter(is_event_file, directory.iterdir()))


class EventFile:
    """One event file, opened for appending.

    Args:
        log_dir: the run directory; created if missing.
        first_step: the file starts again at this step, and the Python reader of TensorBoard drops what earlier files hold from
            there on; None continues behind them.
        suffix: goes to the end of the file name.

    Attributes:
        path: of the file.
        size: bytes of the whole records in it.

    Raises:
        LogDirError: the directory or the file cannot be created.
    """

    def __init__(self, log_dir: Path, first_step: int | None = 0, suffix: str = "") -> None:
        now = time.time()
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            earlier = event_files(log_dir)
            if first_step is None and not earlier:
                first_step = 0
            self.path, self._descriptor = _create(log_dir, int(now), earlier[-1].name if earlier else "", suffix)
            self.size = 0
            self._torn = False
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            start = b"" if first_step is None else frame(session_start(now, first_step))
            self._begin(frame(file_version(now)) + start)
        except OSError as error:
            raise LogDirError(os.fspath(log_dir), error.strerror or str(error)) from error

    def _begin(self, first_records: bytes) -> None:
        try:
            self.append(first_records)
        except OSError:  # an empty file would be a run of nothing in the dashboard
            self.close()
            self.path.unlink(missing_ok=True)
            raise

    def append(self, framed: bytes) -> None:
        """Write whole records. On failure the file is as it was before.

        Args:
            framed: one or more framed records.

        Raises:
            OSError: nothing of `framed` is in the file.
        """
        self._cut_torn_record()
        rest = memoryview(framed)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            self._torn = len(rest) < len(framed)
            with contextlib.suppress(OSError):  # tried again before the next write
                self._cut_torn_record()
            raise
        self.size += len(framed)

    def _cut_torn_record(self) -> None:
        if self._torn:
            os.ftruncate(self._descriptor, self.size)
            self._torn = False

    def is_gone(self) -> bool:
        """Tell whether the file was deleted or replaced: what is written to it would be lost."""
        try:
            return not os.path.samestat(self.path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return True
        except OSError:  # e.g. a file system that hangs or has lost its server: writing will tell
            return False

    def others_being_written(self) -> Iterator[Path]:
        """Yield the other event files of the directory that somebody writes at the moment, here or in another process."""
        for path in event_files(self.path.parent):
            if path != self.path and _is_locked(path):
                yield path

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _create(log_dir: Path, seconds: int, newest: str, suffix: str) -> tuple[Path, int]:
    """Create a file whose name sorts behind that of the newest one, also if the clock was set back."""
    if found := _SECONDS.match(newest):
        seconds = max(seconds, int(found[1]))
    if event_file_name(seconds, _SEQUENCES - 1) < newest:
        seconds += 1
    for sequence in range(_SEQUENCES):
        name = f"{event_file_name(seconds, sequence)}{suffix}"
        if name > newest:
            try:
                return log_dir / name, os.open(log_dir / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
            except FileExistsError:
                continue
    raise FileExistsError(f"no free event file name for second {seconds}")


def _is_locked(path: Path) -> bool:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
