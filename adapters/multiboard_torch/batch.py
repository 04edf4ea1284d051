"""What keeps the values of one step, from the hook until the writer thread takes their statistics.

On a CPU the hook copies the values once, and the writer thread counts them. On any other device the hook enqueues the counting
on the current stream, and the writer thread waits for the result: a later update in place cannot reach either.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import numpy as np
import torch

from multiboard.buckets import BUCKETS, MOMENTS, SPECIALS
from multiboard.values import MeasuredBatch
from multiboard_torch.statistics import DEVICE, Measured, measure
from multiboard_torch.threads import use_one_thread

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from torch import Tensor

_Key = TypeVar("_Key", bound="Hashable")

HELD_BYTES: Final = 2**30
"""What snapshots that wait for the writer thread may hold together; a capture beyond it is left out and counted."""


class Batch:
    """The tensors of one capture, possibly on several devices; rows are in the order of adding."""

    def __init__(self) -> None:
        self._parts: list[tuple[list[int], Snapshot | Enqueued]] = []
        self._size = 0

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Keep the values of this moment; waits for no device."""
        for device, rows in _group(tensor.device for tensor in tensors).items():
            chosen = [tensors[row] for row in rows]
            part = Snapshot(chosen) if device.type == "cpu" else Enqueued(chosen)
            self._parts.append(([self._size + row for row in rows], part))
        self._size += len(tensors)

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait for a device."""
        return all(part.is_ready() for _, part in self._parts if isinstance(part, Enqueued))

    def fetch(self) -> MeasuredBatch:
        """Return the statistics on the host; called once, in the writer thread, which may wait here."""
        batch = MeasuredBatch(
            np.zeros((self._size, BUCKETS), np.int32),
            np.zeros((self._size, SPECIALS), np.int32),
            np.zeros((self._size, MOMENTS), np.float32),
        )
        for rows, part in self._parts:
            for whole, fetched in zip(batch, part.fetch(), strict=True):
                whole[rows] = fetched
        return batch


class _Joined(NamedTuple):
    """Copies of tensors of one dtype in one buffer."""

    rows: list[int]
    sizes: list[int]
    buffer: Tensor


class Snapshot:
    """A copy of tensors on the CPU: one buffer and one call per dtype."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self._rows = len(tensors)
        self._joined = [
            _Joined(rows, [tensors[row].numel() for row in rows], torch.cat([tensors[row].reshape(-1) for row in rows]))
            for rows in _group(tensor.dtype for tensor in tensors).values()
        ]
        self.nbytes = sum(joined.buffer.nbytes for joined in self._joined)
        _HELD.add(self)

    def fetch(self) -> MeasuredBatch:
        """Count the copied values, on one core, and let go of them."""
        use_one_thread()
        copies: list[Tensor] = [torch.empty(0, device="cpu")] * self._rows
        for joined in self._joined:
            for row, copy in zip(joined.rows, joined.buffer.split(joined.sizes), strict=True):
                copies[row] = copy
        self._joined.clear()
        measured = measure(copies)
        self.nbytes = 0
        return MeasuredBatch(*(array.numpy() for array in measured))


class Enqueued:
    """Statistics of tensors on an accelerator, on their way to the host in one block of int32 `[T, 1024 + 4 + 4]`."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        if tensors[0].is_cuda and torch.cuda.is_current_stream_capturing():
            raise RuntimeError("the optimizer step is being captured in a CUDA graph, which replays no hooks")
        self._copied: torch.cuda.Event | None = None
        self._block = self._start_copy(_joined_columns(measure(tensors, DEVICE)))

    def _start_copy(self, block: Tensor) -> Tensor:
        if not block.is_cuda:
            return block
        # Into pinned memory, or the copy waits; the event is waited for, because the writer thread has other streams.
        pinned = torch.empty(block.shape, dtype=block.dtype, device="cpu", pin_memory=True)
        pinned.copy_(block, non_blocking=True)
        self._copied = torch.cuda.current_stream(block.device).record_event()
        return pinned

    def is_ready(self) -> bool:
        """Tell whether the block has arrived."""
        return self._copied is None or self._copied.query()

    def fetch(self) -> MeasuredBatch:
        """Wait for the block and cut it up."""
        if self._copied is not None:
            self._copied.synchronize()
        block = self._block.cpu().numpy()
        counts, specials, moments = np.split(block, [BUCKETS, BUCKETS + SPECIALS], axis=1)
        return MeasuredBatch(counts, specials, moments.view(np.float32))


_HELD: Final[weakref.WeakSet[Snapshot]] = weakref.WeakSet()


class BacklogError(RuntimeError):
    """The writer thread is so far behind that a further snapshot could exhaust the memory."""


def check_backlog() -> None:
    """Raise BacklogError if the snapshots that wait for the writer thread hold more than `HELD_BYTES`."""
    held = sum(snapshot.nbytes for snapshot in list(_HELD))
    if held > HELD_BYTES:
        raise BacklogError(f"earlier captures of {held} bytes still wait for the writer thread; capture less often (every=...)")


def values_of(tensor: Tensor) -> Tensor:
    """Return the strided tensor whose values are counted; of a sparse one the coalesced values. The argument stays as it is.

    Raises:
        TypeError: the tensor holds no values here, or only a part of them.
    """
    if tensor.device.type == "meta":
        raise TypeError("a tensor on the meta device has no values")
    if hasattr(tensor, "to_local"):
        raise TypeError("a sharded tensor (DTensor) holds only a part of its values in this process")
    tensor = tensor.detach()
    if tensor.layout == torch.sparse_coo:
        return tensor.coalesce().values()
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise TypeError(f"a tensor with layout {tensor.layout} and dtype {tensor.dtype} cannot be counted")
    return tensor


def _joined_columns(measured: Measured) -> Tensor:
    return torch.cat([measured.counts, measured.specials, measured.moments.contiguous().view(torch.int32)], dim=1)


def _group(keys: Iterable[_Key]) -> dict[_Key, list[int]]:
    """Return the positions of equal keys, in order of first appearance."""
    groups: dict[_Key, list[int]] = {}
    for position, key in enumerate(keys):
        groups.setdefault(key, []).append(position)
    return groups
