"""The distributions of all weights between two steps, under the names of `keras.callbacks.TensorBoard`."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

import keras

from multiboard.values import Capture
from multiboard_keras import statistics
from multiboard_keras.naming import native
from multiboard_keras.reads import begin

if TYPE_CHECKING:
    from multiboard.run import Run


def log_weight_histograms(model: Any, run: Run, epoch: int) -> None:
    """Write a histogram of every weight of a model, e.g. 'sequential/conv1/kernel/histogram'; waits for no device.

    Weights that the model itself has, of its own `add_weight`, are left out as in the original.
    """
    weights = {f"{native(weight)}/histogram": weight for layer in model.layers for weight in layer.weights}
    tensors = [keras.ops.convert_to_tensor(weight) for weight in weights.values()]
    if tensors:
        batch = statistics.pending(begin(tensors))
        run.capture(Capture(tuple(weights), batch, epoch, time(), norms=False, nonfinite=False))
