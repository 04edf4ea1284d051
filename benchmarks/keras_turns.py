"""A Keras fit in which a callback hears of every other block of batches, and what that tells of its cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from clocks import start, total
from keras_fit import BLOCK, STEPS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from paired import Figures


class InTurns(keras.callbacks.Callback):
    """Tells another callback of every other block, and takes the time of each.

    A logged block ends when what was logged is in the file, every block when the device has finished.

    Args:
        callback: hears of epochs, and of the batches of every other block.
        flush: brings what it has logged into the file.
    """

    def __init__(self, callback: Any, flush: Callable[[], object]) -> None:
        super().__init__()
        self.async_safe = getattr(callback, "async_safe", False)
        self._callback, self._flush = callback, flush
        self._epochs: list[list[Figures]] = []

    def parts(self, clock: str) -> npt.NDArray[np.float64]:
        """Return seconds of a clock `[epochs, 6]`: of five blocks and the end of each epoch but the first."""
        return np.array([[part[clock] for part in epoch] for epoch in self._epochs[1:]])

    def set_params(self, params: Any) -> None:
        """Hand on."""
        self._callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Hand on."""
        self._callback.set_model(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Hand on."""
        self._callback.on_train_begin(logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Hand on."""
        self._callback.on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Hand on."""
        self._callback.on_epoch_begin(epoch, logs)
        self._epochs.append([])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Hand on, and take the time."""
        self._end_part(logged=False)
        start()
        self._callback.on_epoch_end(epoch, logs)
        self._end_part(logged=True)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Hand on in a logged block."""
        if batch % BLOCK == 0:
            if batch:
                self._end_part(logged=_is_logged(batch - 1))
            start()
        if _is_logged(batch):
            self._callback.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Hand on in a logged block."""
        if _is_logged(batch):
            self._callback.on_train_batch_end(batch, logs)

    def _end_part(self, *, logged: bool) -> None:
        if logged:
            self._flush()
        _settle()
        self._epochs[-1].append(total())


def _is_logged(batch: int) -> bool:
    return batch // BLOCK % 2 == 1


def _settle() -> None:
    """Wait until the device has finished."""
    if keras.backend.backend() == "jax":
        import jax

        for array in jax.live_arrays():
            array.block_until_ready()


def figures(parts: npt.NDArray[np.float64], clock: str, period: int | None) -> dict[str, float]:
    """Return what logging adds to a step, to a capture and to an epoch, and to a step if all are spread over the steps.

    Args:
        parts: of `InTurns`.
        clock: whose.
        period: steps from one capture to the next; None if the first block has none.
    """
    _, captured, plain, logged, _, ended = parts.T * 1e3
    step = np.median(plain) / BLOCK
    pairs = (logged - plain) / BLOCK
    added = np.median(pairs)
    capture = np.median(captured - logged) if period else 0.0
    spread = np.subtract(*np.percentile(pairs, [75, 25]))
    whole = added + (capture / period if period else 0.0) + np.median(ended) / STEPS
    return {
        f"{clock}_percent": whole / step * 100,
        f"added_{clock}_ms": whole,
        f"step_{clock}_ms": step,
        f"added_to_a_step_{clock}_ms": added,
        f"capture_{clock}_ms": capture,
        f"epoch_{clock}_ms": float(np.median(ended)),
        f"spread_{clock}_percent": spread / step * 100,
    }
