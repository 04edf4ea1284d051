"""Local copies of remote directories, for everything that reads local files: TensorBoard, `multiboard.read` and the commands.

A copy takes what is new, and never again what it has. It takes what TensorBoard and multiboard read, i.e. event files, profiles
and projector files; checkpoints beside them stay where they are.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from multiboard import urls
from multiboard.errors import ArgumentError, ReadError
from multiboard.remote.background import in_threads
from multiboard.remote.cache import cache_directory
from multiboard.remote.copied_files import CopiedFiles, settle
from multiboard.remote.store import Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from multiboard.remote.store import Stored

_OWN: Final = ".multiboard-mirror"
"""Begins the names of the files that a copy keeps for itself."""
_PARTS: Final = f"{_OWN}-parts"
"""Directory of files that have arrived and wait for those before them."""
_AT_ONCE: Final = 8
_PROJECTOR: Final = frozenset({".tsv", ".bytes", ".png", ".pbtxt"})


class Pass(NamedTuple):
    """What one look at the remote directory has brought.

    Attributes:
        files: copied, because they are new or have changed.
        size: of these, in bytes.
        deleted: files that are gone there, and now here.
        total: files that the copy holds.
    """

    files: int
    size: int
    deleted: int
    total: int


class Mirror:
    """A local copy of a remote directory.

    Args:
        url: of the directory.
        into: local directory of the copy; None takes one below `$XDG_CACHE_HOME/multiboard/mirror` (~/.cache), the same one for
            the same URL of the same server.
        options: storage options, as of `Store`.

    Attributes:
        path: of the copy; its last part is that of the URL.
        url: without credentials.

    Raises:
        ArgumentError: `url` is no URL, or its protocol is not known.
        MissingFrameworkError: a package for the protocol is not installed.
    """

    def __init__(self, url: str, into: str | os.PathLike[str] | None = None, options: Mapping[str, Any] | None = None) -> None:
        if not urls.is_url(url):
            raise ArgumentError("url", url, "pass the address of a remote directory, e.g. 's3://bucket/runs'")
        self._store = Store(os.fspath(url), options)
        self.url = self._store.url
        self._is_cache = into is None
        self.path = cache_directory(self.url, options) if into is None else Path(into)

    def update(self) -> Pass:
        """Copy what is new there, and delete what came from there and is gone; waits while another process does so.

        Event files of one directory appear in the order of their names, because TensorBoard goes on from one to the next.

        Raises:
            StoreError: the directory cannot be listed, or a file cannot be had; what could be had is there.
            OSError: the copy, or a file of it, cannot be written.
        """
        if self._is_cache:  # what may be read there is nothing for other users here
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)
        with self._locked(), CopiedFiles(self.path / f"{_OWN}.json") as known:
            remote = {name: stored for name, stored in self._store.list().items() if _is_wanted(name)}
            wanted = [name for name, stored in remote.items() if not (known.has(name, stored) and self._holds(name, stored))]
            shutil.rmtree(self.path / _PARTS, ignore_errors=True)  # of one that was killed
            size = self._copy({name: remote[name] for name in wanted}, known)
            gone = [name for name in known.names() if name not in remote]
            for name in gone:
                self._delete(name)
                known.forget(name)
        return Pass(len(wanted), size, len(gone), len(remote))

    def _copy(self, wanted: Mapping[str, Stored], known: CopiedFiles) -> int:
        """Download several files at the same time, and give them their names in order; return their bytes."""
        failed: dict[str, OSError] = {}
        size = 0
        parts = in_threads(self._download, wanted, _AT_ONCE if self._store.parallel else 1)
        try:
            for name, part in zip(wanted, parts, strict=True):
                folder = name.rpartition("/")[0]
                try:
                    arrived = part.result()
                    if arrived is not None and folder not in failed:
                        size += arrived.stat().st_size
                        settle(arrived, self.path / name, wanted[name].changed)
                        known.remember(name, wanted[name])
                except OSError as error:  # a StoreError, or e.g. a name that is too long here
                    failed.setdefault(folder, error)
        finally:
            for part in parts:
                part.cancel()
        if failed:
            raise next(iter(failed.values()))
        return size

    def _download(self, name: str) -> Path | None:
        """Return where a file has arrived, or None if it is gone since the directory was listed."""
        digest = hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=12).hexdigest()
        part = self.path / _PARTS / digest
        try:
            self._store.get(name, os.fspath(part))
        except StoreError:
            if self._store.stat(name) is None:
                return None
            raise
        return part

    def _holds(self, name: str, stored: Stored) -> bool:
        with contextlib.suppress(OSError):
            return (self.path / name).stat().st_size == stored.size
        return False

    def _delete(self, name: str) -> None:
        file = self.path / name
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == self.path:
                return
            try:
                folder.rmdir()
            except OSError:  # something else is in it
                return

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.path / f"{_OWN}.lock").open("w") as file:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


class Mirroring:
    """Updates a copy in the background, again and again; a context manager.

    Args:
        mirror: the copy.
        every: seconds between the end of a look and the next one.
        say: called with a sentence when something goes wrong that was not wrong at the look before, and when it is mended.

    Raises:
        ArgumentError: `every` is not a positive number.
    """

    def __init__(self, mirror: Mirror, every: float = 15.0, say: Callable[[str], None] = lambda _: None) -> None:
        if isinstance(every, bool) or not isinstance(every, (int, float)) or not every > 0:
            raise ArgumentError("every", every, "pass a number of seconds, e.g. 15")
        self._mirror, self._every, self._say = mirror, every, say
        self._wrong = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="multiboard-mirroring", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it; a look that has begun is left to itself after a second, and what it breaks off comes with the next one."""
        self._ended.set()
        self._thread.join(1.0)

    def _go_on(self) -> None:
        while not self._ended.wait(self._every):
            self._look()

    def _look(self) -> None:
        wrong = ""
        try:
            self._mirror.update()
        except Exception as error:  # noqa: BLE001  # whatever it was, the next look may find it mended
            wrong = str(error) or type(error).__name__
        with contextlib.suppress(Exception):  # e.g. an output that nobody reads any more
            if wrong and wrong != self._wrong:
                self._say(f"{wrong.rstrip('.')}. It is tried again every {self._every:g} s.")
            elif self._wrong and not wrong:
                self._say(f"{self._mirror.url}: reading goes on.")
        self._wrong = wrong


def mirror(url: str, into: str | os.PathLike[str] | None = None, options: Mapping[str, Any] | None = None) -> Path:
    """Copy what is new in a remote directory, and return the local directory; see `Mirror` for the arguments.

    Raises:
        StoreError: the directory cannot be listed, or a file cannot be had.
        ReadError: there is nothing to copy.
    """
    copy = Mirror(url, into, options)
    if not copy.update().total:
        raise ReadError(copy.url)
    return copy.path


def _is_wanted(name: str) -> bool:
    """Tell whether a file is one that is read, and has a name that cannot lead out of the copy."""
    path = PurePosixPath(name)
    if not path.parts or path.as_posix() != name or path.is_absolute() or ".." in path.parts or "\0" in name:
        return False
    if path.parts[0].startswith(_OWN):
        return False
    return "tfevents" in path.name or "plugins" in path.parts[:-1] or path.suffix in _PROJECTOR
