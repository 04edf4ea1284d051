"""Copies of tensors on the CPU, on one thread, into memory that earlier copies have used.

Fresh memory is the larger part of the cost of a copy: the system hands it out page by page, each of them zeroed. NumPy copies,
not PyTorch: several threads that wait for each other made the same copy up to forty times as dear on a busy machine; and NumPy
asks for huge pages, so that fresh memory costs it a quarter.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    import numpy.typing as npt
    from torch import Tensor

_Key = TypeVar("_Key", bound="Hashable")

COPIED_BYTES: Final = 2**28
"""What the copies of the outputs of all layers may hold at one step; what is beyond it is counted at once."""
_KINDS: Final = 8
"""Sizes of buffers that are kept: as many as one capture uses, not those of earlier shapes of the model."""
_SPARE: Final = 3
"""Buffers of one size that are kept."""
_SAME_SIZE: Final = {1: torch.uint8, 2: torch.int16}


class Buffers:
    """Memory for copies; a buffer that is given back is used for the next copy of its size."""

    def __init__(self) -> None:
        self._free: OrderedDict[tuple[torch.dtype, int], list[Tensor]] = OrderedDict()

    def copy(self, tensors: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Copy detached tensors, those on an accelerator in the order of its current stream.

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
                np.concatenate([_on_host(part) for part in flat], out=_on_host(buffer))
                buffers.append(buffer)
            else:
                buffer = torch.cat(flat)
            for row, part in zip(rows, buffer.split(sizes), strict=True):
                copies[row] = part
        return copies, buffers

    def give_back(self, buffers: Iterable[Tensor]) -> None:
        """Offer buffers to later copies; callable from the writer thread."""
        for buffer in buffers:
            spare = self._free.setdefault((buffer.dtype, buffer.numel()), [])
            if len(spare) < _SPARE:
                spare.append(buffer)
        while len(self._free) > _KINDS:
            self._free.popitem(last=False)

    def _take(self, dtype: torch.dtype, size: int) -> Tensor:
        try:
            return self._free[dtype, size].pop()
        except (KeyError, IndexError):
            return empty(dtype, size)


def empty(dtype: torch.dtype, size: int) -> Tensor:
    """Return fresh memory on the CPU."""
    if not size:  # NumPy's empty arrays have strides that no other dtype can have
        return torch.empty(0, dtype=dtype, device="cpu")
    itemsize = torch.empty((), dtype=dtype, device="cpu").element_size()
    return torch.from_numpy(np.empty(size * itemsize, np.uint8)).view(dtype)


def group(keys: Iterable[_Key]) -> dict[_Key, list[int]]:
    """Return the positions of equal keys, in order of first appearance."""
    groups: dict[_Key, list[int]] = {}
    for position, key in enumerate(keys):
        groups.setdefault(key, []).append(position)
    return groups


def _on_host(flat: Tensor) -> npt.NDArray[Any]:
    """Return a flat tensor as an array of the same memory; of a dtype that NumPy lacks the bits."""
    lacking = flat.is_floating_point() and flat.element_size() <= 2  # noqa: PLR2004  # bfloat16, float8; float16 as well as bits
    array: npt.NDArray[Any] = (flat.view(_SAME_SIZE[flat.element_size()]) if lacking else flat).numpy()
    return array
