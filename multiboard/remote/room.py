"""The share of the local disk that the events of a run may take while they wait for their upload."""

from __future__ import annotations

import errno


class Room:
    """Counts the bytes of events in a spool; the writer thread takes, the uploader frees.

    Args:
        limit: bytes.
        used: bytes that are there already.

    Attributes:
        beside: bytes of other files, set by the uploader.
        lifted: there is room for all; set at the end of a run, where memory has to be emptied.
    """

    def __init__(self, limit: int, used: int = 0) -> None:
        self.beside, self.lifted = 0, False
        self._limit = limit
        self._taken, self._freed = used, 0  # one number per thread, so that neither needs a lock

    @property
    def used(self) -> int:
        """Bytes of events that are there."""
        return self._taken - self._freed

    def take(self, size: int) -> None:
        """Count bytes before they are written. Where nothing waits there is room for any number.

        Raises:
            OSError: there is no room for them.
        """
        used = self.used
        if not self.lifted and used > 0 and used + self.beside + size > self._limit:
            raise OSError(errno.ENOSPC, f"spool_bytes={self._limit} wait for their upload")
        self._taken += size

    def give_back(self, size: int) -> None:
        """Take bytes from the count that were not written after all."""
        self._taken -= size

    def free(self, size: int) -> None:
        """Take bytes from the count that are no longer there."""
        self._freed += size
