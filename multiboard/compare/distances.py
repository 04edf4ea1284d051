"""How far two distributions, and two norms, are apart.

All distances are computed in float64. Histograms are rows of left edge, right edge and count, as `multiboard.reader.Column` has
them; inside a row the values are taken as evenly spread, and a row of width zero is one value. Rows on the edges of
`multiboard.buckets` are compared many captures at a time, any others one by one through the union of their edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np

from multiboard.buckets import EDGES, FIRST_FIELD, KEY_SHIFT, MANTISSAS, SIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]
    Indices: TypeAlias = npt.NDArray[np.intp]

_LEFT: Final = np.concatenate([-EDGES[:0:-1], [0.0], EDGES[:-1]])
_RIGHT: Final = np.concatenate([-EDGES[-2::-1], [0.0], EDGES[1:]])
_WIDTH: Final = _RIGHT - _LEFT
_MIDDLE: Final = np.abs(_LEFT + _RIGHT) / 2
_LIMIT: Final = 1e150
"""Edges are cut here: old files spell an open end as the largest float64, whose square is infinite."""


class HistogramDistances(NamedTuple):
    """What tells two histograms of one tensor apart, capture by capture; each is float64 `[n]`.

    Attributes:
        emd: earth mover's distance (Wasserstein-1), in the unit of the values; Inf if one of the two holds no value.
        scale: mean |x| of the first histogram, the baseline.
        resolution: what the distance becomes if one value crosses the edge of the widest bucket, in the unit of the values.
    """

    emd: Floats
    scale: Floats
    resolution: Floats

    @property
    def relative(self) -> Floats:
        """The distance over mean |x| of the baseline; Inf beside a baseline of zeros."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(self.emd == 0, 0.0, self.emd / self.scale)


def histogram_distances(a: Sequence[Floats], b: Sequence[Floats]) -> HistogramDistances:
    """Compare the captures of one tensor in two runs, the first with the first, and so on.

    Args:
        a: n arrays `[k, 3]` of left, right, count, ascending; the baseline.
        b: as many.
    """
    left, right = _Captures(a), _Captures(b)
    if left.regular and right.regular:
        emd = _on_equal_edges(left, right)
    else:
        emd = np.array([earth_movers_distance(one, other) for one, other in zip(a, b, strict=True)])
    fewest = np.maximum(np.minimum(left.total, right.total), 1)
    resolution = np.maximum(left.widest(), right.widest()) / fewest
    return HistogramDistances(np.where(_lone(left, right), np.inf, emd), left.scale(), resolution)


def octave_distances(a: Sequence[Floats], b: Sequence[Floats]) -> Floats:
    """Return the earth mover's distances of log2 |x| of captures: free of scale, and not ruled by the largest values.

    Zeros lie at the lowest edge of `multiboard.buckets`, 2**-40. Inf if one of the two holds no value.

    Args:
        a: n arrays `[k, 3]` of left, right, count, ascending.
        b: as many.
    """
    left, right = _Captures(a), _Captures(b)
    if not (left.regular and right.regular):
        octaves = [_octaves(_magnitudes(one) - _magnitudes(other)) for one, other in zip(a, b, strict=True)]
        return np.where(_lone(left, right), np.inf, np.array(octaves))
    if not len(left.rows) + len(right.rows):
        return np.zeros(len(a))
    magnitude = np.abs(np.concatenate([left.column, right.column]) - SIDE)  # 0 for zeros, then the 512 buckets of either sign
    used, column = _packed(magnitude)
    after = np.cumsum(_apart(left, right, column), axis=1)
    between = np.abs(after[:, :-1]) @ (np.diff(used) - 1.0)
    return np.where(_lone(left, right), np.inf, (_area(after, np.minimum(used, 1.0)) + between) / MANTISSAS)


def _lone(a: _Captures, b: _Captures) -> npt.NDArray[np.bool_]:
    return np.asarray((a.total == 0) != (b.total == 0))


def earth_movers_distance(a: Floats, b: Floats) -> float:
    """Return the distance of two histograms with any edges: the area between their cumulative distributions.

    Args:
        a: rows `[k, 3]` of left, right, count, ascending.
        b: the same.

    >>> earth_movers_distance(np.array([[0.0, 1.0, 4.0]]), np.array([[2.0, 3.0, 1.0]]))
    2.0
    """
    first, second = _Cumulative(a), _Cumulative(b)
    at = np.unique(np.concatenate([first.left, first.right, second.left, second.right]))
    apart = np.empty(2 * len(at))
    apart[::2] = first(at, "left") - second(at, "left")
    apart[1::2] = first(at, "right") - second(at, "right")
    width = np.zeros(2 * len(at))
    width[2::2] = np.diff(at)
    return float(_area(apart, width))


def log2_ratio(a: Floats, b: Floats) -> Floats:
    """Return log2(b / a) element by element: 0 where both are equal, also if both are 0, infinite or NaN.

    Args:
        a: norms or ratios, not negative; the baseline.
        b: the same.

    >>> log2_ratio(np.array([1.0, 0.0, 0.0]), np.array([4.0, 0.0, 1.0])).tolist()
    [2.0, 0.0, inf]
    """
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log2(b) - np.log2(a)
    return np.where(same, 0.0, np.where(np.isnan(ratio), np.inf, ratio))


class _Captures:
    """The rows of several histograms in one array.

    Attributes:
        rows: all, `[m, 3]`.
        owner: which capture each belongs to.
        total: values in each capture.
        share: what part of its capture each row holds.
        column: place of each row among all buckets in ascending order.
        regular: whether all have edges of `multiboard.buckets`.
    """

    def __init__(self, captures: Sequence[Floats]) -> None:
        self._lengths = np.fromiter(map(len, captures), np.intp, len(captures))
        self.size = len(captures)
        self.rows = np.concatenate([*captures, np.zeros((0, 3))])
        self.owner = np.repeat(np.arange(self.size), self._lengths)
        left, right, count = np.ascontiguousarray(self.rows.T)
        self.total = self._each(np.add, count)
        self.share = count / np.repeat(np.maximum(self.total, 1e-300), self._lengths)
        self.column = _columns(left, right)
        self.regular = np.array_equal(_LEFT[self.column], left) and np.array_equal(_RIGHT[self.column], right)

    def scale(self) -> Floats:
        """Return mean |x| of each capture."""
        if self.regular:
            return self._each(np.add, self.share * _MIDDLE[self.column])
        left, right = np.clip(self.rows[:, :2].T, -_LIMIT, _LIMIT)
        width = np.where(right > left, right - left, 1.0)
        middle = np.where((left < 0) & (right > 0), (left**2 + right**2) / (2 * width), np.abs(left + right) / 2)
        return self._each(np.add, self.share * middle)

    def widest(self) -> Floats:
        """Return the width of the widest row of each capture."""
        if self.regular:
            return self._each(np.maximum, _WIDTH[self.column])
        left, right = np.clip(self.rows[:, :2].T, -_LIMIT, _LIMIT)
        return self._each(np.maximum, right - left)

    def _each(self, operation: np.ufunc, values: Floats) -> Floats:
        """Reduce a value per row to one per capture, 0 for those without rows."""
        result = np.zeros(self.size)
        filled = self._lengths > 0
        if filled.any():
            result[filled] = operation.reduceat(values, (np.cumsum(self._lengths) - self._lengths)[filled])
        return result


def _sums(place: Indices, values: Floats, size: int) -> Floats:
    """Return the sum of the values at each place, `[size]`."""
    return np.bincount(place, values, size).astype(np.float64, copy=False)


def _columns(left: Floats, right: Floats) -> Indices:
    """Return the place of rows among all buckets; any place for rows that are none of them."""
    with np.errstate(over="ignore", invalid="ignore"):
        middle = ((left + right) / 2).astype(np.float32)  # inside of the bucket: the first bits tell which it is
    return np.asarray(_COLUMNS[middle.view(np.uint32) >> np.uint32(KEY_SHIFT)])


def _columns_by_bits() -> Indices:
    """Return the place among all buckets by the first bits of a value in float32: sign, exponent, and some of the mantissa."""
    bits = np.arange(2 << (31 - KEY_SHIFT))
    magnitude = np.clip((bits % (len(bits) // 2)) - FIRST_FIELD * MANTISSAS, 0, SIDE - 1)
    column = np.where(bits < len(bits) // 2, SIDE + 1 + magnitude, SIDE - 1 - magnitude)
    return np.where(bits % (len(bits) // 2) == 0, SIDE, column)


_COLUMNS: Final = _columns_by_bits()


def _on_equal_edges(a: _Captures, b: _Captures) -> Floats:
    """Return the distances of captures that have the edges of `multiboard.buckets`: one sum over the buckets for each."""
    if not len(a.rows) + len(b.rows):
        return np.zeros(a.size)
    used, column = _packed(np.concatenate([a.column, b.column]))
    after = np.cumsum(_apart(a, b, column), axis=1)
    left, right = _LEFT[used], _RIGHT[used]
    between = np.abs(after[:, :-1]) @ (left[1:] - right[:-1])  # where neither has values
    return np.asarray(_area(after, right - left) + between)


def _packed(column: Indices) -> tuple[Indices, Indices]:
    """Return the columns that are in use, ascending, and the place of each value among them."""
    used = np.flatnonzero(np.bincount(column))
    place = np.zeros(int(used[-1]) + 1, np.intp)
    place[used] = np.arange(len(used))
    return used, place[column]


def _apart(a: _Captures, b: _Captures, column: Indices) -> Floats:
    """Return by capture and column what share the first one holds there more than the other, `[n, columns]`."""
    width = int(column.max()) + 1
    first, second = np.split(column, [len(a.column)])
    ours = _sums(a.owner * width + first, a.share, a.size * width)
    theirs = _sums(b.owner * width + second, b.share, a.size * width)  # apart, so that equal histograms give exactly 0
    return (ours - theirs).reshape(a.size, width)


def _octaves(apart: Floats) -> Floats:
    """Return the distance in octaves from differences of shares: of zeros, and of all magnitudes."""
    after = np.cumsum(apart, axis=-1)
    width = np.ones(apart.shape[-1])
    width[0] = 0.0
    return np.asarray(_area(after, width) / MANTISSAS)


def _area(after: Floats, width: Floats) -> Floats:
    """Return the areas below |d|, where d goes straight from 0 to the first number over the first width, and so on."""
    height = np.abs(after)
    height[..., 1:] += np.abs(after[..., :-1])
    crossing = np.nonzero(after[..., 1:] * after[..., :-1] < 0)
    before, behind = after[..., :-1][crossing], after[..., 1:][crossing]
    height[..., 1:][crossing] = (before**2 + behind**2) / (np.abs(before) + np.abs(behind))
    return np.asarray(height @ width / 2)


def _magnitudes(rows: Floats) -> Floats:
    """Return the share of zeros and of each of the 512 magnitudes of `multiboard.buckets`, `[513]`."""
    cumulative = _Cumulative(rows)
    below = cumulative(EDGES, "right") - cumulative(-EDGES, "left")
    below[-1] = 1.0 if len(rows) else 0.0
    return np.diff(below, prepend=0.0)


class _Cumulative:
    """The cumulative distribution of one histogram."""

    def __init__(self, rows: Floats) -> None:
        rows = np.asarray(rows, np.float64).reshape(-1, 3)
        self.left, self.right = np.clip(rows[:, :2].T, -_LIMIT, _LIMIT)
        self._share = rows[:, 2] / max(rows[:, 2].sum(), 1e-300)
        self._reached = np.concatenate([[0.0], np.cumsum(self._share)])

    def __call__(self, at: Floats, side: Literal["left", "right"]) -> Floats:
        """Return the share of values up to each place: all those at the place itself count from the right, none from the left."""
        index = np.searchsorted(self.right, at, side=side)
        inside = np.minimum(index, len(self.right) - 1)
        if not len(self.right):
            return np.zeros(len(at))
        width = self.right[inside] - self.left[inside]
        way = np.clip((at - self.left[inside]) / np.where(width > 0, width, np.inf), 0.0, 1.0)
        return self._reached[index] + np.where(index < len(self.right), way * self._share[inside], 0.0)
