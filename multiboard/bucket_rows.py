"""The histograms of one tag in one array: no object per histogram is made or kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, overload

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


class BucketRows(Sequence["Floats"]):
    """Bucket rows of n histograms, each float64 `[k, 3]` when it is looked at.

    Args:
        rows: `[m, 3]` left, right and count of all of them, as narrow as they were written.
        lengths: how many rows each has, `[n]`.

    Attributes:
        rows: the same.
        lengths: the same.
    """

    def __init__(self, rows: npt.NDArray[Any], lengths: npt.NDArray[np.intp]) -> None:
        self.rows, self.lengths = rows, lengths
        self._ends = np.concatenate([[0], np.cumsum(lengths)])

    @overload
    def __getitem__(self, index: int) -> Floats: ...
    @overload
    def __getitem__(self, index: slice) -> list[Floats]: ...
    def __getitem__(self, index: int | slice) -> Floats | list[Floats]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        at = range(len(self))[index]
        return self.rows[self._ends[at] : self._ends[at + 1]].astype(np.float64)

    def __iter__(self) -> Iterator[Floats]:
        wide = self.rows.astype(np.float64)
        return (wide[begin:end] for begin, end in pairwise(self._ends.tolist()))

    def __len__(self) -> int:
        return len(self.lengths)

    def picked(self, at: npt.NDArray[np.intp]) -> BucketRows:
        """Return some of the histograms."""
        lengths = self.lengths[at]
        begins = np.repeat(self._ends[at] - np.cumsum(lengths) + lengths, lengths)
        return BucketRows(self.rows[begins + np.arange(len(begins))], lengths)

    @property
    def nbytes(self) -> int:
        """Memory of the rows."""
        return int(self.rows.nbytes + self.lengths.nbytes + self._ends.nbytes)


def joined_rows(captures: Sequence[Floats]) -> BucketRows:
    """Return histograms in one array, as they are if they are."""
    if isinstance(captures, BucketRows):
        return captures
    lengths = np.fromiter(map(len, captures), np.intp, len(captures))
    return BucketRows(np.concatenate([*captures, np.zeros((0, 3))]), lengths)


def picked(values: Sequence[Any], at: npt.NDArray[np.intp]) -> Sequence[Any]:
    """Return some values of a column, in the form that they have."""
    if np.array_equal(at, np.arange(len(values))):
        return values
    return values.picked(at) if isinstance(values, BucketRows) else [values[one] for one in at.tolist()]
