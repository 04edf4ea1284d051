"""How much may wait in memory or lie on the disk, and the one rule by which values thin out when it gets full."""

from __future__ import annotations

from collections import Counter
from typing import Final

from multiboard.forks import ForkableLock

MEMORY_BYTES: Final = 256 * 2**20
"""Bytes that wait for the writer by default."""
_BULKY_SHARE: Final = 0.75
"""Share of the memory that everything but scalars may take: scalars go last."""
_WHOLE_SHARE: Final = 0.5
"""Share of that in which values wait as they are; from there on those that can be made small are."""
_FULL_SHARE: Final = 0.25
"""Share of the same that fills before values are thinned out: room for those that were made small."""
_SMALLEST_QUEUE: Final = 1024
"""Scalar calls that are always taken."""


def stride(size: int, used: float, limit: float) -> int:
    """Return of how many values one is kept: the fuller, the rarer.

    All while less than half is used, every 2nd up to three quarters, every 4th up to seven eighths, and so on; so a run of any
    length keeps values from its beginning to its end, and never more than the limit.

    Args:
        size: of the value, bytes.
        used: bytes used already; below 0 there is room beside the limit.
        limit: bytes to use at most.

    Returns:
        0 if the value does not fit.

    >>> [stride(1, used, 100) for used in (-20, 0, 49, 50, 75, 88, 100)]
    [1, 1, 1, 2, 4, 8, 0]
    """
    free = limit - used
    return 0 if size > free else 1 << (int(max(limit / free, 1)).bit_length() - 1)


class Thinning:
    """Keeps of each tag one value in so many."""

    def __init__(self) -> None:
        self._offered: Counter[object] = Counter()

    def keeps(self, tag: object, size: int, used: float, limit: float) -> bool:
        """Count a value of a tag; tell whether it is to be kept. Arguments as in `stride`."""
        number = self._offered[tag]
        self._offered[tag] += 1
        every = stride(size, used, limit)
        return every > 0 and number % every == 0


class MemoryBudget:
    """The memory of one run and its children: values that wait for the writer, and records that the disk refuses.

    Args:
        limit: bytes; what is held beside it is small and does not grow.
    """

    def __init__(self, limit: int = MEMORY_BYTES) -> None:
        self.limit = limit
        self.backlog = 0
        self._taken, self._given_back = 0, 0
        self._thinning = Thinning()
        self._lock = ForkableLock()  # of the callers; the writer takes it nowhere, so that a signal handler can wait for it

    @property
    def backlog_is_full(self) -> bool:
        """Whether the records that the disk refuses take half of the memory: the other half is for what is logged next."""
        return self.backlog > self.limit / 2

    def _used(self, scalars: int = 0) -> int:
        return self._taken - self._given_back + self.backlog + scalars

    def take(self, tag: object, size: int, scalars: int) -> bool:
        """Reserve memory for one value that is no scalar, if its turn in the thinning has come and it fits.

        Args:
            tag: of the value.
            size: of the value, bytes.
            scalars: bytes of the scalars that wait.
        """
        with self._lock.current:
            limit = self.limit * _BULKY_SHARE
            unseen = limit * _FULL_SHARE
            kept = self._thinning.keeps(tag, size, self._used(scalars) - unseen, limit - unseen)
            self._taken += size * kept
        return kept

    def take_if_free(self, size: int, scalars: int) -> bool:
        """Reserve memory for one value without thinning; arguments as in `take`."""
        with self._lock.current:
            fits = size + self._used(scalars) <= self.limit * _BULKY_SHARE
            self._taken += size * fits
        return fits

    def is_filling(self, size: int, scalars: int) -> bool:
        """Tell whether a value should be made small, if it can; arguments as in `take`."""
        return size + self._used(scalars) > self.limit * _BULKY_SHARE * _WHOLE_SHARE

    def always_take(self, size: int) -> None:
        """Reserve memory for a value that there is once in a run."""
        with self._lock.current:
            self._taken += size

    def give_back(self, size: int) -> None:
        """Free what a value has reserved; for the writer only."""
        self._given_back += size

    def could_hold(self, size: int) -> bool:
        """Tell whether a value fits into an empty memory."""
        return size <= self.limit * _BULKY_SHARE

    def scalar_calls(self, call_bytes: int, lanes: int) -> int:
        """Return how many calls with scalars may wait now in one of some lanes.

        Args:
            call_bytes: that one of them takes.
            lanes: that share the memory.
        """
        return max(_SMALLEST_QUEUE, (self.limit - self._used()) // (call_bytes * lanes))
