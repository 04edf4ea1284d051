"""The other side of `multiboard.remote.store_process`: works on stores for the process that has started this one."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from multiboard.remote.store import Store
from multiboard.remote.store_process import NotSentError

if TYPE_CHECKING:
    from multiboard.remote.store_process import Settings

_LOOK_EVERY: Final = 1.0
"""Seconds between two looks whether the other process lives: one that it has forked may hold its end of the connection."""
_NICENESS: Final = 5
_stores: Final[dict[int, Store]] = {}


def serve() -> None:
    """Answer the process that has started this one, until it ends; its connections come through the standard input.

    Signals that end a whole job are left to the other process, which may have something to upload.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parent = os.getppid()
    os.nice(_NICENESS)
    control = Connection(0)
    with contextlib.suppress(EOFError, OSError):
        while os.getppid() == parent:
            if control.poll(_LOOK_EVERY):
                threading.Thread(target=_serve, args=(Connection(reduction.recv_handle(control)),), daemon=True).start()
    os._exit(0)  # whatever is under way is of no use any more


def _serve(connection: Connection) -> None:
    with connection, contextlib.suppress(EOFError, OSError):
        while True:
            connection.send_bytes(_answer(connection.recv_bytes()))


def _answer(request: bytes) -> bytes:
    """Return the answer to a request: whether it failed, and what it returns or raises there."""
    try:
        method, number, arguments, forgotten = pickle.loads(request)  # noqa: S301  # of the process that has started this one
    except Exception as error:  # noqa: BLE001  # e.g. a function of a program that is not imported here
        return pickle.dumps((True, NotSentError(str(error))))
    for old in forgotten:
        _stores.pop(old, None)
    try:
        answer = False, _call(method, number, arguments)
    except Exception as error:  # noqa: BLE001  # raised in the other process
        answer = True, error
    try:
        return pickle.dumps(answer)
    except Exception as error:  # noqa: BLE001
        return pickle.dumps((True, NotSentError(str(error))))


def _call(method: str, number: int, arguments: tuple[Any, ...]) -> Any:
    if method == "open":
        _stores[number] = _open(*arguments)
        return None
    return getattr(_stores[number], method)(*arguments)


def _open(url: str, options: dict[str, Any] | None, environment: dict[str, str], settings: Settings) -> Store:
    """Open a store where everything is set as it is in the other process."""
    for name in os.environ.keys() - environment.keys():  # not all at once: another store may be looking for its credentials
        os.environ.pop(name, None)
    os.environ.update(environment)
    if settings is not None:
        from fsspec.config import conf
        from fsspec.registry import known_implementations

        conf.update(settings[0])
        known_implementations.update(settings[1])
    return Store(url, options)
