"""Copies of tensors on the CPU: one call per dtype, into memory that earlier copies have used.

Fresh memory is the larger part of the cost of a copy: the system hands it out page by page, each of them zeroed.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from torch import Tensor

_Key = TypeVar("_Key", bound="Hashable")


class Buffers:
    """Memory for copies; a buffer that is given back is used for the next copy of its size."""

    def __init__(self) -> None:
        self._free: defaultdict[tuple[torch.dtype, int], list[Tensor]] = defaultdict(list)

    def copy(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Copy tensors, those on an accelerator in the order of its current stream.

        Returns:
            The copies in order, each flat and contiguous, and the buffers that hold them.
        """
        copies: list[Tensor] = list(tensors)
        buffers = []
        for (device, dtype), rows in group((tensor.device, tensor.dtype) for tensor in tensors).items():
            flat = [tensors[row].resolve_conj().resolve_neg().reshape(-1) for row in rows]
            sizes = [part.numel() for part in flat]
            if device.type == "cpu":
                buffer = self._take(dtype, sum(sizes))
                torch.cat(flat, out=buffer)
                buffers.append(buffer)
            else:
                buffer = torch.cat(flat)
            for row, part in zip(rows, buffer.split(sizes), strict=True):
                copies[row] = part
        return copies, buffers

    def give_back(self, buffers: Iterable[Tensor]) -> None:
        """Offer buffers to later copies; callable from the writer thread."""
        for buffer in buffers:
            self._free[buffer.dtype, buffer.numel()].append(buffer)

    def _take(self, dtype: torch.dtype, size: int) -> Tensor:
        try:
            return self._free[dtype, size].pop()
        except IndexError:
            return torch.empty(size, dtype=dtype, device="cpu")


def group(keys: Iterable[_Key]) -> dict[_Key, list[int]]:
    """Return the positions of equal keys, in order of first appearance."""
    groups: dict[_Key, list[int]] = {}
    for position, key in enumerate(keys):
        groups.setdefault(key, []).append(position)
    return groups
