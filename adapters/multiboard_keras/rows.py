"""Rows of a capture on backends whose tensors never change: JAX and TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from collections.abc import Sequence

    Tensor = Any


class Rows:
    """Collects tensors at several moments of one train step.

    Attributes:
        rows: the tensors, in the order of adding.
    """

    def __init__(self) -> None:
        self.rows: list[Tensor] = []

    def read(self, tensor: Tensor) -> Tensor:
        """Return the values of this moment."""
        return tensor

    def keep(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Return tensors for `add_kept` and `add_changes`."""
        return [self.read(tensor) for tensor in tensors]

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Add tensors as they are now."""
        self.rows += self.keep(tensors)

    def add_kept(self, kept: Sequence[Tensor]) -> None:
        """Add what `keep` returned."""
        self.rows += kept

    def add_changes(self, tensors: Sequence[Tensor], kept: Sequence[Tensor]) -> None:
        """Add what has been added to tensors since `keep`."""
        self.rows += [exact_difference(now, before) for now, before in zip(self.keep(tensors), kept, strict=True)]


def exact_difference(now: Tensor, before: Tensor) -> Tensor:
    """Return what has been added to a tensor; of halves in float32, where the difference is exact."""
    return keras.ops.subtract(_exact(now), _exact(before))


def apart(tensor: Tensor) -> Tensor:
    """Return the same values, zeros without their sign, from an operation that XLA can neither remove nor keep from being fused.

    If the counting read a gradient itself, XLA would no longer fuse the gradient into what trains, and round differently there.
    """
    if not keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype)):
        return tensor
    size = keras.ops.abs(tensor)
    return keras.ops.where(tensor < 0, -size, size)


def _exact(tensor: Tensor) -> Tensor:
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return keras.ops.cast(tensor, "float32") if dtype.startswith(("float16", "bfloat16", "float8")) else tensor
