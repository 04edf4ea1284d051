"""What keeps the values of one step until their statistics are on the host.

On a CPU a batch holds copies, and the writer thread counts them. On any other device the counting is enqueued on the current
stream at once, and the writer thread waits for the result: a later update in place cannot reach either.
"""

from __future__ import annotations

import weakref
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch

from multiboard.buckets import BUCKETS, LARGEST, SMALLEST, SPECIALS
from multiboard.values import MeasuredBatch
from multiboard_torch.arrival import Arrival
from multiboard_torch.buffers import Buffers, group
from multiboard_torch.packs import device_of
from multiboard_torch.statistics import Measured, Tally, measure, measured
from multiboard_torch.threads import use_one_thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from multiboard_torch.packs import Values

HELD_BYTES: Final = 2**30
"""What copies that wait for the writer thread may hold together; a capture beyond it is left out and counted."""


class _Row(NamedTuple):
    """A tensor on the CPU that will be counted.

    Attributes:
        place: among all rows of the batch; several tensors of one place add up.
        values: a copy.
    """

    place: int
    values: Values


class Batch:
    """The tensors of one capture, possibly on several devices; rows are in the order of adding.

    Args:
        buffers: get the memory of the copies back.

    Attributes:
        shared: which rows are to be added up over all processes.
        nbytes: that the copies hold.
        error: why this process could not measure; `fetch` raises it.
    """

    def __init__(self, buffers: Buffers | None = None) -> None:
        self._buffers = buffers or Buffers()
        self.shared: list[int] = []
        self._host: list[_Row] = []
        self._counted: list[tuple[list[int], Measured]] = []
        self._enqueued: list[tuple[list[int], Enqueued]] = []
        self._used: list[Tensor] = []
        self._size = 0
        self.nbytes = 0
        self.error: Exception | None = None
        _HELD.add(self)

    def copy(self, tensors: Sequence[Tensor], *, always: bool = False) -> list[Tensor]:
        """Copy what is on the CPU, where nothing else keeps the values of this moment.

        Args:
            tensors: strided.
            always: copy those on an accelerator, too.
        """
        rows = [row for row, tensor in enumerate(tensors) if always or tensor.device.type == "cpu"]
        copies, used = self._buffers.copy([tensors[row] for row in rows])
        self._used += used
        self.nbytes += sum(buffer.nbytes for buffer in used)
        kept = list(tensors)
        for row, copied in zip(rows, copies, strict=True):
            kept[row] = copied
        return kept

    def add(self, rows: Sequence[Values], shared: Sequence[bool] | None = None) -> None:
        """Measure rows, on an accelerator now and on the CPU later, when they must still be what they are.

        Args:
            rows: strided tensors.
            shared: which of them are to be added up over all processes.
        """
        for device, chosen in group(device_of(row) for row in rows).items():
            places = [self._size + row for row in chosen]
            if device.type == "cpu":
                self._host += [_Row(place, rows[row]) for place, row in zip(places, chosen, strict=True)]
            else:
                self._enqueued.append((places, Enqueued(measure([rows[row] for row in chosen]))))
        self.shared += [self._size + row for row, is_shared in enumerate(shared or ()) if is_shared]
        self._size += len(rows)

    def add_counted(self, rows: Sequence[tuple[Sequence[Tally], Sequence[Tensor]]], *, shared: bool) -> None:
        """Add rows that were counted already, at least in part.

        Args:
            rows: for each row counts of one row, which add up and of which copies are made, and copies on the CPU, still to be
                counted.
            shared: whether they are to be added up over all processes.
        """
        tallies = [(self._size + row, tally) for row, (counted, _) in enumerate(rows) for tally in counted]
        for device, chosen in group(tally.table.device for _, tally in tallies).items():
            places = [tallies[index][0] for index in chosen]
            together = Tally(*(torch.cat(parts) for parts in zip(*(tallies[index][1] for index in chosen), strict=True)))
            if device.type == "cpu":
                self._counted.append((places, measured(together)))
            else:
                self._enqueued.append((places, Enqueued(measured(together))))
        self._host += [_Row(self._size + row, copied) for row, (_, copies) in enumerate(rows) for copied in copies]
        self.nbytes += sum(copied.nbytes for _, copies in rows for copied in copies)
        self.shared += range(self._size, self._size + len(rows)) if shared else []
        self._size += len(rows)

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait for a device."""
        return all(part.is_ready() for _, part in self._enqueued)

    def fetch(self) -> MeasuredBatch:
        """Return the statistics on the host; called once, not in the training thread, and may wait there."""
        batch = MeasuredBatch(
            np.zeros((self._size, BUCKETS), np.int64),
            np.zeros((self._size, SPECIALS), np.int64),
            np.tile(_NO_MOMENTS, (self._size, 1)),
        )
        use_one_thread()
        try:
            if self.error is not None:
                raise self.error
            counted = ([row.place for row in self._host], measure([row.values for row in self._host]))
            for places, found in (counted, *self._counted):
                _add(batch, places, MeasuredBatch(*(array.numpy() for array in found)))
            for places, part in self._enqueued:
                _add(batch, places, part.fetch())
        finally:
            self._buffers.give_back(self._used)
            self._host, self._counted, self._enqueued, self._used, self.nbytes = [], [], [], [], 0
        return batch


class Enqueued:
    """Statistics of tensors on an accelerator, on their way to the host in one block of int32 `[T, 1024 + 4 + 4]`."""

    def __init__(self, found: Measured) -> None:
        self._block = Arrival(torch.cat([found.counts, found.specials, found.moments.contiguous().view(torch.int32)], dim=1))

    def is_ready(self) -> bool:
        """Tell whether the block has arrived."""
        return self._block.is_ready()

    def fetch(self) -> MeasuredBatch:
        """Wait for the block and cut it up."""
        counts, specials, moments = np.split(self._block.fetch().numpy(), [BUCKETS, BUCKETS + SPECIALS], axis=1)
        return MeasuredBatch(counts, specials, moments.view(np.float32))


_HELD: Final[weakref.WeakSet[Batch]] = weakref.WeakSet()


class BacklogError(RuntimeError):
    """The writer thread is so far behind that a further copy could exhaust the memory."""


def check_backlog() -> None:
    """Raise BacklogError if the copies that wait for the writer thread hold more than `HELD_BYTES`."""
    held = sum(batch.nbytes for batch in list(_HELD))
    if held > HELD_BYTES:
        raise BacklogError(f"earlier captures of {held} bytes still wait for the writer thread; capture less often (every=...)")


def values_of(tensor: Tensor) -> Tensor:
    """Return the strided tensor whose values are counted; of a sparse one the coalesced values. The argument stays as it is.

    Raises:
        TypeError: the tensor holds no values here.
    """
    if tensor.device.type == "meta":
        raise TypeError("a tensor on the meta device has no values")
    tensor = tensor.detach()
    if tensor.layout == torch.sparse_coo:
        return tensor.coalesce().values()
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise TypeError(f"a tensor with layout {tensor.layout} and dtype {tensor.dtype} cannot be counted")
    return tensor


def _add(batch: MeasuredBatch, places: list[int], found: MeasuredBatch) -> None:
    """Add rows to those of their places."""
    counts, specials, moments = found
    for rows in _distinct(places):
        at = [places[row] for row in rows]
        batch.counts[at] += counts[rows]
        batch.specials[at] += specials[rows]
        batch.moments[at, :SMALLEST] += moments[rows, :SMALLEST]
        batch.moments[at, SMALLEST] = np.minimum(batch.moments[at, SMALLEST], moments[rows, SMALLEST])
        batch.moments[at, LARGEST] = np.maximum(batch.moments[at, LARGEST], moments[rows, LARGEST])


def _distinct(places: list[int]) -> list[list[int]]:
    """Return the rows in sets in which no place comes twice."""
    sets: list[list[int]] = []
    seen: Counter[int] = Counter()
    for row, place in enumerate(places):
        if seen[place] == len(sets):
            sets.append([])
        sets[seen[place]].append(row)
        seen[place] += 1
    return sets


_NO_MOMENTS: Final = np.array([0.0, 0.0, np.inf, -np.inf])
