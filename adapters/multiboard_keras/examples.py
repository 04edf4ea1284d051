"""How many examples a call of the train function has seen, and their shapes; no device is waited for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from multiboard_keras.backend import BACKEND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager


class Examples:
    """Counts the examples of one call.

    On JAX the train function draws its batches itself, so that the iterator is watched (older versions of Keras give it a list);
    on PyTorch it is given the batch. On TensorFlow batches are drawn inside the graph: there the train step returns their number,
    see `LastOf`.

    Args:
        shapes: keep the shapes of the first batch.
        waiting: returns what marks the work inside as waiting for a batch; None marks nothing.

    Attributes:
        count: of examples; None if it is not known.
        shapes: of the first batch, a `Shape` for each array; None if they are not known or not wanted.
    """

    def __init__(self, *, shapes: bool = False, waiting: Callable[[], AbstractContextManager[Any]] | None = None) -> None:
        self.count: int | None = None
        self.shapes: Any = None
        self._wanted = shapes
        self._waiting = waiting

    def watch(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the arguments for the train function, such that what it sees is counted."""
        if BACKEND == "jax":
            state, iterator = args
            if not isinstance(iterator, (list, tuple)):
                return state, self._counted(iterator)
            for data in iterator:
                self.add(data)
                self._look(data)
        if BACKEND == "torch":
            self.add(args)
            self._look(args[0][0])
        if BACKEND == "tensorflow" and self._wanted:
            self._look(getattr(args[0], "element_spec", None))
        return args

    def _counted(self, iterator: Iterator[Any]) -> Iterator[Any]:
        for data in iterator if self._waiting is None else marked(iterator, self._waiting):
            self.add(data)
            self._look(data)
            yield data

    def _look(self, batch: Any) -> None:
        """Keep the shapes of a batch, but nothing of the batch itself."""
        if self._wanted:
            self._wanted = False
            with contextlib.suppress(Exception):  # a batch may be any object
                self.shapes = keras.tree.map_structure(_shape, batch)

    def add(self, data: Any) -> None:
        """Add a batch, which may be nested; of one that cannot be understood the number is not known."""
        try:
            size = batch_size(data)
        except Exception:  # noqa: BLE001  # a batch may be any object
            size = None
        self.count = None if size is None else (self.count or 0) + size


class LastOf:
    """The number of examples of a batch, as the last element of an array that may still be on a device."""

    __slots__ = ("_array",)

    def __init__(self, array: Any) -> None:
        self._array = array

    def fetch(self) -> int:
        """Return it; may wait for the device. Any thread may ask, again and again."""
        return int(np.asarray(self._array)[-1])


def marked(batches: Iterable[Any], waiting: Callable[[], AbstractContextManager[Any]]) -> Iterator[Any]:
    """Yield batches, each one drawn inside of what `waiting` returns."""
    drawn, end = iter(batches), object()
    while True:
        with waiting():
            batch = next(drawn, end)
        if batch is end:
            return
        yield batch


class Shape:
    """What is known of an array of a batch.

    Args:
        array: an array, or a specification of one.
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, array: Any) -> None:
        self.shape, self.dtype = tuple(array.shape), array.dtype


def _shape(leaf: Any) -> Any:
    return Shape(leaf) if hasattr(leaf, "shape") and hasattr(leaf, "dtype") else leaf


def batch_size(data: Any) -> int | None:
    """Return the number of examples in a batch: the length of the first array of `(x, y, ...)`.

    >>> import numpy as np
    >>> batch_size((np.zeros((8, 2)), np.zeros(8)))
    8
    """
    first = data
    while type(first) in {tuple, list} and first:
        first = first[0]
    size = _length(first)
    if size is not None:
        return size  # before the rest is looked at, for which PyTorch takes a while
    sizes = map(_length, keras.tree.flatten(data))
    return next((size for size in sizes if size is not None), None)


def _length(leaf: Any) -> int | None:
    shape = getattr(leaf, "shape", None)
    return int(shape[0]) if isinstance(shape, (tuple, list)) and shape else None
