"""The counting kernels: bucket counts, special counts and moments of many tensors, on the device where they are.

The scheme is that of `multiboard.buckets`; which kernel counts depends on the device.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from multiboard.buckets import BUCKETS
from multiboard_torch import cuda
from multiboard_torch.cpu import CPU
from multiboard_torch.kernels import DEVICE, empty_counts
from multiboard_torch.packs import device_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from multiboard_torch.packs import Values


class Kernel(Protocol):
    """How one kind of device counts."""

    def add(self, rows: Sequence[Values], table: Tensor, moments: Tensor, /) -> None:
        """Add the counts of rows to those in `table` int32 `[R, 1028]` and `moments` float32 `[R, 4]`, without waiting."""


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
    tally = empty_tally(len(rows), device)
    add_to_tally(tally, rows, kernel)
    return measured(tally)


def empty_tally(rows: int, device: torch.device) -> Tally:
    """Return the counts of nothing."""
    return Tally(*empty_counts(rows, device))


def add_to_tally(tally: Tally, rows: Sequence[Values], kernel: Kernel | None = None) -> None:
    """Add the counts of tensors to those of the same rows, in place; the arguments are those of `measure`."""
    device = tally.table.device
    with torch.no_grad(), any_order(device):
        (kernel or kernel_for(device)).add(rows, tally.table, tally.moments)


def kernel_for(device: torch.device) -> Kernel:
    """Return the counting kernel of a device."""
    return CPU if device.type == "cpu" else cuda.kernel_on(device) or DEVICE


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
