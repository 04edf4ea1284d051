"""The device kernel of the bucket scheme for Keras on JAX: that of the JAX adapter, inside the jitted train step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from multiboard.values import MeasuredBatch
from multiboard_jax.statistics import measure
from multiboard_keras.rows import Rows, apart

if TYPE_CHECKING:
    import jax

__all__ = ["begin", "draft", "measure", "pending"]

begin = measure


class Draft(Rows):
    """The rows of one capture, measured together at the end of the train step."""

    def finished(self) -> Any:
        """Measure all rows and return what `pending` takes."""
        return begin([apart(row) for row in self.rows])


def draft(_model: Any) -> Draft:
    """Return an empty draft for a train step of a compiled model."""
    return Draft()


def pending(measured: tuple[jax.Array, jax.Array, jax.Array]) -> _Pending:
    """Return what brings the three arrays of `measure` to the host in the writer thread."""
    return _Pending(measured)


class _Pending:
    """Outputs of the train step that are not part of its state, and so are never donated."""

    def __init__(self, measured: tuple[jax.Array, jax.Array, jax.Array]) -> None:
        self._measured = measured
        for array in measured:
            array.copy_to_host_async()

    def fetch(self) -> MeasuredBatch:
        return MeasuredBatch(*(np.asarray(array) for array in self._measured))
