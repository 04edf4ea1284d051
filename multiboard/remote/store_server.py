"""The other side of `multiboard.remote.store_process`: works on stores for the process that has started this one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any, Final

from multiboard.remote.store import Store

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
                connection = Connection(reduction.recv_handle(control))
                threading.Thread(target=_answer, args=(connection,), daemon=True).start()
    os._exit(0)  # whatever is under way is of no use any more


def _answer(connection: Connection) -> None:
    while True:
        try:
            method, number, arguments, forgotten = connection.recv()
        except (EOFError, OSError):
            return
        for old in forgotten:
            _stores.pop(old, None)
        try:
            answer = False, _call(method, number, arguments)
        except Exception as error:  # noqa: BLE001  # raised in the other process
            answer = True, error
        connection.send(answer)


def _call(method: str, number: int, arguments: tuple[Any, ...]) -> Any:
    if method == "open":
        _stores[number] = _open(*arguments)
        return None
    return getattr(_stores[number], method)(*arguments)


def _open(url: str, options: dict[str, Any] | None, environment: dict[str, str], configuration: dict[str, Any]) -> Store:
    """Open a store where everything is set as it is in the other process."""
    for name in os.environ.keys() - environment.keys():  # not all at once: another store may be looking for its credentials
        del os.environ[name]
    os.environ.update(environment)
    if configuration:
        import fsspec.config

        fsspec.config.conf.update(configuration)
    return Store(url, options)
