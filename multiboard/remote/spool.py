"""Spools: local directories in which the files of a run on a URL wait for their upload.

    <root>/<seconds>-<token>/spool.json     the URL without credentials, host and process
                             lock           locked by the process that writes or uploads
                             sent           a line for every file beside the events that has arrived
                             <name>/        the run directory

A spool whose lock is free was left behind by a process that has ended; who takes the lock may finish it. No credentials are
written to it: they come from the environment or the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from multiboard.errors import LogDirError
from multiboard.remote.segments import finish_all, new_token, segments_in

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT: Final = "spool.json"
_LOCK: Final = "lock"
_SENT: Final = "sent"


class About(NamedTuple):
    """What a spool says of itself.

    Attributes:
        url: to which it is uploaded, without credentials.
        complete: whether that is all of the URL.
        token: of its files.
        name: of the run directory in it.
        host: that has written it.
        pid: of the process.
    """

    url: str
    complete: bool
    token: str
    name: str
    host: str
    pid: int


class Spool:
    """A spool that this process holds.

    Attributes:
        path: of its directory.
        about: what it says of itself.
        log_dir: the run directory in it.
    """

    def __init__(self, path: str, about: About, lock: int) -> None:
        self.path, self.about = path, about
        self.log_dir = os.path.join(path, about.name)
        self._lock = lock

    @classmethod
    def create(cls, root: str, url: str, *, complete: bool) -> Self:
        """Make a spool.

        Args:
            root: directory of all spools.
            url: as it may be shown.
            complete: whether that is all of the URL.

        Raises:
            LogDirError: the directory cannot be written.
        """
        token = new_token()
        name = re.sub(r"[^\w.=+-]", "_", url.rstrip("/").rpartition("/")[2])
        name = name if name.strip(".") else "run"
        about = About(url, complete, token, name, os.uname().nodename, os.getpid())
        path = os.path.join(root, f"{int(time.time()):010d}-{token}")
        try:
            os.makedirs(root, mode=0o700, exist_ok=True)
            os.mkdir(path, mode=0o700)
            lock = take_lock(path)
            spool = cls(path, about, -1 if lock is None else lock)
            os.mkdir(spool.log_dir)
            _write_whole(os.path.join(path, ABOUT), json.dumps(about._asdict()))
        except OSError as error:
            reason = f"{error.strerror or error}; the files of {url} wait there for their upload (RemoteOptions(spool=...))"
            raise LogDirError(path, reason) from error
        return spool

    @classmethod
    def adopt(cls, path: str) -> Self | None:
        """Take over a spool whose process has ended, with its live files made segments; None if another process has it.

        Raises:
            OSError: a live file could not be made a segment.
        """
        try:
            about = about_of(path)
            lock = None if about is None else take_lock(path)
        except OSError:
            return None
        if about is None or lock is None:
            return None
        spool = cls(path, about, lock)
        try:
            finish_all(spool.log_dir, about.token)
        except OSError:
            spool.let_go()
            raise
        return spool

    def segments(self) -> list[str]:
        """Return the paths of the segments in it, in the order in which each run has written them."""
        return segments_in(self.log_dir, self.about.token)

    def segment_bytes(self) -> int:
        """Return the bytes of all segments in it."""
        total = 0
        for segment in self.segments():
            with contextlib.suppress(OSError):
                total += os.path.getsize(segment)
        return total

    def relative(self, path: str) -> str:
        """Return the name of a file in the store."""
        return os.path.relpath(path, self.log_dir).replace(os.sep, "/")

    def note_sent(self, name: str, size: int, changed: int) -> None:
        """Remember that a file has arrived as it is."""
        with contextlib.suppress(OSError), open(os.path.join(self.path, _SENT), "a", encoding="utf-8") as file:
            file.write(f"{json.dumps([name, size, changed])}\n")

    def sent(self) -> dict[str, tuple[int, int]]:
        """Return size and time of change, in ns, of the files that have arrived, by name."""
        found = {}
        with contextlib.suppress(OSError), open(os.path.join(self.path, _SENT), encoding="utf-8") as file:
            for line in file:
                with contextlib.suppress(ValueError):  # the last one, if the process was killed
                    name, size, changed = json.loads(line)
                    found[name] = size, changed
        return found

    def remove(self) -> None:
        """Delete the spool and let go of it."""
        self.delete()
        self.let_go()

    def delete(self) -> None:
        """Delete its files, and let another thread of this process let go of it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def let_go(self) -> None:
        """Leave the spool to others; in a forked child, to the parent."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)


def size_of(directory: str) -> int:
    """Return the bytes of all files in a directory and below."""
    total = 0
    for path in files_below(directory):
        with contextlib.suppress(OSError):
            total += os.path.getsize(path)
    return total


def files_below(directory: str) -> Iterator[str]:
    """Yield the paths of all files in a directory and below."""
    for folder, _, names in os.walk(directory):
        for name in names:
            yield os.path.join(folder, name)


def about_of(path: str) -> About | None:
    """Return what a spool says of itself; None if it says nothing, or names a directory that is not in it."""
    try:
        with open(os.path.join(path, ABOUT), encoding="utf-8") as file:
            fields: dict[str, Any] = json.load(file)
        about = About(**fields)
        return about if about.name == os.path.basename(about.name) and about.name.strip(".") else None
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, AttributeError):
        return None


def take_lock(path: str) -> int | None:
    """Return the locked descriptor of a spool; None if another process has it, or it was deleted meanwhile."""
    name = os.path.join(path, _LOCK)
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.stat(name), os.fstat(descriptor)):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _write_whole(path: str, text: str) -> None:
    part = f"{path}.part"
    with open(part, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(part, path)
