"""The device kernel of the bucket scheme for Keras on JAX: that of the JAX adapter, inside the jitted train step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from multiboard.protocols import is_ready
from multiboard.values import MeasuredBatch
from multiboard_jax.statistics import measure

if TYPE_CHECKING:
    import jax

__all__ = ["begin", "measure", "pending"]

begin = measure


def pending(measured: tuple[jax.Array, jax.Array, jax.Array]) -> _Pending:
    """Return what brings the three arrays of `measure` to the host in the writer thread."""
    return _Pending(measured)


class _Pending:
    """Outputs of the train step that are not part of its state, and so are never donated."""

    def __init__(self, measured: tuple[jax.Array, jax.Array, jax.Array]) -> None:
        self._measured = measured
        for array in measured:
            array.copy_to_host_async()

    def is_ready(self) -> bool:
        return all(map(is_ready, self._measured))

    def fetch(self) -> MeasuredBatch:
        return MeasuredBatch(*(np.asarray(array) for array in self._measured))
