"""Numbers that the callback logs: which ones, and those that it reads from an optimizer between two epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard_keras._compat import batches_seen
from multiboard_keras.backend import BACKEND
from multiboard_keras.gradients import micro_batches
from multiboard_keras.rates import find_optimizers, rates_by_tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard_keras.reporting import Reporting


_RATE: Final = "learning_rate"


def split_logs(logs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return training and validation metrics of the logs of an epoch, both by the name of the metric.

    The learning rate is left out, which callbacks of Keras add: it is written anyway.

    >>> split_logs({"loss": 1.0, "val_loss": 2.0})
    ({'loss': 1.0}, {'loss': 2.0})
    """
    training = {name: number for name, number in logs.items() if not name.startswith("val_") and name != _RATE}
    validation = {name.removeprefix("val_"): number for name, number in logs.items() if name.startswith("val_")}
    return training, validation


def is_scalar(number: Any) -> bool:
    """Whether a log entry is one number: not the vector of a metric per class, not a nested dict."""
    return not isinstance(number, dict) and tuple(getattr(number, "shape", ())) in {(), (1,)}


def only_scalars(numbers: Mapping[str, Any], reporting: Reporting) -> dict[str, Any]:
    """Return the log entries that are one number, and report the others."""
    if vectors := sorted(name for name, number in numbers.items() if not is_scalar(number)):
        reporting.report(f"vectors {vectors}", f"metrics {vectors} are not single numbers and are left out.")
    return {name: number for name, number in numbers.items() if is_scalar(number)}


def iterations(optimizer: Any) -> int:
    """Return the number of updates that an optimizer has made; waits for the device."""
    return 0 if optimizer is None else int(_number(optimizer.iterations))


def batches_before(optimizer: Any) -> int:
    """Return the number of batches that an optimizer has seen; waits for the device."""
    counter = batches_seen(optimizer) if micro_batches(optimizer) > 1 else None
    return iterations(optimizer) * micro_batches(optimizer) if counter is None else int(_number(counter))


def learning_rates(model: Any, *, next_one: bool) -> dict[str, Any]:
    """Return the learning rates of the optimizers of a model by tag, on the device; of several those that have made updates.

    Args:
        model: a compiled model.
        next_one: those of the next update, as `optimizer.learning_rate` is; otherwise those of the last one, for which that of a
            schedule is computed again.
    """
    optimizers = find_optimizers(model)
    used = {name: one for name, one in optimizers.items() if len(optimizers) == 1 or iterations(one)}
    found = {name: _rate(optimizer, back=0 if next_one else 1) for name, optimizer in (used or optimizers).items()}
    return rates_by_tag(model, optimizers, found)


def _rate(optimizer: Any, back: int) -> Any:
    count = optimizer.iterations
    counted = isinstance(count, keras.Variable)
    with keras.StatelessScope(state_mapping=[(count, keras.ops.maximum(count.value - back, 0))] if counted else []):
        return keras.ops.copy(keras.ops.convert_to_tensor(optimizer.learning_rate))  # on JAX the next step takes the original


def _number(value: Any) -> float:
    tensor = keras.ops.convert_to_tensor(value)
    return float(tensor.numpy() if BACKEND == "tensorflow" else tensor)  # where it may be a variable with a copy on each replica


def find_obstacle(model: Any) -> str:
    """Return why the steps of a model cannot be seen one by one and in Python, or an empty string."""
    if model.steps_per_execution > 1:
        return f"steps_per_execution={model.steps_per_execution} runs several steps in one call"
    if BACKEND == "jax" and getattr(keras.config, "is_nnx_enabled", bool)():
        return "with Flax NNX Keras calls the train step of the class"
    if BACKEND == "torch" and model.jit_compile:
        return "jit_compile=True hides the train step in torch.compile"
    if BACKEND == "tensorflow" and model.distribute_strategy.num_replicas_in_sync > 1:
        return f"the steps of {model.distribute_strategy.num_replicas_in_sync} replicas are added up outside of the train step"
    return ""
