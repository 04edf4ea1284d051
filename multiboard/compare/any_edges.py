"""How far histograms are apart that have any edges: the area between their cumulative distributions, for many of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from multiboard.buckets import EDGES, MANTISSAS
from multiboard.compare.equal_edges import area
from multiboard.compare.many_histograms import sums

if TYPE_CHECKING:
    import numpy.typing as npt

    from multiboard.compare.many_histograms import Histograms

    Floats: TypeAlias = npt.NDArray[np.float64]
    Indices: TypeAlias = npt.NDArray[np.intp]


def emd(a: Histograms, b: Histograms) -> Floats:
    """Return the earth mover's distances of the first of both, of the second of both, and so on."""
    first, second = _Cumulative(a), _Cumulative(b)
    edges = np.concatenate([first.left, second.left, first.right, second.right])
    at, owner, place = _ordered(edges, np.tile(np.concatenate([a.owner, b.owner]), 2))
    ends = np.split(place[len(edges) // 2 :], [len(first.right)])
    below, upto = first.around(at, owner, ends[0]) - second.around(at, owner, ends[1])
    width = np.where(owner[1:] == owner[:-1], np.diff(at), 0.0)
    return sums(owner[1:], width * _mean(upto[:-1], below[1:]), a.size)


def octaves(a: Histograms, b: Histograms) -> Floats:
    """Return the same of log2 |x|, in the buckets of `multiboard.buckets`."""
    width = np.ones(len(EDGES))
    width[0] = 0.0
    return area(np.cumsum(_magnitudes(a) - _magnitudes(b), axis=0), width, np.zeros(len(EDGES) - 1)) / MANTISSAS


def _ordered(edges: Floats, owner: Indices) -> tuple[Floats, Indices, Indices]:
    """Return the edges of each histogram ascending, each once, whose they are, and where all that were given are among them."""
    order = np.lexsort((edges, owner))
    edges, owner = edges[order], owner[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (edges[1:] != edges[:-1]) | (owner[1:] != owner[:-1])
    place = np.empty(len(order), np.intp)
    place[order] = np.cumsum(new) - 1
    return edges[new], owner[new], place


def _mean(a: Floats, b: Floats) -> Floats:
    """Return the mean of |x| on the straight way from a to b."""
    span = np.abs(a) + np.abs(b)
    return np.where(a * b < 0, (a**2 + b**2) / (2 * np.maximum(span, 1e-300)), span / 2)


def _magnitudes(of: Histograms) -> Floats:
    """Return the shares of zeros and of each of the 512 magnitudes of `multiboard.buckets`, `[513, n]`."""
    cumulative = _Cumulative(of)
    below = cumulative.everywhere(EDGES, "right") - cumulative.everywhere(-EDGES[::-1], "left")[::-1]
    below[-1] = of.lengths > 0
    return np.diff(below, axis=0, prepend=0.0)


class _Cumulative:
    """The cumulative distributions of n histograms.

    Attributes:
        left: edges of all rows.
        right: edges of all rows.
    """

    def __init__(self, of: Histograms) -> None:
        self.left, self.right = of.edges()
        self._owner, self._share, self._lengths = of.owner, of.share, of.lengths
        self._begin = np.cumsum(of.lengths) - of.lengths
        self._reached = np.zeros((of.size, 1 + int(of.lengths.max(initial=0))))
        self._reached[of.owner, 1 + np.arange(len(of.owner)) - self._begin[of.owner]] = of.share
        np.cumsum(self._reached, axis=1, out=self._reached)

    def around(self, at: Floats, owner: Indices, end: Indices) -> Floats:
        """Return the shares of values before places, and up to them, `[2, p]`.

        Args:
            at: places, those of each histogram ascending and behind those of the one before.
            owner: whose they are.
            end: where among them the right edges of all rows are.
        """
        ending = np.bincount(end, minlength=len(at))
        upto = np.cumsum(ending) - self._begin[owner]
        return np.stack([self._at(at, owner, upto - ending), self._at(at, owner, upto)])

    def everywhere(self, at: Floats, side: Literal["left", "right"]) -> Floats:
        """Return the shares of values up to places that are the same in all histograms, `[p, n]`.

        Args:
            at: places, ascending.
            side: all values at a place count from the right, none of them from the left.
        """
        size = len(self._lengths)
        place = np.searchsorted(at, self.right, "left" if side == "right" else "right")
        index = np.cumsum(np.bincount(place * size + self._owner, minlength=(len(at) + 1) * size).reshape(-1, size), axis=0)
        owner = np.tile(np.arange(size), len(at))
        return self._at(np.repeat(at, size), owner, index[:-1].reshape(-1)).reshape(-1, size)

    def _at(self, at: Floats, owner: Indices, index: Indices) -> Floats:
        """Return the shares of values up to places, of which it is known how many rows end before them."""
        inside = np.minimum(self._begin[owner] + index, len(self.right) - 1)
        if not len(self.right):
            return np.zeros(len(at))
        width = self.right[inside] - self.left[inside]
        way = np.clip((at - self.left[inside]) / np.where(width > 0, width, np.inf), 0.0, 1.0)
        return self._reached[owner, index] + np.where(index < self._lengths[owner], way * self._share[inside], 0.0)
