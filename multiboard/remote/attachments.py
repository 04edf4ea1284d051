"""Files of a run that are no segments: profiles, projector files, whatever else appears in its directory.

They are uploaded when they are whole, again when they have changed, and stay until the run is closed.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING, Final

from multiboard.remote.segments import is_own

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.remote.spool import Spool

PROJECTOR_CONFIG: Final = "projector_config.pbtxt"
_SETTLED: Final = 2.0
"""Seconds without a change after which a file that grows under its own name counts as whole."""
_TEMPORARY: Final = re.compile(r"^\.|\.(?:part|tmp|temp|partial)$")


class Attachments:
    """Knows which files beside the events have arrived.

    Args:
        spool: in which they lie.

    Attributes:
        size: bytes of all of them at the last look.
    """

    def __init__(self, spool: Spool) -> None:
        self.size = 0
        self._spool = spool
        self._sent = spool.sent()

    def changed(self, *, final: bool = False) -> list[str]:
        """Return the paths of the files that are whole and have not arrived as they are now.

        Args:
            final: nobody writes them any more.
        """
        found, self.size = [], 0
        for path in self._paths():
            try:
                now = signature(path)
            except OSError:
                continue
            self.size += now[0]
            settled = final or time.time() - now[1] / 1e9 > _SETTLED
            if settled and self._sent.get(self._spool.relative(path)) != now:
                found.append(path)
        return found

    def _paths(self) -> Iterator[str]:
        for folder, _, names in os.walk(self._spool.log_dir):
            for name in sorted(names):
                path = os.path.join(folder, name)
                if not _TEMPORARY.search(name) and not is_own(name, self._spool.about.token) and os.path.isfile(path):
                    yield path

    def note_sent(self, path: str, before: tuple[int, int]) -> None:
        """Remember that a file has arrived; one that has changed meanwhile has not.

        Args:
            path: of the file.
            before: size and time of change in ns, from before it was sent.
        """
        name = self._spool.relative(path)
        self._sent[name] = before
        self._spool.note_sent(name, *before)


def signature(path: str) -> tuple[int, int]:
    """Return size and time of change in ns of a file.

    Raises:
        OSError: it is gone.
    """
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def projector_configs(spools: list[Spool]) -> dict[str, bytes]:
    """Return the lists of embeddings that wait in some spools, by their names in the store; those of later spools win."""
    found = {}
    for spool in spools:
        for path in Attachments(spool).changed(final=True):
            if os.path.basename(path) == PROJECTOR_CONFIG:
                with contextlib.suppress(OSError), open(path, "rb") as file:
                    found[spool.relative(path)] = file.read()
    return found
