"""Runs whose directory is remote: written through a local spool, read through a local mirror.

Imported only when a URL is used; fsspec is imported by `multiboard.remote.store` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multiboard.remote.options import RemoteOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard.event_writer import FileSettings
    from multiboard.remote.destination import RemoteDestination

__all__ = ["RemoteOptions", "open_destination"]


def open_destination(url: str, settings: FileSettings, remote: RemoteOptions | Mapping[str, Any] | None) -> RemoteDestination:
    """Open the spool of a run on a URL.

    Args:
        url: of the run directory.
        settings: of the event files.
        remote: options, or the storage options alone.

    Returns:
        The local directory, what opens the sinks for it and for child runs below it, and the URL as it may be shown.

    Raises:
        ArgumentError: an option is not one of the possible ones, or fsspec knows no such protocol.
        MissingFrameworkError: fsspec or the package of the protocol is not installed.
        LogDirError: the spool cannot be written.
    """
    from multiboard.remote.destination import open_destination as open_spooled

    return open_spooled(url, settings, remote)
