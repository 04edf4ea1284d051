"""Sets of time: unions of intervals, and how much of them lies in others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


class Cover:
    """The union of intervals.

    Args:
        intervals: beginnings and ends, in any order and unit; those that end before they begin are empty.
    """

    def __init__(self, intervals: Iterable[tuple[int, int]]) -> None:
        pairs = np.array(list(intervals), dtype=np.int64).reshape(-1, 2)
        self.begins, self.ends = _merged(pairs[pairs[:, 1] > pairs[:, 0]])
        self._before = np.concatenate([[0], np.cumsum(self.ends - self.begins)])

    def within(self, others: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
        """Return how much of each of other intervals is covered.

        >>> Cover([(0, 4), (2, 6), (8, 9)]).within([(1, 3), (5, 20)]).tolist()
        [2, 2]
        """
        pairs = np.array(others, dtype=np.int64).reshape(-1, 2)
        return self._until(pairs[:, 1]) - self._until(pairs[:, 0])

    def _until(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how much is covered before each of some times."""
        if not len(self.begins):
            return np.zeros(len(times), dtype=np.int64)
        last = np.searchsorted(self.begins, times, side="right") - 1
        inside = np.minimum(times, self.ends[last]) - self.begins[last]
        return np.where(last < 0, 0, self._before[np.maximum(last, 0)] + inside)


def _merged(pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return beginnings and ends of the union, sorted and apart."""
    if not len(pairs):
        return pairs[:, 0], pairs[:, 1]
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    reached = np.maximum.accumulate(pairs[:, 1])
    first = np.concatenate([[True], pairs[1:, 0] > reached[:-1]])
    last = np.concatenate([first[1:], [True]])
    return pairs[first, 0], reached[last]


def self_times(intervals: Sequence[tuple[int, int]]) -> list[int]:
    """Return how long each of nested intervals is without those inside it.

    Args:
        intervals: beginnings and ends, of one thread, sorted by beginning and then the longest first. One that reaches beyond
            the one that it begins in counts there as far as it is inside.

    >>> self_times([(0, 10), (1, 4), (2, 3), (5, 6)])
    [6, 2, 1, 1]
    """
    own = [end - begin for begin, end in intervals]
    outer: list[int] = []
    for i, (begin, end) in enumerate(intervals):
        while outer and intervals[outer[-1]][1] <= begin:
            outer.pop()
        if outer:
            own[outer[-1]] -= min(end, intervals[outer[-1]][1]) - begin
        outer.append(i)
    return [max(0, time) for time in own]
