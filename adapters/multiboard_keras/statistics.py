"""The device kernel of the bucket scheme, for whichever backend Keras runs on."""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any

from multiboard_keras.backend import BACKEND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.protocols import Pending
    from multiboard.values import MeasuredBatch

    Tensor = Any


def measure(tensors: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Count the values of each tensor as `multiboard.buckets.measure` does, on the tensors' device.

    Args:
        tensors: of Keras' backend, any shapes and dtypes.

    Returns:
        Bucket counts int32 `[T, 1024]`, special counts int32 `[T, 4]` and moments float32 `[T, 4]`, on the device.
    """
    measured: tuple[Tensor, Tensor, Tensor] = _backend().measure(tensors)
    return measured


def begin(tensors: Sequence[Tensor]) -> Any:
    """Start a capture inside the train step: keep what later updates of these tensors cannot change.

    Returns:
        Tensors of the backend, for `pending`.
    """
    return _backend().begin(tensors)


def start(model: Any) -> Any:
    """Return an empty `Draft` of the backend, for a capture of tensors at several moments of one train step.

    Args:
        model: whose train step it is.

    Raises:
        RuntimeError: captures are waiting in such number that a further one could exhaust the memory.
    """
    return _backend().draft(model)


def pending(begun: Any) -> Pending[MeasuredBatch]:
    """Return what brings a capture that `begin` started to the host, in the writer thread."""
    batch: Pending[MeasuredBatch] = _backend().pending(begun)
    return batch


@functools.cache
def _backend() -> Any:
    return import_module(f"multiboard_keras.statistics_{BACKEND}")
