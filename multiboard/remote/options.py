"""How a run on a URL is kept and uploaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from multiboard.errors import ArgumentError


@dataclass(frozen=True, slots=True, repr=False)
class RemoteOptions:
    """Where the values of a run on a URL wait for their upload, and when they are uploaded.

    Attributes:
        storage_options: what fsspec takes for the protocol, e.g. `{"key": ..., "secret": ...}`; never written to a file. None
            leaves it to the environment.
        spool: local directory in which runs wait for their upload, each in a directory of its own. None is `$MULTIBOARD_SPOOL`,
            else `$XDG_STATE_HOME/multiboard/spool`, else `~/.local/state/multiboard/spool`.
        spool_bytes: of the local disk that the events of a run may take. Beyond it they wait in memory, and the run thins out
            as it does when a disk is full, until uploads make room.
        upload_every: seconds between two uploads at the beginning of a run; later it is a fiftieth of the age of the run, so
            that a long run becomes some hundred files.
        close_timeout: seconds that the end of a run waits for its last upload.

    Raises:
        ArgumentError: one of them is not one of the possible ones.

    Example:
        >>> RemoteOptions(upload_every=5).close_timeout
        60.0
    """

    storage_options: Mapping[str, Any] | None = None
    spool: str | os.PathLike[str] | None = None
    spool_bytes: int = 10 * 10**9
    upload_every: float = 15.0
    close_timeout: float = 60.0

    def __post_init__(self) -> None:
        if self.storage_options is not None and not isinstance(self.storage_options, Mapping):
            raise ArgumentError("storage_options", type(self.storage_options), "pass a mapping, or None")
        if self.spool is not None and not isinstance(self.spool, (str, os.PathLike)):
            raise ArgumentError("spool", self.spool, "pass the path of a local directory, or None")
        for name in ("spool_bytes", "upload_every", "close_timeout"):
            value = getattr(self, name)
            positive = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value) and value > 0
            if not positive and not (name == "close_timeout" and value == 0):
                raise ArgumentError(name, value, "pass a positive number")

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("spool", "spool_bytes", "upload_every", "close_timeout"))
        return f"RemoteOptions({shown})"

    @property
    def spool_root(self) -> str:
        """The directory of all spools, which need not exist."""
        return spool_root(self.spool)


def spool_root(spool: str | os.PathLike[str] | None = None) -> str:
    """Return the directory of all spools.

    Args:
        spool: if the user has named it.
    """
    chosen = os.fspath(spool) if spool is not None else os.environ.get("MULTIBOARD_SPOOL")
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen))
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(os.path.abspath(state), "multiboard", "spool")


def remote_options(remote: RemoteOptions | Mapping[str, Any] | None) -> RemoteOptions:
    """Return the argument `remote` of a run as options; a mapping is the storage options.

    Raises:
        ArgumentError: it is something else.
    """
    if remote is None or isinstance(remote, RemoteOptions):
        return remote or RemoteOptions()
    if isinstance(remote, Mapping):
        return RemoteOptions(storage_options=remote)
    raise ArgumentError("remote", type(remote), "pass multiboard.RemoteOptions(...), or a mapping with storage options of fsspec")
