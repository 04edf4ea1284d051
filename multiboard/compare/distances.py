"""How far two distributions, and two norms, are apart.

All distances are computed in float64. Histograms are rows of left edge, right edge and count, as `multiboard.reader.Column` has
them; inside a row the values are taken as evenly spread, and a row of width zero is one value. Many captures are compared at
once: those on the edges of `multiboard.buckets` by sums over the buckets, any others through the union of their edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from multiboard.compare import any_edges, equal_edges
from multiboard.compare.many_histograms import Histograms

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]


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
    left, right = Histograms(a), Histograms(b)
    emd = equal_edges.emd(left, right) if left.regular and right.regular else any_edges.emd(left, right)
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
    left, right = Histograms(a), Histograms(b)
    octaves = equal_edges.octaves if left.regular and right.regular else any_edges.octaves
    return np.where(_lone(left, right), np.inf, octaves(left, right))


def _lone(a: Histograms, b: Histograms) -> npt.NDArray[np.bool_]:
    return np.asarray((a.total == 0) != (b.total == 0))


def earth_movers_distance(a: Floats, b: Floats) -> float:
    """Return the distance of two histograms with any edges: the area between their cumulative distributions.

    Args:
        a: rows `[k, 3]` of left, right, count, ascending.
        b: the same.

    >>> earth_movers_distance(np.array([[0.0, 1.0, 4.0]]), np.array([[2.0, 3.0, 1.0]]))
    2.0
    """
    return float(any_edges.emd(Histograms([a]), Histograms([b]))[0])


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
