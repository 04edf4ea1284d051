"""The counting kernels: bucket counts, special counts and moments of many tensors, on the device where they are.

The scheme is that of `multiboard.buckets`. Tensors are cut and joined into packs, so that large ones stay in the cache and
many small ones share their calls. There are two kernels, because no counting function is good on both kinds of device:
`torch.bincount` is the fastest on a CPU, but waits for any other device, where it asks for the extremes first.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from multiboard.buckets import (
    BUCKETS,
    END_FIELD,
    FIRST_FIELD,
    KEY_SHIFT,
    KEYS,
    LARGEST,
    MANTISSAS,
    MOMENTS,
    SMALLEST,
    SPECIALS,
)
from multiboard_torch.packs import device_of, joined, packs, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from multiboard_torch.packs import Values

_INFINITY: Final = float("inf")
_SEGMENT: Final = 4096
"""Values that are added up one after the other at most: more would lose digits on a CPU, and idle cores on a GPU."""
_LAYOUTS: Final = 4096
"""Packs whose sizes are kept on their device: sending them again would cost a copy each."""


class Measured(NamedTuple):
    """Statistics of T tensors, still on their device.

    Attributes:
        counts: int32 `[T, 1024]` by bucket.
        specials: int32 `[T, 4]`: zeros, NaN, +Inf, -Inf.
        moments: float32 `[T, 4]`: sum, sum of squares, smallest, largest of the finite values; +Inf and -Inf for the last two if
            there are none.
    """

    counts: Tensor
    specials: Tensor
    moments: Tensor


class Kernel(NamedTuple):
    """How one kind of device counts.

    Attributes:
        elements: values per pack at most.
        tensors: tensors per pack at most.
        count_keys: adds the keys of a pack (int32 `[N]`), given the sizes of its tensors (R of them), to counts `[R, 4096]`.
        take_moments: from the values of a pack (float32 `[N]`) and the sizes to float32 moments `[R, 4]`.
    """

    elements: int
    tensors: int
    count_keys: Callable[[Tensor, list[int], Tensor], None]
    take_moments: Callable[[Tensor, list[int]], Tensor]


class Tally(NamedTuple):
    """Counts before they are folded: they add up over chunks and over calls.

    Attributes:
        table: int32 `[T, 4096]` by key.
        moments: float32 `[T, 4]`, as in `Measured`.
    """

    table: Tensor
    moments: Tensor


def measure(rows: Sequence[Values], kernel: Kernel | None = None) -> Measured:
    """Count the values of one capture; gives exactly the counts of `multiboard.buckets.measure`.

    Never waits for a device. Reads the tensors only, in the order of the current stream.

    Args:
        rows: strided tensors of any shape and dtype, or differences, all on one device. Complex values are measured by their
            magnitude.
        kernel: the counting kernel, by default the one for the device of the tensors.

    Returns:
        One row per tensor, on the device of the tensors.
    """
    device = device_of(rows[0]) if rows else torch.device("cpu")
    with torch.no_grad(), any_order():
        tally = empty_tally(len(rows), device)
        add_to_tally(tally, rows, kernel or kernel_for(device))
        return fold(tally)


def empty_tally(rows: int, device: torch.device) -> Tally:
    """Return the counts of nothing."""
    moments = torch.zeros((rows, MOMENTS), dtype=torch.float32, device=device)
    moments[:, SMALLEST].fill_(_INFINITY)
    moments[:, LARGEST].fill_(-_INFINITY)
    return Tally(torch.zeros((rows, KEYS), dtype=torch.int32, device=device), moments)


def add_to_tally(tally: Tally, rows: Sequence[Values], kernel: Kernel) -> None:
    """Add the counts of tensors to those of the same rows, in place."""
    for pack in packs(rows, kernel.elements, kernel.tensors):
        span = slice(pack.first, pack.first + len(pack.pieces))
        values = joined(pack.pieces)
        sizes = [size_of(piece) for piece in pack.pieces]
        keys = (values.view(torch.int32) >> KEY_SHIFT) & (KEYS - 1)
        kernel.count_keys(keys, sizes, tally.table[span])
        _merge(tally.moments[span], kernel.take_moments(values, sizes))


def kernel_for(device: torch.device) -> Kernel:
    """Return the counting kernel of a kind of device."""
    return HOST if device.type == "cpu" else DEVICE


@contextmanager
def any_order() -> Iterator[None]:
    """Let integers be added in any order, which `use_deterministic_algorithms` forbids or makes wait for the device."""
    if not torch.are_deterministic_algorithms_enabled():
        yield
        return
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=True, warn_only=only_warns)


def _merge(moments: Tensor, part: Tensor) -> None:
    moments[:, :SMALLEST] += part[:, :SMALLEST]
    moments[:, SMALLEST] = torch.minimum(moments[:, SMALLEST], part[:, SMALLEST])
    moments[:, LARGEST] = torch.maximum(moments[:, LARGEST], part[:, LARGEST])


def fold(tally: Tally) -> Measured:
    """Fold key counts into bucket counts and special counts, as `buckets.fold_keys` does."""
    rows = len(tally.table)
    cube = tally.table.view(rows, 2, 256, MANTISSAS)
    body = cube[:, :, FIRST_FIELD:END_FIELD].clone()
    body[:, :, 0, 0] += cube[:, :, 1:FIRST_FIELD].sum((2, 3))
    body[:, :, -1, -1] += cube[:, :, END_FIELD:255].sum((2, 3))
    zeros, nans = cube[:, :, 0].sum((1, 2)), cube[:, :, 255, 1:].sum((1, 2))
    specials = torch.stack([zeros, nans, cube[:, 0, 255, 0], cube[:, 1, 255, 0]], dim=1)
    return Measured(body.view(rows, BUCKETS), specials.to(torch.int32).view(-1, SPECIALS), tally.moments)


def _count_keys_on_host(keys: Tensor, sizes: list[int], table: Tensor) -> None:
    if len(sizes) > 1:
        offsets = torch.arange(0, len(sizes) * KEYS, KEYS, dtype=torch.int32, device="cpu")
        keys = keys + offsets.repeat_interleave(torch.tensor(sizes, device="cpu"))
    table += torch.bincount(keys, minlength=len(sizes) * KEYS).view(-1, KEYS)


def _take_moments_on_host(values: Tensor, sizes: list[int]) -> Tensor:
    array = values.numpy()
    starts = np.cumsum([0, *sizes[:-1]])
    finite = np.isfinite(array)
    kept = low = high = array
    if not finite.all():
        kept, low, high = (np.where(finite, array, np.float32(other)) for other in (0, np.inf, -np.inf))
    with np.errstate(over="ignore", invalid="ignore"):  # a sum of squares beyond float32 is Inf
        sums, squares = np.add.reduceat(kept, starts), np.add.reduceat(np.square(kept), starts)
    extremes = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    return torch.from_numpy(np.stack([sums, squares, *extremes], axis=1))


def _count_keys_on_device(keys: Tensor, sizes: list[int], table: Tensor) -> None:
    index = keys.long()
    if len(sizes) > 1:
        index += _offsets(tuple(sizes), keys.device).repeat_interleave(_lengths(tuple(sizes), keys.device), output_size=len(keys))
    table.view(-1).scatter_add_(0, index, keys.new_ones(1).expand(len(keys)))


def _take_moments_on_device(values: Tensor, sizes: list[int]) -> Tensor:
    # nan_to_num and not where: a Python number given to where is copied to the device, and that copy waits.
    kept, low, high = (values.nan_to_num(other, other, other) for other in (0.0, _INFINITY, -_INFINITY))
    reductions: tuple[tuple[Tensor, str], ...] = ((kept, "sum"), (kept.square(), "sum"), (low, "min"), (high, "max"))
    for lengths in (
        _lengths(tuple(sizes), values.device, _SEGMENT),
        _lengths(tuple(-(-size // _SEGMENT) for size in sizes), values.device),
    ):
        # unsafe: the check of the lengths would wait for the device.
        reductions = tuple((torch.segment_reduce(part, how, lengths=lengths, unsafe=True), how) for part, how in reductions)
    return torch.stack([part for part, _ in reductions], dim=1)


@lru_cache(_LAYOUTS)
def _lengths(sizes: tuple[int, ...], device: torch.device, most: int | None = None) -> Tensor:
    """Return the lengths of segments on their device, each cut into segments of so many values at most."""
    cut = [part for size in sizes for part in _cut(size, most or size)]
    return _on_device(torch.tensor(cut, dtype=torch.int64, device="cpu"), device)


def _cut(size: int, most: int) -> list[int]:
    return [most] * (size // most) + [size % most] * (size % most > 0)


@lru_cache(_LAYOUTS)
def _offsets(sizes: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.arange(0, len(sizes) * KEYS, KEYS, dtype=torch.int64, device=device)


def _on_device(numbers: Tensor, device: torch.device) -> Tensor:
    """Copy without waiting: from memory that is not pinned CUDA would wait."""
    return (numbers.pin_memory() if device.type == "cuda" else numbers).to(device, non_blocking=True)


HOST: Final = Kernel(131_072, 64, _count_keys_on_host, _take_moments_on_host)
"""For CPUs: small packs, whose keys stay in the cache."""
DEVICE: Final = Kernel(8_388_608, 64, _count_keys_on_device, _take_moments_on_device)
"""For all other devices: only launches, no data-dependent shape or range; a pack needs about 200 MB for a moment."""
