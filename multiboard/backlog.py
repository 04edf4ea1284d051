"""Framed records on their way to the disk: written in slices, and kept in memory while the disk refuses them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.files import EventFile
    from multiboard.reports import Reports

SLICE_BYTES: Final = 2**20
"""Bytes from which on records are written without waiting for the next flush."""


class Backlog:
    """Holds framed records of one file until they are in it. Its size has no limit: the writer stops adding.

    Args:
        file: takes the records.
        reports: receives what the disk refuses.

    Attributes:
        size: bytes held.
    """

    def __init__(self, file: EventFile, reports: Reports) -> None:
        self.size = 0
        self._file = file
        self._reports = reports
        self._frames: deque[tuple[bytes, int]] = deque()
        self._refused = False

    def add(self, framed: bytes, records: int = 1) -> None:
        """Hold framed records, and write when a slice is full.

        Args:
            framed: one or more framed records.
            records: how many.
        """
        self._frames.append((framed, records))
        self.size += len(framed)
        if self.size >= SLICE_BYTES and not self._refused:  # a disk that refuses is asked again at the next flush only
            self.flush()

    def flush(self) -> bool:
        """Write what is held; tell whether nothing is left."""
        self._refused = False
        while self._frames and not self._refused:
            self._write_slice()
        return not self._frames

    def _write_slice(self) -> None:
        count, size = 0, 0
        for framed, _ in self._frames:
            count, size = count + 1, size + len(framed)
            if size >= SLICE_BYTES:
                break
        try:
            self._file.append(b"".join(self._frames[i][0] for i in range(count)))
        except OSError as error:
            self._refused = True
            self._reports.add(
                f"write failed: {error.strerror}",
                f"{self._file.path} cannot be written ({error.strerror}); values stay in memory and are written when it can.",
            )
        else:
            self.size -= size
            for _ in range(count):
                self._frames.popleft()

    def continue_in(self, file: EventFile) -> None:
        """Write what is held and what comes to another file."""
        self._file = file

    def change(self, convert: Callable[[bytes], bytes]) -> None:
        """Convert all framed records that are held, and write none before the next flush."""
        self._frames = deque((convert(framed), records) for framed, records in self._frames)
        self.size = sum(len(framed) for framed, _ in self._frames)
        self._refused = True

    def close(self, *, possible: bool = True) -> None:
        """Write what can be written; say how many records are lost.

        Args:
            possible: False if there is no file to write to.
        """
        if not (self.flush() if possible else not self._frames):
            lost = sum(records for _, records in self._frames)
            self._reports.add("records lost", f"{lost} records for {self._file.path} could not be written before the end.")

    def clear(self) -> None:
        """Forget everything held."""
        self._frames.clear()
        self.size = 0
