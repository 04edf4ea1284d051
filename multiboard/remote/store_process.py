"""Stores that work in a process of their own, beside the one that trains.

Python's garbage collector passes over all objects of a process, and the libraries of object stores have a hundred thousand of
them: in the process that trains, its loop would pay for these, and wait while the libraries have their turn of the interpreter.
The bytes of files do not pass here: the other process reads them, and answers what was listed or what went wrong.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import weakref
from itertools import count
from multiprocessing import reduction
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any, Final

from multiboard import urls
from multiboard.remote.store import Store, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from multiboard.remote.store import Stored

    AnyStore: TypeAlias = "Store | DistantStore"
    Settings: TypeAlias = tuple[dict[str, Any], dict[str, Any]] | None

_LIGHT: Final = ("file", "local", "memory")
"""Protocols without a library; what lies in the memory of this process can be reached in it only."""
_PROGRAM: Final = "import sys; sys.path[:] = sys.argv[1:]; from multiboard.remote.store_server import serve; serve()"


def open_store(url: str, options: Mapping[str, Any] | None) -> AnyStore:
    """Open a remote directory, in a process of its own if that is possible.

    Args:
        url: of the directory.
        options: storage options of fsspec.

    Raises:
        ArgumentError: fsspec knows no such protocol, or `options` is something else, or wrong.
        MissingFrameworkError: fsspec, or the package of the protocol, is not installed.
    """
    if not _is_light(url) and _can_start() and _can_send((options, _settings())):
        with contextlib.suppress(StoreProcessEndedError, NotSentError):  # e.g. there is no memory for another process
            return DistantStore(url, options)
    return Store(url, options)


def _is_light(url: str) -> bool:
    """Tell whether a place needs no library, or one that only this program has."""
    return urls.scheme(url) in _LIGHT or any(_is_made_here(link.partition("://")[0]) for link in url.split("::"))


def _is_made_here(protocol: str) -> bool:
    """Tell whether the program has told fsspec of a class of its own for a protocol."""
    fsspec: Any = sys.modules.get("fsspec.registry")
    made = fsspec.registry.get(protocol) if fsspec is not None else None
    known = fsspec.known_implementations.get(protocol, {}).get("class", "") if made is not None else ""
    return made is not None and made.__module__.partition(".")[0] != known.partition(".")[0]


def _can_start() -> bool:
    """Tell whether Python itself can be started, and not a program that Python is a part of."""
    name = os.path.basename(sys.executable or "")
    return name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False) and reduction.HAVE_SEND_HANDLE


def _can_send(anything: object) -> bool:
    try:
        pickle.dumps(anything)
    except Exception:  # noqa: BLE001  # e.g. an open session, whose pickling may do anything
        return False
    return True


def _settings() -> Settings:
    """Return what the program has set for file systems: their options, and their classes by protocol."""
    configuration: Any = sys.modules.get("fsspec.config")
    registry: Any = sys.modules.get("fsspec.registry")
    try:
        return dict(configuration.conf), dict(registry.known_implementations)
    except AttributeError:  # it is not imported, or not yet
        return None


class NotSentError(Exception):
    """Something that the other process cannot make again, e.g. a function of the program."""


class StoreProcessEndedError(Exception):
    """The process of the stores has ended, or could not be started."""


class DistantStore:
    """A remote directory, with the methods of a `Store` that a run needs; they work in the other process.

    Can be used from several threads. If the other process was killed, the call says so, and the next one starts another.

    Args:
        url: of the directory.
        options: storage options of fsspec, which can be pickled.

    Attributes:
        url: without credentials.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None) -> None:
        self.url = urls.shown(url)
        self._address, self._options = url, options
        self._opening = threading.Lock()
        self._process: StoreProcess | None = None
        self._number = -1
        self._open()

    def __repr__(self) -> str:
        return f"DistantStore({self.url!r})"

    def put(self, local: str, name: str) -> None:
        """Upload a file; see `Store.put`."""
        self._call("put", name, os.path.abspath(local), name)

    def get(self, name: str, local: str) -> None:
        """Download a file; see `Store.get`."""
        self._call("get", name, name, os.path.abspath(local))

    def list(self) -> dict[str, Stored]:
        """Return all files by relative name; see `Store.list`."""
        found: dict[str, Stored] = self._call("list", "")
        return found

    def stat(self, name: str) -> Stored | None:
        """Return what a file is, or None; see `Store.stat`."""
        found: Stored | None = self._call("stat", name, name)
        return found

    def _call(self, method: str, name: str, *arguments: str) -> Any:
        try:
            return self._open().call(method, self._number, *arguments)
        except StoreProcessEndedError:
            reason = "the process that talks to it was killed, e.g. for its memory; the next attempt starts another."
            raise StoreError(method, urls.join(self.url, name), "ProcessEnded", reason, lasting=False) from None

    def _open(self) -> StoreProcess:
        with self._opening:
            process = store_process()
            if process is not self._process:
                self._number = next(_numbers)
                process.call("open", self._number, self._address, self._options, dict(os.environ), _settings())
                weakref.finalize(self, process.forgotten.append, self._number).atexit = False
                self._process = process
            return process


_numbers: Final = count()


class StoreProcess:
    """A process that works on stores; it ends with this one.

    Attributes:
        forgotten: numbers of stores that nobody uses any more.

    Raises:
        StoreProcessEndedError: it could not be started.
    """

    def __init__(self) -> None:
        self.forgotten: list[int] = []
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._failed = False
        try:
            self._control, theirs = Pipe()
            with theirs:
                command = [sys.executable, "-c", _PROGRAM, *map(str, sys.path)]
                self._process = _Lasting(command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:
            raise StoreProcessEndedError from error

    @property
    def alive(self) -> bool:
        """Whether it has answered so far."""
        return not self._failed and self._process.poll() is None

    def call(self, method: str, number: int, *arguments: Any) -> Any:
        """Let the other process call a method of a store; raise what it raises there.

        Args:
            method: of `Store`, or "open".
            number: of the store.
            arguments: of the method.

        Raises:
            StoreProcessEndedError: there is no answer.
        """
        connection = self._connection()
        try:
            connection.send((method, number, arguments, self._take_forgotten()))
            failed, answer = connection.recv()
        except (OSError, EOFError) as error:
            self._connections.discard(connection)
            connection.close()
            self._failed = True
            raise StoreProcessEndedError from error
        self._idle.append(connection)
        if failed:
            raise answer
        return answer

    def _connection(self) -> Connection:
        """Return a connection that is free: each serves one call at a time."""
        with contextlib.suppress(IndexError):
            return self._idle.pop()
        try:
            connection, theirs = Pipe()
            with theirs:
                self._connections |= {connection, theirs}  # a child that is forked now has both
                reduction.send_handle(self._control, theirs.fileno(), self._process.pid)
            self._connections.discard(theirs)
        except OSError as error:
            self._failed = True
            raise StoreProcessEndedError from error
        return connection

    def _take_forgotten(self) -> list[int]:
        taken = self.forgotten[:]
        del self.forgotten[: len(taken)]
        return taken

    def end(self) -> None:
        """End the process, which is of no use any more; calls that are under way fail."""
        self._process.kill()
        self._process.wait()
        self._control.close()
        for connection in self._idle:
            connection.close()

    def let_go(self) -> None:
        """Close the copies of all connections that a forked process has got."""
        self._control.close()
        for connection in self._connections:
            connection.close()


class _Lasting(subprocess.Popen[bytes]):
    """A process that ends when this one does, which is nothing to warn of."""

    def __del__(self, *_: object) -> None:
        pass


_starting = threading.Lock()
_current: StoreProcess | None = None


def store_process() -> StoreProcess:
    """Return the process of the stores; start one if there is none.

    Raises:
        StoreProcessEndedError: it could not be started.
    """
    global _current  # noqa: PLW0603
    with _starting:
        if _current is None or not _current.alive:
            if _current is not None:
                _current.end()
            _current = StoreProcess()
        return _current


def _leave_to_parent() -> None:
    """Let go of the process in a forked child, which would keep it alive."""
    global _current, _starting  # noqa: PLW0603
    _starting = threading.Lock()
    if _current is not None:
        _current.let_go()
        _current = None


os.register_at_fork(after_in_child=_leave_to_parent)
