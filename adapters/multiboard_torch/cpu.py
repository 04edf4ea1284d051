"""The counting kernel for CPUs: large tensors in pieces that stay in a cache, small ones together.

`torch.bincount` is the fastest on a CPU; NumPy shifts and finds extremes faster than PyTorch on one thread. The keys of large
tensors are counted, because they need no more than a shift, and folded into buckets once; of small ones a table of keys each
would cost more than looking up the slot of every value.
"""

from __future__ import annotations

import math
import threading
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
import torch

from multiboard.buckets import BUCKETS, KEY_SHIFT, KEYS, LARGEST, NAN, SMALLEST, SPECIALS, SQUARES, SUM, fold_keys
from multiboard.buckets import SLOTS as SLOT_OF_KEY
from multiboard_torch.packs import joined, packs, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from torch import Tensor

    from multiboard_torch.packs import Values

    Counted: TypeAlias = tuple[list[int], npt.NDArray[np.int64], npt.NDArray[np.floating]]
    """Rows, their counts `[R, 1028]` and their moments `[R, 4]`."""

Moments: TypeAlias = tuple[float, float, float, float]
_NOTHING: Final = (0.0, 0.0, math.inf, -math.inf)
_SLOTS: Final = BUCKETS + SPECIALS
_local: Final = threading.local()


class CpuKernel(NamedTuple):
    """Counts tensors on the CPU, in the thread that calls.

    Attributes:
        elements: values that are counted at once at most.
        tensors: tensors that are counted together at most.
    """

    elements: int
    tensors: int

    def add(self, rows: Sequence[Values], table: Tensor, moments: Tensor) -> None:
        """Add the counts of rows to those in `table` int32 `[R, 1028]` and `moments` float32 `[R, 4]`."""
        counts_of_all, moments_of_all = table.numpy(), moments.numpy()
        with np.errstate(over="ignore", invalid="ignore"):  # a sum of squares beyond float32 is Inf
            for places, counts, part in chain(self._large(rows), self._small(rows)):
                counts_of_all[places] += counts.astype(np.int32)
                _merge(moments_of_all, places, part)

    def _large(self, rows: Sequence[Values]) -> Iterator[Counted]:
        large = [row for row, values in enumerate(rows) if size_of(values) >= KEYS]
        for first in range(0, len(large), self.tensors):
            places = large[first : first + self.tensors]
            keys = np.zeros((len(places), KEYS), np.int64)
            moments = [_NOTHING] * len(places)
            for pack in packs([rows[place] for place in places], self.elements, 1):
                values = joined(pack.pieces)
                keys[pack.first] += _count_keys(values.numpy())
                moments[pack.first] = _sum(moments[pack.first], _moments_of_one(values))
            yield places, fold_keys(keys), np.array(moments)

    def _small(self, rows: Sequence[Values]) -> Iterator[Counted]:
        small = [row for row, values in enumerate(rows) if 0 < size_of(values) < KEYS]
        for pack in packs([rows[place] for place in small], self.elements, self.tensors):
            sizes = [size_of(piece) for piece in pack.pieces]
            values = joined(pack.pieces).numpy()
            counts = _count_slots(values, sizes)
            finite = not counts[:, BUCKETS + NAN :].any()
            yield small[pack.first : pack.first + len(sizes)], counts, _moments_of_many(values, sizes, finite=finite)


def _count_keys(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Count the keys of float32 values `[N]`: `[4096]`."""
    keys = np.right_shift(values.view(np.uint32), np.uint32(KEY_SHIFT), out=_scratch(values.size))
    return torch.bincount(torch.from_numpy(keys.view(np.int32)), minlength=KEYS).numpy()


def _count_slots(values: npt.NDArray[np.float32], sizes: list[int]) -> npt.NDArray[np.int64]:
    """Count the slots of tensors of these sizes, which stand one after the other: `[R, 1028]`."""
    places = SLOT_OF_KEY[values.view(np.uint32) >> np.uint32(KEY_SHIFT)]
    places += np.repeat(np.arange(0, len(sizes) * _SLOTS, _SLOTS, dtype=np.int32), sizes)
    return torch.bincount(torch.from_numpy(places), minlength=len(sizes) * _SLOTS).view(-1, _SLOTS).numpy()


def _moments_of_one(values: Tensor) -> Moments:
    total = values.sum().item()
    if not math.isfinite(total):  # one value is not finite, or there are many large ones
        values = values[values.isfinite()]
        total = values.sum().item()
    array = values.numpy()
    square = torch.linalg.vector_norm(values).item() ** 2
    return total, square, array.min(initial=np.inf), array.max(initial=-np.inf)


def _moments_of_many(array: npt.NDArray[np.float32], sizes: list[int], *, finite: bool) -> npt.NDArray[np.float32]:
    starts = np.cumsum([0, *sizes[:-1]])
    kept = low = high = array
    if not finite:
        is_finite = np.isfinite(array)
        kept, low, high = (np.where(is_finite, array, np.float32(other)) for other in (0, np.inf, -np.inf))
    sums, squares = np.add.reduceat(kept, starts), np.add.reduceat(np.square(kept), starts)
    return np.stack([sums, squares, np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)], axis=1)


def _sum(ours: Moments, theirs: Moments) -> Moments:
    return (
        ours[SUM] + theirs[SUM],
        ours[SQUARES] + theirs[SQUARES],
        min(ours[SMALLEST], theirs[SMALLEST]),
        max(ours[LARGEST], theirs[LARGEST]),
    )


def _merge(moments: npt.NDArray[np.float32], rows: list[int], part: npt.NDArray[np.floating]) -> None:
    moments[rows, :SMALLEST] += part[:, :SMALLEST].astype(np.float32)
    moments[rows, SMALLEST] = np.minimum(moments[rows, SMALLEST], part[:, SMALLEST])
    moments[rows, LARGEST] = np.maximum(moments[rows, LARGEST], part[:, LARGEST])


def _scratch(size: int) -> npt.NDArray[np.uint32]:
    """Return memory of this thread for the keys of one piece: fresh memory for each would cost more than the shifts."""
    if len(getattr(_local, "keys", ())) < size:
        _local.keys = np.empty(size, np.uint32)
    keys: npt.NDArray[np.uint32] = _local.keys
    return keys[:size]


CPU: Final = CpuKernel(393_216, 64)
"""Pieces whose keys stay in the cache; half of it costs a sixth more, twice as much a tenth."""
