"""What a local copy of a remote directory holds, and how a file takes its place there."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from pathlib import Path

    from multiboard.remote.store import Stored

_CHUNK: Final = 1 << 20
_SAVED_EVERY: Final = 5.0
"""Seconds; what was copied after the last save is copied again if the process is killed."""


class CopiedFiles:
    """The files that came from a remote directory, by name; kept in a JSON file, `{name: [size, version]}`.

    Args:
        path: of the JSON file; one that is missing or damaged counts as empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[str, tuple[int, str]] = {}
        self._saved_at = time.monotonic()
        self._changed = False

    def __enter__(self) -> Self:
        try:
            written = json.loads(self._path.read_text(encoding="utf-8"))
            self._files = {name: (int(size), str(version)) for name, (size, version) in written.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._files = {}
        return self

    def __exit__(self, *_: object) -> None:
        if self._changed:
            self._save()

    def names(self) -> list[str]:
        """Return the names of all files."""
        return list(self._files)

    def has(self, name: str, stored: Stored) -> bool:
        """Tell whether a file was copied as it is now."""
        return self._files.get(name) == (stored.size, stored.version)

    def remember(self, name: str, stored: Stored) -> None:
        """Note that a file is there."""
        self._files[name] = stored.size, stored.version
        self._changed = True
        if time.monotonic() - self._saved_at > _SAVED_EVERY:
            self._save()

    def forget(self, name: str) -> None:
        """Note that a file is gone."""
        self._files.pop(name, None)
        self._changed = True

    def _save(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._files), encoding="utf-8")
        new.replace(self._path)
        self._changed, self._saved_at = False, time.monotonic()


def settle(arrived: Path, target: Path, changed: float = 0.0) -> None:
    """Give a file that has arrived its name.

    An event file that has grown is continued in place: TensorBoard keeps it open, and would not see another one of its name.

    Args:
        arrived: the file, on the same disk as `target`; it is gone afterwards.
        target: may exist, its directory may not.
        changed: the time of the change that `target` gets, seconds since the epoch; 0 leaves it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if "tfevents" in target.name and _begins_with(arrived, target):
        with arrived.open("rb") as source, target.open("ab") as end:
            source.seek(end.tell())
            while chunk := source.read(_CHUNK):
                end.write(chunk)
        arrived.unlink()
    else:
        arrived.replace(target)
    if changed:
        os.utime(target, (changed, changed))


def _begins_with(arrived: Path, target: Path) -> bool:
    """Tell whether a file holds all that another one does, and more."""
    try:
        size = target.stat().st_size
    except OSError:
        return False
    if not 0 < size <= arrived.stat().st_size:
        return False
    with arrived.open("rb") as new, target.open("rb") as old:
        while chunk := old.read(_CHUNK):
            if new.read(len(chunk)) != chunk:
                return False
    return True
