"""The counting kernels: bucket counts, special counts and moments of many tensors, on the device where they are.

The scheme is that of `multiboard.buckets`. Tensors are cut and joined into packs, so that large ones stay in the cache and
many small ones share their calls. There are two kernels, because no counting function is good on both kinds of device:
`torch.bincount` is the fastest on a CPU, but waits for any other device, where it asks for the extremes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from multiboard.buckets import (
    BUCKETS,
    END_FIELD,
    FIRST_FIELD,
    FLOAT32_MAX,
    KEY_SHIFT,
    KEYS,
    LARGEST,
    MANTISSAS,
    MOMENTS,
    SMALLEST,
    SPECIALS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

_INFINITY: Final = float("inf")


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
        count_keys: from the keys of a pack (int32 `[N]`) and the sizes of its tensors (R of them) to counts `[R, 4096]`.
        take_moments: from the values of a pack (float32 `[N]`) and the sizes to float32 moments `[R, 4]`.
    """

    elements: int
    tensors: int
    count_keys: Callable[[Tensor, list[int]], Tensor]
    take_moments: Callable[[Tensor, list[int]], Tensor]


class _Pack(NamedTuple):
    """Pieces of consecutive tensors, none of them empty.

    Attributes:
        first: the index of the first tensor.
        pieces: one flat piece per tensor.
    """

    first: int
    pieces: list[Tensor]


def measure(tensors: Sequence[Tensor], kernel: Kernel | None = None) -> Measured:
    """Count the values of the tensors of one capture; gives exactly the counts of `multiboard.buckets.measure`.

    Never waits for a device. Reads the tensors only, in the order of the current stream.

    Args:
        tensors: strided tensors of any shape and dtype, all on one device. Complex values are measured by their magnitude.
        kernel: the counting kernel, by default the one for the device of the tensors.

    Returns:
        One row per tensor, on the device of the tensors.
    """
    device = tensors[0].device if tensors else torch.device("cpu")
    kernel = kernel or (HOST if device.type == "cpu" else DEVICE)
    with torch.no_grad():
        table = torch.zeros((len(tensors), KEYS), dtype=torch.int32, device=device)
        moments = _no_moments(len(tensors), device)
        for pack in _packs(tensors, kernel):
            rows = slice(pack.first, pack.first + len(pack.pieces))
            casted = [to_float32(piece) for piece in pack.pieces]
            values = casted[0] if len(casted) == 1 else torch.cat(casted)
            sizes = [piece.numel() for piece in pack.pieces]
            keys = (values.view(torch.int32) >> KEY_SHIFT) & (KEYS - 1)
            table[rows] += kernel.count_keys(keys, sizes)
            _merge(moments[rows], kernel.take_moments(values, sizes))
        return Measured(*_fold(table), moments)


def to_float32(values: Tensor) -> Tensor:
    """Cast as the scheme says: magnitude of complex, float64 clamped to the finite float32 range, others as they are.

    The magnitude is computed in float64, so that it rounds as the host's does.
    """
    if values.is_complex():
        parts = torch.view_as_real(values).double()
        magnitude = torch.hypot(parts[..., 0], parts[..., 1])
        if values.dtype != torch.complex128:
            return magnitude.float()
        values = magnitude
    if values.dtype == torch.float64:
        values = torch.where(values.isinf(), values, values.clamp(-FLOAT32_MAX, FLOAT32_MAX))
    return values.float()


def _packs(tensors: Sequence[Tensor], kernel: Kernel) -> Iterator[_Pack]:
    pack, room = _Pack(0, []), kernel.elements
    for row, tensor in enumerate(tensors):
        flat = _flat(tensor)
        for piece in flat.split(kernel.elements) if flat.numel() > kernel.elements else (flat,):
            follows = row == pack.first + len(pack.pieces)
            if pack.pieces and not (follows and piece.numel() <= room and len(pack.pieces) < kernel.tensors):
                yield pack
                pack, room = _Pack(row, []), kernel.elements
            if piece.numel():
                pack = pack if pack.pieces else _Pack(row, [])
                pack.pieces.append(piece)
                room -= piece.numel()
    if pack.pieces:
        yield pack


def _flat(tensor: Tensor) -> Tensor:
    return tensor.detach().resolve_conj().resolve_neg().reshape(-1)


def _no_moments(rows: int, device: torch.device) -> Tensor:
    moments = torch.zeros((rows, MOMENTS), dtype=torch.float32, device=device)
    moments[:, SMALLEST].fill_(_INFINITY)
    moments[:, LARGEST].fill_(-_INFINITY)
    return moments


def _merge(moments: Tensor, part: Tensor) -> None:
    moments[:, :SMALLEST] += part[:, :SMALLEST]
    moments[:, SMALLEST] = torch.minimum(moments[:, SMALLEST], part[:, SMALLEST])
    moments[:, LARGEST] = torch.maximum(moments[:, LARGEST], part[:, LARGEST])


def _fold(table: Tensor) -> tuple[Tensor, Tensor]:
    """Fold key counts `[T, 4096]` into bucket counts `[T, 1024]` and special counts `[T, 4]`, as `buckets.fold_keys` does."""
    cube = table.view(len(table), 2, 256, MANTISSAS)
    body = cube[:, :, FIRST_FIELD:END_FIELD].clone()
    body[:, :, 0, 0] += cube[:, :, 1:FIRST_FIELD].sum((2, 3))
    body[:, :, -1, -1] += cube[:, :, END_FIELD:255].sum((2, 3))
    zeros, nans = cube[:, :, 0].sum((1, 2)), cube[:, :, 255, 1:].sum((1, 2))
    specials = torch.stack([zeros, nans, cube[:, 0, 255, 0], cube[:, 1, 255, 0]], dim=1)
    return body.view(len(table), BUCKETS), specials.to(torch.int32).view(-1, SPECIALS)


def _count_keys_on_host(keys: Tensor, sizes: list[int]) -> Tensor:
    if len(sizes) > 1:
        offsets = torch.arange(0, len(sizes) * KEYS, KEYS, dtype=torch.int32, device="cpu")
        keys = keys + offsets.repeat_interleave(torch.tensor(sizes, device="cpu"))
    return torch.bincount(keys, minlength=len(sizes) * KEYS).view(-1, KEYS)


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


def _count_keys_on_device(keys: Tensor, sizes: list[int]) -> Tensor:
    table = keys.new_zeros((len(sizes), KEYS))
    one = keys.new_ones(1)
    for row, piece in zip(table, keys.long().split(sizes), strict=True):
        row.scatter_add_(0, piece, one.expand(len(piece)))
    return table


def _take_moments_on_device(values: Tensor, sizes: list[int]) -> Tensor:
    # nan_to_num and not where: a Python number given to where is copied to the device, and that copy waits.
    kept, low, high = (values.nan_to_num(other, other, other) for other in (0.0, _INFINITY, -_INFINITY))
    reduced = [
        [part.sum() for part in kept.split(sizes)],
        [part.sum() for part in kept.square().split(sizes)],
        [part.amin() for part in low.split(sizes)],
        [part.amax() for part in high.split(sizes)],
    ]
    return torch.stack([number for column in reduced for number in column]).view(MOMENTS, -1).T


HOST: Final = Kernel(131_072, 64, _count_keys_on_host, _take_moments_on_host)
"""For CPUs: small packs, whose keys stay in the cache."""
DEVICE: Final = Kernel(8_388_608, 64, _count_keys_on_device, _take_moments_on_device)
"""For all other devices: only launches, no data-dependent shape or range; a pack needs about 200 MB for a moment."""
