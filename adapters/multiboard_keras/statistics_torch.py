"""The device kernel of the bucket scheme for Keras on PyTorch: that of the PyTorch adapter.

On a CPU the train step only copies the tensors, and the writer thread counts them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard_torch.batch import Batch, check_backlog, values_of
from multiboard_torch.statistics import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["begin", "measure", "pending"]


def begin(tensors: Sequence[Tensor]) -> Batch:
    """Keep the values of this moment; waits for no device.

    Raises:
        BacklogError: the writer thread is too far behind for another copy.
    """
    check_backlog()
    batch = Batch()
    batch.add(batch.copy([values_of(tensor) for tensor in tensors]))
    return batch


def pending(batch: Batch) -> Batch:
    """Return the batch: it fetches itself."""
    return batch
