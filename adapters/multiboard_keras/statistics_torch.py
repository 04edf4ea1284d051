"""The device kernel of the bucket scheme for Keras on PyTorch: that of the PyTorch adapter.

On a CPU the train step only copies the tensors, and the writer thread counts them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard_torch.batch import Batch, check_backlog, values_of
from multiboard_torch.packs import Difference
from multiboard_torch.statistics import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["begin", "draft", "measure", "pending"]


def begin(tensors: Sequence[Tensor]) -> Batch:
    """Keep the values of this moment; waits for no device.

    Raises:
        BacklogError: the writer thread is too far behind for another copy.
    """
    begun = Draft()
    begun.add(tensors)
    return begun.finished()


class Draft:
    """The rows of one capture, on the CPU copied when they are added; waits for no device.

    Raises:
        BacklogError: the writer thread is too far behind for another copy.
    """

    def __init__(self) -> None:
        check_backlog()
        self._batch = Batch()

    def keep(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return copies of tensors, flat, for `add_kept` and `add_changes`."""
        return self._batch.copy([values_of(tensor) for tensor in tensors], always=True)

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Add tensors as they are now."""
        self._batch.add(self._batch.copy([values_of(tensor) for tensor in tensors]))

    def add_kept(self, kept: Sequence[Tensor]) -> None:
        """Add what `keep` returned."""
        self._batch.add(kept)

    def add_changes(self, tensors: Sequence[Tensor], kept: Sequence[Tensor]) -> None:
        """Add what has been added to tensors since `keep`."""
        after = self._batch.copy([values_of(tensor) for tensor in tensors])
        self._batch.add([Difference(now.reshape(-1), before) for now, before in zip(after, kept, strict=True)])

    def finished(self) -> Batch:
        """Return what `pending` takes."""
        return self._batch


def draft(_model: object) -> Draft:
    """Return an empty draft for a train step of a compiled model.

    Raises:
        BacklogError: the writer thread is too far behind for another copy.
    """
    return Draft()


def pending(batch: Batch) -> Batch:
    """Return the batch: it fetches itself."""
    return batch
