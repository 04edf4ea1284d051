"""The counting kernels: bucket counts, special counts and moments of many tensors, on the device where they are.

The scheme is that of `multiboard.buckets`. Tensors are cut and joined into packs, so that large ones stay in the cache and
many small ones share their calls; a kernel of the kind of device counts each pack.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch

from multiboard.buckets import BUCKETS, LARGEST, MOMENTS, SMALLEST
from multiboard_torch.kernels import DEVICE, HOST, SLOTS, Kernel, inverse
from multiboard_torch.packs import device_of, joined, packs, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from multiboard_torch.packs import Values


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


class Tally(NamedTuple):
    """Counts that add up over chunks and over calls.

    Attributes:
        table: int32 `[T, 1028]`: buckets and specials.
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
    with torch.no_grad(), any_order(device):
        tally = empty_tally(len(rows), device)
        # By size, so that small tensors share packs also where they stand between large ones.
        order = sorted(range(len(rows)), key=lambda row: size_of(rows[row]))
        add_to_tally(tally, [rows[row] for row in order], kernel or kernel_for(device))
        places = inverse(tuple(order), device)
        return measured(Tally(*(part.index_select(0, places) for part in tally)))


def empty_tally(rows: int, device: torch.device) -> Tally:
    """Return the counts of nothing."""
    moments = torch.zeros((rows, MOMENTS), dtype=torch.float32, device=device)
    moments[:, SMALLEST].fill_(float("inf"))
    moments[:, LARGEST].fill_(-float("inf"))
    return Tally(torch.zeros((rows, SLOTS), dtype=torch.int32, device=device), moments)


def add_to_tally(tally: Tally, rows: Sequence[Values], kernel: Kernel) -> None:
    """Add the counts of tensors to those of the same rows, in place."""
    for pack in packs(rows, kernel.elements, kernel.tensors):
        span = slice(pack.first, pack.first + len(pack.pieces))
        sizes = [size_of(piece) for piece in pack.pieces]
        kernel.add(joined(pack.pieces), sizes, tally.table[span], tally.moments[span])


def kernel_for(device: torch.device) -> Kernel:
    """Return the counting kernel of a kind of device."""
    return HOST if device.type == "cpu" else DEVICE


@contextmanager
def any_order(device: torch.device) -> Iterator[None]:
    """Let integers be added in any order on a device, which `use_deterministic_algorithms` forbids or makes wait for it.

    The setting is that of the process: it is changed in the training thread only, which enqueues what is counted on devices, and
    never in the writer thread, which counts on the CPU.
    """
    if device.type == "cpu" or not torch.are_deterministic_algorithms_enabled():
        yield
        return
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=True, warn_only=only_warns)


def measured(tally: Tally) -> Measured:
    """Return the counts of a tally in the columns that they are read in."""
    return Measured(tally.table[:, :BUCKETS], tally.table[:, BUCKETS:], tally.moments)
