"""One file after the other from a spool to its store; what is there already is not sent again."""

from __future__ import annotations

import os
from operator import itemgetter
from typing import TYPE_CHECKING

from multiboard.remote.attachments import Attachments, signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.remote.spool import Spool
    from multiboard.remote.store_process import AnyStore


def is_refused(error: Exception) -> bool:
    """Tell whether a store has refused one thing, and may take others; else it cannot be reached."""
    return bool(getattr(error, "lasting", False))


class Sender:
    """Sends the files of spools.

    Args:
        store: where they go.
        freed: called with the bytes of every segment that is gone from the disk.

    Attributes:
        stopped: set by another thread, so that no further file is begun.
    """

    def __init__(self, store: AnyStore, freed: Callable[[int], object] | None = None) -> None:
        self.stopped = False
        self._store, self._freed = store, freed
        self._attempted = ""

    def send_spool(self, spool: Spool) -> None:
        """Send all of a spool whose process has ended, and delete it.

        Raises:
            OSError: something did not arrive; the rest is still in the spool.
        """
        self.send_segments([spool])
        self.send_attachments(spool, Attachments(spool), final=True)
        spool.remove()

    def send_segments(self, spools: list[Spool]) -> None:
        """Send and delete the segments of spools whose processes have ended; some may have arrived before.

        Raises:
            OSError: one did not arrive.
        """
        found = [(os.path.basename(segment), segment, spool) for spool in spools for segment in spool.segments()]
        for _, segment, spool in sorted(found, key=itemgetter(0)):  # the clock may have been set back between the spools
            self.send_segment(spool, segment, os.path.getsize(segment), may_be_there=True)

    def send_segment(self, spool: Spool, path: str, size: int, *, may_be_there: bool = False) -> bool:
        """Send a segment and delete it; tell whether it was there.

        Args:
            spool: in which it lies.
            path: of the segment.
            size: in bytes.
            may_be_there: ask first whether it has arrived before.

        Raises:
            OSError: it did not arrive.
        """
        self._check()
        there = True
        try:
            asks, self._attempted = may_be_there or self._attempted == path, path
            self._put(path, spool.relative(path), size, asks=asks)
            os.unlink(path)
        except OSError:
            if os.path.exists(path):
                raise
            there = False
        if self._freed is not None:
            self._freed(size)
        return there

    def _put(self, path: str, name: str, size: int, *, asks: bool) -> None:
        stored = self._store.stat(name) if asks else None  # the answer to an upload may have got lost
        if stored is None or stored.size != size:
            self._store.put(path, name)

    def send_attachments(self, spool: Spool, attachments: Attachments, *, final: bool) -> None:
        """Send the files beside the events that are new or have changed.

        Args:
            spool: in which they lie.
            attachments: knows them.
            final: nobody writes them any more.

        Raises:
            OSError: one did not arrive; of those that are refused, after the others.
        """
        refused = None
        for path in attachments.changed(final=final):
            self._check()
            try:
                before = signature(path)
                self._store.put(path, spool.relative(path))
            except OSError as error:
                if not os.path.exists(path):
                    continue
                if not is_refused(error):
                    raise
                refused = error
            else:
                attachments.note_sent(path, before)
        if refused is not None:
            raise refused

    def _check(self) -> None:
        if self.stopped:
            raise InterruptedError("the run has ended")
