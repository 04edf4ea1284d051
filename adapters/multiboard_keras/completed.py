"""A capture that counts only if its batch has completed an update.

With a loss scale around an optimizer that accumulates, only the device knows: a batch whose gradients are not finite is left
out, and those after it complete updates at other numbers. So each batch of a step is captured, and the writer keeps the right
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from multiboard.arrays import fetch_scalar, stack_scalars
from multiboard.lane import is_unready
from multiboard.values import MeasuredBatch

if TYPE_CHECKING:
    from multiboard.protocols import Pending


class IfComplete:
    """A measured batch in which nothing is counted unless a flag is set; a `Pending`.

    Args:
        batch: what was captured.
        complete: the flag, a tensor of Keras' backend that never changes.
    """

    def __init__(self, batch: Pending[MeasuredBatch], complete: Any) -> None:
        self._batch = batch
        (self._complete,) = stack_scalars((complete,))

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait, as far as the parts tell."""
        return not (is_unready(self._batch) or is_unready(self._complete))

    def fetch(self) -> MeasuredBatch:
        """Return the measured batch; may wait for the device."""
        measured = self._batch.fetch()
        if fetch_scalar(self._complete):
            return measured
        return MeasuredBatch(np.zeros_like(measured.counts), np.zeros_like(measured.specials), np.zeros_like(measured.moments))
