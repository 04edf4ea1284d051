"""How far histograms are apart that have the edges of `multiboard.buckets`: sums over the buckets, for many of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from multiboard.buckets import MANTISSAS, SIDE
from multiboard.compare.many_histograms import LEFT, RIGHT, sums

if TYPE_CHECKING:
    import numpy.typing as npt

    from multiboard.compare.many_histograms import Histograms

    Floats: TypeAlias = npt.NDArray[np.float64]
    Indices: TypeAlias = npt.NDArray[np.intp]


def emd(a: Histograms, b: Histograms) -> Floats:
    """Return the earth mover's distances of the first of both, of the second of both, and so on."""
    if not len(a.column) + len(b.column):
        return np.zeros(a.size)
    used, after = _after(a, b, np.concatenate([a.column, b.column]))
    left, right = LEFT[used], RIGHT[used]
    return area(after, right - left, left[1:] - right[:-1])


def octaves(a: Histograms, b: Histograms) -> Floats:
    """Return the same of log2 |x|."""
    if not len(a.column) + len(b.column):
        return np.zeros(a.size)
    magnitude = np.abs(np.concatenate([a.column, b.column]) - SIDE)  # 0 for zeros, then the 512 buckets of either sign
    used, after = _after(a, b, magnitude)
    return area(after, np.minimum(used, 1.0), np.diff(used) - 1.0) / MANTISSAS


def _after(a: Histograms, b: Histograms, column: Indices) -> tuple[Indices, Floats]:
    """Return which columns are in use, and what share the first ones hold up to each of them more than the second ones.

    Args:
        a: n histograms.
        b: as many.
        column: of the rows of both.

    Returns:
        Columns `[m]`, ascending, and shares `[m, n]`.
    """
    used = np.flatnonzero(np.bincount(column))
    begin = np.zeros(int(used[-1]) + 1, np.intp)
    begin[used] = np.arange(len(used)) * a.size
    ours, theirs = np.split(begin[column], [len(a.column)])
    apart = sums(ours + a.owner, a.share, a.size * len(used))
    apart -= sums(theirs + b.owner, b.share, a.size * len(used))  # apart, so that equal histograms give exactly 0
    return used, np.cumsum(apart.reshape(len(used), a.size), axis=0)


def area(after: Floats, width: Floats, gap: Floats) -> Floats:
    """Return the area between two cumulative distributions, of n pairs.

    Args:
        after: how far they are apart at the right edge of each bucket, `[m, n]`; from the left edge on the way is straight.
        width: of the buckets, `[m]`.
        gap: between each bucket and the next one, `[m - 1]`; there nothing changes.
    """
    weight = (width + np.append(width[1:], 0.0)) / 2 + np.append(gap, 0.0)
    whole = np.einsum("i,ij->j", weight, np.abs(after))
    below = np.signbit(after)
    bucket, pair = np.divmod(np.flatnonzero(below[1:] != below[:-1]), after.shape[1])
    before, behind = np.abs(after[bucket, pair]), np.abs(after[bucket + 1, pair])
    both = width[bucket + 1] * before * behind / np.maximum(before + behind, 1e-300)  # two triangles in place of a trapezium
    return np.asarray(whole - sums(pair, both, after.shape[1]))
