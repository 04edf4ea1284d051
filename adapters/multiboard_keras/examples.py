"""How many examples a call of the train function has seen; no device is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from collections.abc import Iterator


class Examples:
    """Counts the examples of one call.

    On JAX the train function draws its batches itself, so that the iterator is watched; on PyTorch it is given the batch. On
    TensorFlow batches are drawn inside the graph: there the train step returns their number.
    """

    def __init__(self) -> None:
        self.count: int | None = None

    def watch(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments for the train function, such that what it sees is counted."""
        backend = keras.backend.backend()
        if backend == "jax":
            state, iterator = args
            return state, self._counted(iterator)
        if backend == "torch":
            self.add(args)
        return args

    def _counted(self, iterator: Iterator[Any]) -> Iterator[Any]:
        for data in iterator:
            self.add(data)
            yield data

    def add(self, data: Any) -> None:
        """Add a batch, which may be nested; of one that cannot be understood the number is not known."""
        try:
            size = batch_size(data)
        except Exception:  # noqa: BLE001  # a batch may be any object
            size = None
        self.count = None if size is None else (self.count or 0) + size


def batch_size(data: Any) -> int | None:
    """Return the number of examples in a batch: the length of the first array of `(x, y, ...)`.

    >>> import numpy as np
    >>> batch_size((np.zeros((8, 2)), np.zeros(8)))
    8
    """
    for leaf in keras.tree.flatten(data):
        shape = getattr(leaf, "shape", None)
        if isinstance(shape, (tuple, list)) and shape:
            return int(shape[0])
    return None
