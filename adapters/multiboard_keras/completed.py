"""A capture that counts only if its batch has completed an update.

With a loss scale around an optimizer that accumulates, only the device knows: a batch whose gradients are not finite is left
out, and those after it complete updates at other numbers. So each batch of a step is captured, and the writer keeps the right
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from multiboard.values import MeasuredBatch
from multiboard_keras.backend import BACKEND

if TYPE_CHECKING:
    from multiboard.protocols import Pending


class IfComplete:
    """A measured batch in which nothing is counted unless a flag is set; a `Pending`.

    Args:
        batch: what was captured.
        complete: the flag, a tensor of Keras' backend.
    """

    def __init__(self, batch: Pending[MeasuredBatch], complete: Any) -> None:
        self._parts = (batch, _Flag(complete) if BACKEND != "torch" else _arrival(complete))

    def is_ready(self) -> bool:
        """Tell whether `fetch` would not wait, as far as the parts tell."""
        return all(part.is_ready() for part in self._parts if hasattr(part, "is_ready"))

    def fetch(self) -> MeasuredBatch:
        """Return the measured batch; may wait for the device."""
        measured, complete = (part.fetch() for part in self._parts)
        if bool(complete):
            return measured
        return MeasuredBatch(np.zeros_like(measured.counts), np.zeros_like(measured.specials), np.zeros_like(measured.moments))


class _Flag:
    """A tensor that is not part of the state of the step, and so never changes."""

    def __init__(self, flag: Any) -> None:
        self._flag = flag
        if hasattr(flag, "copy_to_host_async"):
            flag.copy_to_host_async()

    def fetch(self) -> Any:
        return np.asarray(self._flag)


def _arrival(flag: Any) -> Pending[Any]:
    from multiboard_torch.arrival import Arrival

    return Arrival(flag)
