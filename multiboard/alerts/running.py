"""The median of the last values of a series, and how far they lie around it."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from typing import Final

_TO_SIGMA: Final = 1.4826
"""Of a normal distribution the median absolute deviation times this is the standard deviation."""


class RunningMedian:
    """The last finite numbers of a series: adding one costs about a microsecond.

    Args:
        size: how many are kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._in_order: deque[float] = deque()
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, value: float) -> None:
        """Take a finite number; the oldest one is forgotten if there are more than `size`."""
        self._in_order.append(value)
        insort(self._sorted, value)
        if len(self._in_order) > self._size:
            oldest = self._in_order.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]

    @property
    def smallest(self) -> float:
        """The smallest number."""
        return self._sorted[0]

    @property
    def median(self) -> float:
        """The middle one, of an even number the larger one in the middle."""
        return self._sorted[len(self._sorted) // 2]

    def spread(self) -> float:
        """Return the median distance from the median, as a standard deviation.

        Reference: Hampel, The influence curve and its role in robust estimation, 1974.
        """
        return _spread(self._sorted, self.median)

    def log_spread(self) -> float:
        """Return the same for the logarithms of the numbers, which are positive."""
        return _spread(list(map(math.log, self._sorted)), math.log(self.median))


def _spread(values: list[float], median: float) -> float:
    distances = sorted(abs(value - median) for value in values)
    return _TO_SIGMA * distances[len(distances) // 2]
