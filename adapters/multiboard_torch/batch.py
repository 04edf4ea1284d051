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

from multiboard.buckets import BUCKETS, LARGEST, MOMENTS, SMALLEST, SPECIALS
from multiboard.values import MeasuredBatch
from multiboard_torch.arrival import Arrival
from multiboard_torch.buffers import Buffers, group
from multiboard_torch.distributed import Sums, unpack
from multiboard_torch.packs import device_of
from multiboard_torch.statistics import Measured, Tally, measure, measured
from multiboard_torch.threads import use_one_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from multiboard_torch.distributed import Reducer
    from multiboard_torch.packs import Values

HELD_BYTES: Final = 2**30
"""What copies that wait for the writer thread may hold together; a capture beyond it is left out and counted."""


class _Row(NamedTuple):
    """A tensor on the CPU that will be counted.

    Attributes:
        place: among all rows of the batch; several tensors of one place add up.
        values: a copy, or what was counted already.
        shared: it is to be added up over all processes.
    """

    place: int
    values: Values | Tally
    shared: bool


class Batch:
    """The tensors of one capture, possibly on several devices; rows are in the order of adding.

    Args:
        buffers: get the memory of the copies back.
        reducer: adds up what is shared among processes.
        step: of the capture.

    Attributes:
        nbytes: that the copies hold.
        error: why this process could not measure: it takes part in the sums with nothing, and `fetch` raises it.
    """

    def __init__(self, buffers: Buffers | None = None, reducer: Reducer | None = None, step: int = 0) -> None:
        self._buffers, self._reducer, self._step = buffers or Buffers(), reducer, step
        self._host: list[_Row] = []
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
        flags = shared or [False] * len(rows)
        for device, chosen in group(device_of(row) for row in rows).items():
            places = [self._size + row for row in chosen]
            if device.type == "cpu":
                self._host += [_Row(place, rows[row], flags[row]) for place, row in zip(places, chosen, strict=True)]
            else:
                values = [rows[row] for row in chosen]
                self._enqueue(places, lambda values=values: measure(values), [flags[row] for row in chosen], device)  # type: ignore[misc]
        self._size += len(rows)

    def add_counted(self, tally: Tally, further: Sequence[Sequence[Tensor]], *, shared: bool) -> None:
        """Add rows that were counted already, at least in part.

        Args:
            tally: the counts; on the CPU they must not change any more.
            further: for each row, copies on the CPU that are still to be counted.
            shared: whether they are to be added up over all processes.
        """
        places = list(range(self._size, self._size + len(tally.table)))
        device = tally.table.device
        if device.type == "cpu":
            for row, place in enumerate(places):
                self._host.append(_Row(place, Tally(tally.table[row : row + 1], tally.moments[row : row + 1]), shared))
                self._host += [_Row(place, copied, shared) for copied in further[row]]
                self.nbytes += sum(copied.nbytes for copied in further[row])
        else:
            self._enqueue(places, lambda: measured(tally), [shared] * len(places), device)
        self._size += len(places)

    def _enqueue(self, places: list[int], measuring: Callable[[], Measured], shared: list[bool], device: torch.device) -> None:
        reducer = self._reducer if any(shared) else None
        self._enqueued.append((places, Enqueued(measuring, shared, device, reducer, self._step, self.error)))

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
        try:
            self._fetch_host(batch)
        finally:
            self._buffers.give_back(self._used)
            self._host, self._used, self.nbytes = [], [], 0
        for places, part in self._enqueued:
            _put(batch, places, *part.fetch())
        return batch

    def _fetch_host(self, batch: MeasuredBatch) -> None:
        use_one_thread()
        reducer = self._reducer if any(row.shared for row in self._host) else None
        try:
            self._raise_error()
            for places, found in _measured_on_host(self._host):
                _add(batch, places, found)
        except Exception:
            if reducer is not None:  # the other processes wait for this one
                self._reduce(reducer, batch, valid=False)
            raise
        if reducer is not None:
            self._reduce(reducer, batch, valid=True)

    def _raise_error(self) -> None:
        if self.error is not None:
            raise self.error

    def _reduce(self, reducer: Reducer, batch: MeasuredBatch, *, valid: bool) -> None:
        places = sorted({row.place for row in self._host if row.shared})
        counts = torch.from_numpy(np.concatenate([batch.counts[places], batch.specials[places]], axis=1))
        reduction = reducer.start(Sums(counts, torch.from_numpy(batch.moments[places])), self._step, valid=valid)
        reduction.wait()
        if valid:
            _put_sums(batch, places, unpack(*reduction.tensors()))


class Enqueued:
    """Statistics of tensors on an accelerator, on their way to the host in one block of int32 `[T, 1024 + 4 + 4]`."""

    def __init__(
        self,
        measuring: Callable[[], Measured],
        shared: list[bool],
        device: torch.device,
        reducer: Reducer | None = None,
        step: int = 0,
        error: Exception | None = None,
    ) -> None:
        if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            raise RuntimeError("the optimizer step is being captured in a CUDA graph, which replays no hooks")
        self._shared = [row for row, is_shared in enumerate(shared) if is_shared]
        self._error = error
        found = self._measured(measuring, len(shared), device, reducer)
        self._sums = None if reducer is None else self._start_sums(reducer, found, step)
        self._block = Arrival([_joined_columns(found)])

    def _measured(self, measuring: Callable[[], Measured], rows: int, device: torch.device, reducer: Reducer | None) -> Measured:
        try:
            return measuring()
        except Exception as error:
            if reducer is None:
                raise
            self._error = error  # the other processes wait for this one
            return Measured(*(torch.zeros((rows, columns), device=device) for columns in (BUCKETS, SPECIALS, MOMENTS)))

    def _start_sums(self, reducer: Reducer, found: Measured, step: int) -> Arrival:
        rows = _on(self._shared, found.counts.device)
        counts = torch.cat([found.counts, found.specials], dim=1).index_select(0, rows).to(torch.int64)
        sums = Sums(counts, found.moments.index_select(0, rows).double())
        reduction = reducer.start(sums, step, valid=self._error is None)
        return Arrival(reduction.tensors(), reduction.wait)

    def is_ready(self) -> bool:
        """Tell whether everything has arrived."""
        return self._block.is_ready() and (self._sums is None or self._sums.is_ready())

    def fetch(self) -> MeasuredBatch:
        """Wait for the block and cut it up."""
        (block,) = self._block.fetch()
        sums = None if self._sums is None else self._sums.fetch()
        if self._error is not None:
            raise self._error
        counts, specials, moments = np.split(block.numpy(), [BUCKETS, BUCKETS + SPECIALS], axis=1)
        batch = MeasuredBatch(counts.astype(np.int64), specials.astype(np.int64), moments.view(np.float32).astype(np.float64))
        if sums is not None:
            _put_sums(batch, self._shared, unpack(*sums))
        return batch


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


def _measured_on_host(rows: list[_Row]) -> list[tuple[list[int], Measured]]:
    counted = [row for row in rows if isinstance(row.values, Tally)]
    plain = [row for row in rows if not isinstance(row.values, Tally)]
    found = [([row.place for row in plain], measure([row.values for row in plain]))]  # type: ignore[misc]
    if counted:
        tally = Tally(*(torch.cat(parts) for parts in zip(*(row.values for row in counted), strict=True)))
        found.append(([row.place for row in counted], measured(tally)))
    return found


def _add(batch: MeasuredBatch, places: list[int], found: Measured) -> None:
    """Add rows to those of their places."""
    counts, specials, moments = (array.numpy() for array in found)
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


def _put(batch: MeasuredBatch, places: list[int], *columns: np.typing.NDArray[np.generic]) -> None:
    for whole, part in zip(batch, columns, strict=True):
        whole[places] = part


def _put_sums(batch: MeasuredBatch, places: list[int], sums: Sums) -> None:
    counts = sums.counts.numpy()
    _put(batch, places, counts[:, :BUCKETS], counts[:, BUCKETS:], sums.moments.numpy())


def _joined_columns(found: Measured) -> Tensor:
    counts, specials = found.counts.to(torch.int32), found.specials.to(torch.int32)
    return torch.cat([counts, specials, found.moments.float().contiguous().view(torch.int32)], dim=1)


def _on(rows: list[int], device: torch.device) -> Tensor:
    indices = torch.tensor(rows, dtype=torch.int64, device="cpu")
    return (indices.pin_memory() if device.type == "cuda" else indices).to(device, non_blocking=True)
