"""Event files on disk: names that are unique and sorted, append, and what happens when the disk is full.

A record is never left half written in the middle of a file: a failed write is cut back to the last whole record, and the bytes
stay in memory until there is space again. A file that is being written is locked (flock), so that a second writer of a directory
can be told.

Paths are strings: to import pathlib costs a training more than all of this file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from typing import TYPE_CHECKING, Final, TypeVar

from multiboard.encode import file_version, session_start
from multiboard.errors import LogDirError
from multiboard.records import frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Protocol

    class Space(Protocol):
        """A share of the disk that a run may fill."""

        def take(self, size: int) -> None:
            """Count bytes before they are written; raises OSError if there is no room for them."""

        def give_back(self, size: int) -> None:
            """Take bytes from the count that were not written, or are gone."""


T = TypeVar("T")
_MARK: Final = "tfevents"
_TRIES: Final = 3
_SEQUENCES: Final = 1_000_000
WHOLE: Final = ".whole"
"""End of the name of a file into which others were merged; those of them that are still there are left-overs."""
_PATIENCE: Final = 0.5
"""Seconds that the creation of a file waits for others; one of them may have been stopped."""
_POLL: Final = 0.001
_SECONDS: Final = re.compile(rf"events\.out\.{_MARK}\.(\d{{10}})\.")


def event_file_name(seconds: int, sequence: int) -> str:
    """Return a file name that sorts by time, then by sequence, and names host and process.

    >>> event_file_name(1700000000, 3).startswith("events.out.tfevents.1700000000.000003.")
    True
    """
    host = re.sub(r"[^A-Za-z0-9-]", "-", os.uname().nodename) or "localhost"
    return f"events.out.{_MARK}.{seconds:010d}.{sequence:06d}.{host}.{os.getpid()}"


def is_event_file(path: Path) -> bool:
    """Tell whether TensorBoard takes a path for an event file."""
    return _MARK in path.name and path.is_file()


def event_files(directory: Path) -> list[Path]:
    """Return the event files of a directory in the order in which they are read, without those that a later one replaces."""
    files = sorted(filter(is_event_file, directory.iterdir()))
    whole = next((file for file in reversed(files) if file.name.endswith(WHOLE)), None)
    if whole is None:
        return files
    from multiboard.merged_files import merged_files

    merged = merged_files(whole)
    return [file for file in files if file == whole or file.name not in merged or not _has_size(file, merged[file.name])]


def _has_size(file: Path, size: int) -> bool:
    """Tell whether a file that was merged is as it was then; one that is gone by now is, too."""
    try:
        return file.stat().st_size == size
    except FileNotFoundError:
        return True


def read_again(read: Callable[[], T]) -> T:
    """Return what a function reads from a run directory; it is called again if a file is gone that it has found there.

    `multiboard compact` may be merging the files.
    """
    for _ in range(_TRIES - 1):
        with contextlib.suppress(FileNotFoundError):
            return read()
    return read()


def event_file_names(directory: str) -> list[str]:
    """Return the names of the event files in a directory, in the order in which they are read."""
    with os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if _MARK in entry.name and entry.is_file())


class EventFile:
    """One event file, opened for appending.

    Args:
        log_dir: the run directory; created if missing.
        first_step: the file starts again at this step, and the Python reader of TensorBoard drops what earlier files hold from
            there on; None continues behind them.
        suffix: goes to the end of the file name.
        after: name of an event file that was in the directory, and behind which this one sorts; it counts as an earlier file.

    Attributes:
        path: of the file.
        size: bytes of the whole records in it.
        space: what the records are counted in; None is all of the disk.

    Raises:
        LogDirError: the directory or the file cannot be created.
    """

    def __init__(self, log_dir: str, first_step: int | None = 0, suffix: str = "", *, after: str = "") -> None:
        now = time.time()
        self.space: Space | None = None
        try:
            os.makedirs(log_dir, exist_ok=True)
            with _one_by_one(log_dir):
                newest = max([after, *event_file_names(log_dir)[-1:]])
                if first_step is None and not newest:
                    first_step = 0
                self.path, self._descriptor = _create(log_dir, int(now), newest, suffix)
            opened = os.fstat(self._descriptor)
            self._identity = opened.st_dev, opened.st_ino
            self.size = 0
            self._torn = False
            _lock(self._descriptor)
            start = b"" if first_step is None else frame(session_start(now, first_step))
            self._begin(frame(file_version(now)) + start)
        except OSError as error:
            raise LogDirError(log_dir, error.strerror or str(error)) from error

    def _begin(self, first_records: bytes) -> None:
        try:
            self.append(first_records)
        except OSError:  # an empty file would be a run of nothing in the dashboard
            self.close()
            os.unlink(self.path)
            raise

    def append(self, framed: bytes) -> None:
        """Write whole records. On failure the file is as it was before.

        Args:
            framed: one or more framed records.

        Raises:
            OSError: nothing of `framed` is in the file.
        """
        self._cut_torn_record()
        if self.space is not None:
            self.space.take(len(framed))
        rest = memoryview(framed)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            if self.space is not None:
                self.space.give_back(len(framed))
            self._torn = True  # what a failed write has left behind is not known
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
            found = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # e.g. a file system that hangs or has lost its server: writing will tell
            return False
        return (found.st_dev, found.st_ino) != self._identity

    def others_being_written(self) -> Iterator[str]:
        """Yield the other event files of the directory that somebody writes at the moment, here or in another process."""
        directory = os.path.dirname(self.path)
        for name in event_file_names(directory):
            path = os.path.join(directory, name)
            if path != self.path and is_locked(path):
                yield path

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # of a run that was forgotten; not even opened, if __init__ has raised
            self.close()


@contextlib.contextmanager
def _one_by_one(directory: str) -> Iterator[None]:
    """Let processes look into a directory and create their file one after the other, where the file system has locks.

    Of several that add to an empty directory at the same moment one is the first, and says so in its file. If two said it, the
    Python reader of TensorBoard would drop all that it has read of the other one.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        _lock(descriptor)
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough: another thread may have forked meanwhile
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock a file, or a directory; whoever asks at this moment whether it is locked, or creates a file, is waited for."""
    until = time.monotonic() + _PATIENCE
    with contextlib.suppress(OSError):  # a file system without locks
        while not _take(descriptor) and time.monotonic() < until:
            time.sleep(_POLL)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _create(log_dir: str, seconds: int, newest: str, suffix: str) -> tuple[str, int]:
    """Create a file whose name sorts behind that of the newest one, also if the clock was set back."""
    if found := _SECONDS.match(newest):
        seconds = max(seconds, int(found[1]))
    if event_file_name(seconds, _SEQUENCES - 1) < newest:
        seconds += 1
    for sequence in range(_SEQUENCES):
        name = f"{event_file_name(seconds, sequence)}{suffix}"
        path = os.path.join(log_dir, name)
        if name > newest:
            try:
                return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
            except FileExistsError:
                continue
    raise FileExistsError(f"no free event file name for second {seconds}")


def is_locked(path: str) -> bool:
    """Tell whether somebody writes an event file at the moment; False on file systems without locks."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
