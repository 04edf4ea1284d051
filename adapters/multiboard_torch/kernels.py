"""The counting kernel of operators, for devices that have none of their own.

`torch.bincount` would wait for the device, where it asks for the extremes first, so counts are added by `scatter_add_`. CPUs
have a kernel of their own (`cpu`), and so has CUDA (`cuda`), which uses that of operators only where its own cannot be compiled.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from multiboard.buckets import BUCKETS, KEY_SHIFT, KEYS, LARGEST, MOMENTS, SMALLEST, SPECIALS
from multiboard.buckets import SLOTS as SLOT_OF_KEY
from multiboard_torch.packs import joined, packs, size_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from multiboard_torch.packs import Values

_INFINITY: Final = float("inf")
_SLOTS: Final = BUCKETS + SPECIALS
"""Counts of one tensor: buckets, then specials."""
_SEGMENT: Final = 4096
"""Values that are added up one after the other at most: more would lose digits on a CPU, and idle cores on a GPU."""
_TABLES: Final = 256
"""Tables of counts per pack: with one, atomic additions to the same slot queue up, and zeros take five times as long."""
_LAYOUTS: Final = 4096
"""Packs whose sizes are kept on their device: sending them again would cost a copy each."""


class OperatorKernel(NamedTuple):
    """Counts tensors cut and joined into packs, so that large ones take little memory at a time and small ones share their calls.

    Attributes:
        elements: values per pack at most.
        tensors: tensors per pack at most.
    """

    elements: int
    tensors: int

    def add(self, rows: Sequence[Values], table: Tensor, moments: Tensor) -> None:
        """Add the counts of rows to those in `table` int32 `[R, 1028]` and `moments` float32 `[R, 4]`."""
        # By size, so that small tensors share packs also where they stand between large ones.
        order = sorted(range(len(rows)), key=lambda row: size_of(rows[row]))
        if order != list(range(len(rows))):
            sorted_table, sorted_moments = empty_counts(len(rows), table.device)
            self._add_in_order([rows[row] for row in order], sorted_table, sorted_moments)
            places = _inverse(tuple(order), table.device, _stream(table.device))
            table += sorted_table.index_select(0, places)
            _merge_moments(moments, sorted_moments.index_select(0, places))
        else:
            self._add_in_order(rows, table, moments)

    def _add_in_order(self, rows: Sequence[Values], table: Tensor, moments: Tensor) -> None:
        for pack in packs(rows, self.elements, self.tensors):
            span = slice(pack.first, pack.first + len(pack.pieces))
            sizes = [size_of(piece) for piece in pack.pieces]
            _add_pack(joined(pack.pieces), sizes, table[span], moments[span])


def empty_counts(rows: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the counts and moments of nothing, int32 `[R, 1028]` and float32 `[R, 4]`."""
    moments = torch.zeros((rows, MOMENTS), dtype=torch.float32, device=device)
    moments[:, SMALLEST].fill_(_INFINITY)
    moments[:, LARGEST].fill_(-_INFINITY)
    return torch.zeros((rows, _SLOTS), dtype=torch.int32, device=device), moments


def _merge_moments(moments: Tensor, part: Tensor) -> None:
    """Add moments of further values, in place."""
    moments[:, :SMALLEST] += part[:, :SMALLEST]
    moments[:, SMALLEST] = torch.minimum(moments[:, SMALLEST], part[:, SMALLEST])
    moments[:, LARGEST] = torch.maximum(moments[:, LARGEST], part[:, LARGEST])


def _add_pack(values: Tensor, sizes: list[int], table: Tensor, moments: Tensor) -> None:
    """Add the values of a pack, float32 `[N]`, cut into tensors of these sizes, none of them empty."""
    index = _slots(values.device, _stream(values.device))[(values.view(torch.int32) >> KEY_SHIFT) & (KEYS - 1)]
    if len(sizes) > 1:
        lengths = _lengths(tuple(sizes), values.device, _stream(values.device))
        offsets = _offsets(len(sizes), _SLOTS, values.device, _stream(values.device))
        index += offsets.repeat_interleave(lengths, output_size=len(index))
    table += _counted_in_lanes(index, len(sizes)).view(len(sizes), _SLOTS)
    _merge_moments(moments, _moments_on_device(values, sizes))


def _counted_in_lanes(index: Tensor, tensors: int) -> Tensor:
    """Count an index int64 `[N]`, which is changed: neighbours in tables of their own, because they often share a slot."""
    lanes, slots = max(1, _TABLES // tensors), tensors * _SLOTS
    whole = len(index) - len(index) % lanes
    index[:whole].view(-1, lanes).add_(_offsets(lanes, slots, index.device, _stream(index.device)))
    counts = torch.zeros(lanes * slots, dtype=torch.int32, device=index.device)
    counts.scatter_add_(0, index, counts.new_ones(1).expand(len(index)))
    return counts.view(lanes, slots).sum(0, dtype=torch.int32)


def _moments_on_device(values: Tensor, sizes: list[int]) -> Tensor:
    # nan_to_num and not where: a Python number given to where is copied to the device, and that copy waits.
    kept, low, high = (values.nan_to_num(other, other, other) for other in (0.0, _INFINITY, -_INFINITY))
    reductions: tuple[tuple[Tensor, str], ...] = ((kept, "sum"), (kept.square(), "sum"), (low, "min"), (high, "max"))
    segments = tuple(-(-size // _SEGMENT) for size in sizes)
    stream = _stream(values.device)
    for lengths in (_lengths(tuple(sizes), values.device, stream, _SEGMENT), _lengths(segments, values.device, stream)):
        # unsafe: the check of the lengths would wait for the device.
        reductions = tuple((torch.segment_reduce(part, how, lengths=lengths, unsafe=True), how) for part, how in reductions)
    return torch.stack([part for part, _ in reductions], dim=1)


@lru_cache(_LAYOUTS)
def _lengths(sizes: tuple[int, ...], device: torch.device, stream: int, most: int | None = None) -> Tensor:  # noqa: ARG001  # a part of the key
    """Return the lengths of segments on their device, each cut into segments of so many values at most."""
    cut = [part for size in sizes for part in _cut(size, most or size)]
    numbers = torch.tensor(cut, dtype=torch.int64, device="cpu")
    return _on_device(numbers, device)


def _cut(size: int, most: int) -> list[int]:
    return [most] * (size // most) + [size % most] * (size % most > 0)


@lru_cache(_LAYOUTS)
def _offsets(number: int, step: int, device: torch.device, stream: int) -> Tensor:  # noqa: ARG001  # a part of the key
    return torch.arange(0, number * step, step, dtype=torch.int64, device=device)


@lru_cache(_LAYOUTS)
def _slots(device: torch.device, stream: int) -> Tensor:  # noqa: ARG001  # a part of the key
    return _on_device(torch.from_numpy(SLOT_OF_KEY).to(torch.int64), device)


@lru_cache(_LAYOUTS)
def _inverse(order: tuple[int, ...], device: torch.device, stream: int) -> Tensor:  # noqa: ARG001  # a part of the key
    """Return on a device the places of rows that were put into an order."""
    return _on_device(torch.from_numpy(np.argsort(order)), device)


def _stream(device: torch.device) -> int:
    """Return the number of the current stream: what is copied on one is not there yet for another."""
    return torch.cuda.current_stream(device).cuda_stream if device.type == "cuda" else 0


def _on_device(numbers: Tensor, device: torch.device) -> Tensor:
    """Copy without waiting: from memory that is not pinned CUDA would wait."""
    return (numbers.pin_memory() if device.type == "cuda" else numbers).to(device, non_blocking=True)


DEVICE: Final = OperatorKernel(8_388_608, 64)
"""Only launches, no data-dependent shape or range; a pack needs about 250 MB for a moment."""
