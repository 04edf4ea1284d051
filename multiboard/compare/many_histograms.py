"""Many histograms at once: their rows in one array, and where these lie among the buckets of `multiboard.buckets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from multiboard.bucket_rows import joined_rows
from multiboard.buckets import EDGES, FIRST_FIELD, KEY_SHIFT, MANTISSAS, SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]
    Indices: TypeAlias = npt.NDArray[np.intp]

LEFT: Final = np.concatenate([-EDGES[:0:-1], [0.0], EDGES[:-1]])
"""Left edges of all buckets in ascending order, zeros in the middle, `[1025]`."""
RIGHT: Final = np.concatenate([-EDGES[-2::-1], [0.0], EDGES[1:]])
"""Right edges."""
WIDTH: Final = RIGHT - LEFT
_MIDDLE: Final = np.abs(LEFT + RIGHT) / 2
_LIMIT: Final = 1e150
"""Edges are cut here: old files spell an open end as the largest float64, whose square is infinite."""


class Histograms:
    """The rows of n histograms, m together.

    Args:
        captures: n arrays `[k, 3]` of left, right, count, ascending.

    Attributes:
        size: n.
        lengths: rows of each histogram, `[n]`.
        owner: to which histogram each row belongs, `[m]`.
        left: edges, `[m]`.
        right: edges, `[m]`.
        total: values in each histogram, `[n]`.
        share: what part of its histogram each row holds, `[m]`.
        column: place of each row among all buckets, `[m]`.
        regular: whether all rows have the edges of `multiboard.buckets`.
    """

    def __init__(self, captures: Sequence[Floats]) -> None:
        joined = joined_rows(captures)
        self.size, self.lengths = len(joined), joined.lengths
        self.owner = np.repeat(np.arange(self.size), self.lengths)
        self.left, self.right, count = np.ascontiguousarray(joined.rows.T)
        count = count.astype(np.float64)
        self.total = self._each(np.add, count)
        self.share = count / np.maximum(self.total, 1e-300)[self.owner]
        self.column = _columns(self.left, self.right)
        self.regular = np.array_equal(LEFT[self.column], self.left) and np.array_equal(RIGHT[self.column], self.right)

    def edges(self) -> tuple[Floats, Floats]:
        """Return left and right edges as float64, so that they can be squared."""
        return np.clip(self.left.astype(np.float64), -_LIMIT, _LIMIT), np.clip(self.right.astype(np.float64), -_LIMIT, _LIMIT)

    def scale(self) -> Floats:
        """Return mean |x| of each histogram."""
        if self.regular:
            return self._each(np.add, self.share * _MIDDLE[self.column])
        left, right = self.edges()
        width = np.where(right > left, right - left, 1.0)
        middle = np.where((left < 0) & (right > 0), (left**2 + right**2) / (2 * width), np.abs(left + right) / 2)
        return self._each(np.add, self.share * middle)

    def widest(self) -> Floats:
        """Return the width of the widest row of each histogram."""
        if self.regular:
            return self._each(np.maximum, WIDTH[self.column])
        left, right = self.edges()
        return self._each(np.maximum, right - left)

    def _each(self, operation: np.ufunc, values: Floats) -> Floats:
        """Reduce a value per row to one per histogram, 0 for those without rows."""
        result = np.zeros(self.size)
        filled = self.lengths > 0
        if filled.any():
            result[filled] = operation.reduceat(values, (np.cumsum(self.lengths) - self.lengths)[filled])
        return result


def sums(place: Indices, values: Floats, size: int) -> Floats:
    """Return the sum of the values at each place, `[size]`."""
    return np.bincount(place, values, size).astype(np.float64, copy=False)  # of no values it returns integers


def _columns(left: Floats, right: Floats) -> Indices:
    """Return the place of rows among all buckets; any place for rows that are none of them."""
    with np.errstate(over="ignore", invalid="ignore"):
        middle = ((left + right) / 2).astype(np.float32, copy=False)  # inside of the bucket: the first bits tell which it is
    return np.asarray(_COLUMNS[middle.view(np.uint32) >> np.uint32(KEY_SHIFT)])


def _columns_by_bits() -> Indices:
    """Return the place among all buckets by the first bits of a value in float32: sign, exponent, and some of the mantissa."""
    bits = np.arange(2 << (31 - KEY_SHIFT))
    magnitude = np.clip((bits % (len(bits) // 2)) - FIRST_FIELD * MANTISSAS, 0, SIDE - 1)
    column = np.where(bits < len(bits) // 2, SIDE + 1 + magnitude, SIDE - 1 - magnitude)
    return np.where(bits % (len(bits) // 2) == 0, SIDE, column)


_COLUMNS: Final = _columns_by_bits()
