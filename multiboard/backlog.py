"""Framed records on their way to the disk: written in slices, and kept in memory while the disk refuses them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multiboard.files import EventFile
    from multiboard.reports import Reports

BACKLOG_BYTES: Final = 256 * 2**20
"""Bytes kept while the disk refuses them; the oldest records go first, and are counted."""
SLICE_BYTES: Final = 2**20
"""Bytes from which on records are written without waiting for the next flush."""


class Backlog:
    """Holds framed records of one file until they are in it.

    Args:
        file: takes the records.
        reports: receives what the disk refuses.
        limit: bytes to hold at most.
    """

    def __init__(self, file: EventFile, reports: Reports, limit: int = BACKLOG_BYTES) -> None:
        self._file = file
        self._reports = reports
        self._limit = limit
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._refused = False

    def add(self, framed: bytes) -> bool:
        """Hold one or more framed records, and write when a slice is full.

        Returns:
            Whether all that was ever added is in the file or still held; False if records had to go now.
        """
        self._frames.append(framed)
        self._size += len(framed)
        if self._size >= SLICE_BYTES and not self._refused:  # a disk that refuses is asked again at the next flush only
            self.flush()
        return self._keep_limit()

    def flush(self) -> bool:
        """Write what is held; tell whether nothing is left."""
        self._refused = False
        while self._frames and not self._refused:
            self._write_slice()
        return not self._frames

    def _write_slice(self) -> None:
        count, size = 0, 0
        for framed in self._frames:
            count, size = count + 1, size + len(framed)
            if size >= SLICE_BYTES:
                break
        try:
            self._file.append(b"".join(self._frames[i] for i in range(count)))
        except OSError as error:
            self._refused = True
            self._reports.add(
                f"write failed: {error.strerror}",
                f"{self._file.path} cannot be written ({error.strerror}); values stay in memory and are written when it can.",
            )
        else:
            self._size -= size
            for _ in range(count):
                self._frames.popleft()

    def _keep_limit(self) -> bool:
        kept_all = True
        while self._size > self._limit:
            self._size -= len(self._frames.popleft())
            kept_all = False
            message = f"records for {self._file.path} are dropped: the disk refuses them and memory is full."
            self._reports.add("record dropped", message)
        return kept_all

    def close(self) -> None:
        """Write what can be written; say how many records are lost."""
        if not self.flush():
            self._reports.add(
                "records lost",
                f"{len(self._frames)} records for {self._file.path} could not be written before the end.",
            )

    def clear(self) -> None:
        """Forget everything held."""
        self._frames.clear()
        self._size = 0
