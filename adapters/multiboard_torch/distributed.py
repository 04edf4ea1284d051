"""One model on several processes: which values are here, who counts them, and sums over all processes.

A tensor that every process holds (DistributedDataParallel) is counted on rank 0 alone. Of a sharded one (DTensor, as FSDP2 makes
them) every process counts its shard where it is, and the counts are added up; values are never gathered.

The sums are made on the host, by a thread of their own in a gloo group of their own, in the order of the captures. Not on the
device: a collective that one process does not join (out of memory, an exception) stops a NCCL stream for ever and then ends the
job, which a logger must not do. Here the processes first tell each other what they have; what does not fit is left out and said.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import torch
from torch import distributed as dist

from multiboard.buckets import LARGEST, SMALLEST
from multiboard.errors import ArgumentError
from multiboard_torch._compat import dtensor_class

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from multiboard.values import MeasuredBatch

_PATIENCE: Final = timedelta(minutes=2)
"""How long a process waits for the others before the sums are given up."""


def rank() -> int:
    """Return the rank of this process, 0 without a process group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def processes() -> int:
    """Return the number of processes of the job, 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_sharded(tensor: object) -> bool:
    """Tell whether a tensor is a DTensor, which holds a part of its values in this process."""
    kind = dtensor_class()
    return kind is not None and isinstance(tensor, kind)


def local_part(tensor: Tensor) -> Tensor:
    """Return the values that this process holds.

    Raises:
        TypeError: they are a part of a sum: to add them up would be a collective among those of the training.
    """
    if not is_sharded(tensor):
        return tensor
    sharded: Any = tensor
    if any(placement.is_partial() for placement in sharded.placements):
        raise TypeError(f"a DTensor with placements {sharded.placements} holds a part of each value in this process")
    local: Tensor = sharded.to_local()
    return local


def counts_here(tensor: Tensor) -> bool:
    """Tell whether this process is the one that counts its part: of copies the first one does, and of meshes that with rank 0."""
    if not is_sharded(tensor):
        return rank() == 0
    sharded: Any = tensor
    place = sharded.device_mesh.get_coordinate()
    if place is None or 0 not in sharded.device_mesh.mesh.flatten().tolist():
        return False
    return all(at == 0 or not p.is_replicate() for at, p in zip(place, sharded.placements, strict=True))


class Shared(Protocol):
    """What is measured by several processes together.

    Attributes:
        shared: which rows are to be added up.
    """

    @property
    def shared(self) -> Sequence[int]:
        """See the class."""
        ...

    def fetch(self) -> MeasuredBatch:
        """Return what this process has measured; may wait."""
        ...


class Reducer:
    """Adds up over all processes. All of them make it at the same point.

    Args:
        agrees: whether `agree` will be used.

    Raises:
        ArgumentError: the other processes do not make one.
    """

    def __init__(self, *, agrees: bool = False) -> None:
        self._processes = processes()
        try:
            self._group = dist.new_group(timeout=_PATIENCE, backend="gloo")
            self._agreement = dist.new_group(timeout=_PATIENCE, backend="gloo") if agrees else None
        except RuntimeError as error:
            remedy = "sharded parameters and activations are counted by all processes together: call watch() on every rank"
            raise ArgumentError("run", None, f"{remedy}, with run=None on others than 0") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="multiboard-reduce")
        self._broken: Exception | None = None

    def later(self, measured: Shared, step: int) -> Later:
        """Fetch and add up in the thread of the sums, after all that it was given before, wanted or not.

        Args:
            measured: of this process.
            step: of the capture.
        """
        return Later(self._thread.submit(self._add_up, measured, step))

    def agree(self, cost: float, step_seconds: float) -> Callable[[], tuple[float, float]]:
        """Begin to find the largest cost and the shortest step of all processes; the function that is returned tells them."""
        numbers = torch.tensor([cost, -step_seconds], dtype=torch.float64, device="cpu")
        work = dist.all_reduce(numbers, dist.ReduceOp.MAX, group=self._agreement, async_op=True)

        def agreed() -> tuple[float, float]:
            work.wait()
            return float(numbers[0]), -float(numbers[1])

        return agreed

    def close(self) -> None:
        """Take no more; what was begun is finished. The process groups end with the job."""
        self._thread.shutdown(wait=False)

    def _add_up(self, measured: Shared, step: int) -> MeasuredBatch:
        if self._broken is not None:
            raise OutOfStepError(f"an earlier sum over the processes failed: {self._broken}")
        batch: MeasuredBatch | None = None
        failed: Exception | None = None
        try:
            batch = measured.fetch()
        except Exception as error:  # noqa: BLE001  # the other processes wait for this one
            failed = error
        try:
            self._meet(step, len(measured.shared), valid=failed is None)
        except OutOfStepError as error:
            raise failed or error from None
        if batch is None:
            raise failed or OutOfStepError("nothing was measured")
        self._sum(batch, list(measured.shared))
        return batch

    def _meet(self, step: int, rows: int, *, valid: bool) -> None:
        """Return when all processes are at this step with as many rows; those that are behind leave theirs out.

        Raises:
            OutOfStepError: this process is behind, the others have other rows, or one of them could not measure.
        """
        while True:
            last, first, most, least, failures = self._largest(step, -step, rows, -rows, int(not valid))
            if last == -first:
                break
            if step < last:
                raise OutOfStepError(f"the processes are at different steps, {-first} to {last}; watch alike on every rank")
        if most != -least:
            raise OutOfStepError(
                f"the processes hold {-least} to {most} tensors; use per_rank=True where they hold different layers"
            )
        if failures:
            raise OutOfStepError("a process could not measure its part")

    def _largest(self, *numbers: int) -> list[int]:
        header = torch.tensor(numbers, dtype=torch.int64, device="cpu")
        self._all_reduce(header, dist.ReduceOp.MAX)
        return [int(number) for number in header.tolist()]

    def _sum(self, batch: MeasuredBatch, rows: list[int]) -> None:
        counts = torch.from_numpy(np.concatenate([batch.counts[rows], batch.specials[rows]], axis=1))
        totals = torch.from_numpy(batch.moments[rows, :SMALLEST])
        extremes = torch.from_numpy(np.stack([-batch.moments[rows, SMALLEST], batch.moments[rows, LARGEST]], axis=1))
        self._all_reduce(counts, dist.ReduceOp.SUM)
        self._all_reduce(totals, dist.ReduceOp.SUM)
        self._all_reduce(extremes, dist.ReduceOp.MAX)
        buckets = batch.counts.shape[1]
        batch.counts[rows], batch.specials[rows] = counts[:, :buckets].numpy(), counts[:, buckets:].numpy()
        batch.moments[rows, :SMALLEST] = totals.numpy()
        batch.moments[rows, SMALLEST], batch.moments[rows, LARGEST] = -extremes[:, 0].numpy(), extremes[:, 1].numpy()

    def _all_reduce(self, numbers: Tensor, operation: Any) -> None:
        try:
            dist.all_reduce(numbers, operation, group=self._group)
        except Exception as error:
            self._broken = error
            raise OutOfStepError(f"the other processes are gone: {error}") from error


class OutOfStepError(RuntimeError):
    """The processes did not measure the same thing, so that their sum means nothing."""


class Later:
    """Measurements that another thread is adding up: a `Pending`."""

    def __init__(self, future: Future[MeasuredBatch]) -> None:
        self._future = future

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait."""
        return self._future.done()

    def fetch(self) -> MeasuredBatch:
        """Wait for them."""
        return self._future.result()
