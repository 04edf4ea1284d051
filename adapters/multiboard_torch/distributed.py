"""One model on several processes: which values are here, who counts them, and sums over all processes.

A tensor that every process holds (DistributedDataParallel) is counted on rank 0 alone. Of a sharded one (DTensor, as FSDP2 makes
them) every process counts its shard, and the counts are added up; values are never gathered. The sums have process groups of
their own, so that they cannot get between the collectives of the training. On an accelerator they are started by the training
thread and nobody waits for them there; on a CPU a thread of their own does it, in the order of the captures.
"""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import torch
from torch import distributed as dist

from multiboard.buckets import LARGEST, SMALLEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor

_T = TypeVar("_T")

_PATIENCE: Final = timedelta(minutes=5)
"""How long a process waits for the others before the sums are given up."""


def rank() -> int:
    """Return the rank of this process, 0 without a process group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def processes() -> int:
    """Return the number of processes of the job, 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def is_sharded(tensor: object) -> bool:
    """Tell whether a tensor is a DTensor, which holds a part of its values in this process."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def local_part(tensor: Tensor) -> Tensor:
    """Return the values that this process holds; of a partial sum the sum, which is a collective of the training's own group."""
    if not is_sharded(tensor):
        return tensor
    sharded: Any = tensor
    if any(placement.is_partial() for placement in sharded.placements):
        replicate = sys.modules["torch.distributed.tensor"].Replicate()
        summed = [replicate if placement.is_partial() else placement for placement in sharded.placements]
        sharded = sharded.redistribute(placements=summed)
    local: Tensor = sharded.to_local()
    return local


def counts_here(tensor: Tensor) -> bool:
    """Tell whether this process is the one that counts its part: of copies the first one does."""
    if not is_sharded(tensor):
        return rank() == 0
    sharded: Any = tensor
    place = sharded.device_mesh.get_coordinate()
    return place is not None and all(at == 0 or p.is_shard() for at, p in zip(place, sharded.placements, strict=True))


class Sums(NamedTuple):
    """What is added up over all processes: one row per tensor.

    Attributes:
        counts: int64 `[T, 1028]`: buckets and specials.
        moments: float64 `[T, 4]`, as in `Measured`.
    """

    counts: Tensor
    moments: Tensor


class Reducer:
    """Adds up over all processes. All of them make it at the same point, and use it for the same rows in the same order.

    Args:
        devices: types of the devices on which there is something to add up, e.g. {'cuda'}.
        agrees: whether `agree` will be used.
    """

    def __init__(self, devices: Iterable[str], *, agrees: bool = False) -> None:
        self._agreement = dist.new_group(timeout=_PATIENCE, backend="gloo") if agrees else None
        self._groups = {
            device: dist.new_group(timeout=_PATIENCE, backend="gloo" if device == "cpu" else None) for device in sorted(devices)
        }
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="multiboard-reduce")
        self._broken: Exception | None = None

    def start(self, sums: Sums, step: int, *, valid: bool) -> Reduction:
        """Begin to add up; waits for nothing.

        Args:
            sums: of this process; overwritten.
            step: of the capture: it must be the same everywhere.
            valid: whether this process could measure; the others learn it.
        """
        device, group = sums.counts.device, self._groups[sums.counts.device.type]
        counts = torch.cat([sums.counts, sums.counts.new_zeros(1, sums.counts.shape[1])])
        counts[-1, 0] += int(valid)
        totals = sums.moments[:, :SMALLEST].contiguous()
        extremes = torch.stack([-sums.moments[:, SMALLEST], sums.moments[:, LARGEST]], dim=1)
        extremes = torch.cat([extremes, torch.full((1, 2), float(step), dtype=extremes.dtype, device=device)])
        extremes[-1, 0].neg_()
        works = [
            dist.all_reduce(part, operation, group=group, async_op=True)
            for part, operation in ((counts, dist.ReduceOp.SUM), (totals, dist.ReduceOp.SUM), (extremes, dist.ReduceOp.MAX))
        ]
        return Reduction(works, counts, totals, extremes)

    def agree(self, cost: float, step_seconds: float) -> Callable[[], tuple[float, float]]:
        """Begin to find the largest cost and the shortest step of all processes; the function that is returned tells them."""
        numbers = torch.tensor([cost, -step_seconds], dtype=torch.float64, device="cpu")
        work = dist.all_reduce(numbers, dist.ReduceOp.MAX, group=self._agreement, async_op=True)

        def agreed() -> tuple[float, float]:
            work.wait()
            return float(numbers[0]), -float(numbers[1])

        return agreed

    def later(self, action: Callable[[], _T]) -> Later[_T]:
        """Do something in the thread of the sums, after all that it was given before."""
        return Later(self._thread.submit(self._attempt, action))

    def _attempt(self, action: Callable[[], _T]) -> _T:
        if self._broken is not None:
            raise RuntimeError(f"an earlier sum over the processes failed: {self._broken}")
        try:
            return action()
        except OutOfStepError:
            raise
        except RuntimeError as error:  # of the process group: the others have gone, or are somewhere else
            self._broken = error
            raise

    def close(self) -> None:
        """Take no more; what was begun is finished. The process groups end with the job."""
        self._thread.shutdown(wait=False)


class OutOfStepError(RuntimeError):
    """The processes did not measure the same thing, so that their sum means nothing."""


class Reduction:
    """Sums that are being added up."""

    def __init__(self, works: list[Any], counts: Tensor, totals: Tensor, extremes: Tensor) -> None:
        self._works, self._counts, self._totals, self._extremes = works, counts, totals, extremes

    def wait(self) -> None:
        """Wait on a CPU for the sums; on an accelerator let its current stream wait."""
        for work in self._works:
            work.wait()

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `unpack` needs, for the copy to the host."""
        return self._counts, self._totals, self._extremes


def unpack(counts: Tensor, totals: Tensor, extremes: Tensor) -> Sums:
    """Return the sums, on the host.

    Raises:
        OutOfStepError: a process could not measure, or measured another step.
    """
    if int(counts[-1, 0]) != processes():
        raise OutOfStepError("another process could not measure its part")
    lowest, highest = -extremes[-1, 0], extremes[-1, 1]
    if lowest != highest:
        raise OutOfStepError(f"the processes are at different steps, {int(lowest)} to {int(highest)}; watch alike on every rank")
    moments = torch.cat([totals, -extremes[:-1, :1], extremes[:-1, 1:]], dim=1)
    return Sums(counts[:-1], moments)


class Later(Generic[_T]):
    """A value of another thread: a `Pending`."""

    def __init__(self, future: Future[_T]) -> None:
        self._future = future

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait."""
        return self._future.done()

    def fetch(self) -> _T:
        """Wait for the value."""
        return self._future.result()
