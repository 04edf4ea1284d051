"""Numbers that the callback logs: which ones, and those that it reads from an optimizer between two epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from collections.abc import Mapping


def split_logs(logs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return training and validation metrics of the logs of an epoch, both by the name of the metric.

    >>> split_logs({"loss": 1.0, "val_loss": 2.0})
    ({'loss': 1.0}, {'loss': 2.0})
    """
    training = {name: number for name, number in logs.items() if not name.startswith("val_")}
    validation = {name.removeprefix("val_"): number for name, number in logs.items() if name.startswith("val_")}
    return training, validation


def is_scalar(number: Any) -> bool:
    """Whether a log entry is one number: not the vector of a metric per class, not a nested dict."""
    return not isinstance(number, dict) and tuple(getattr(number, "shape", ())) in {(), (1,)}


def iterations(optimizer: Any) -> int:
    """Return the number of updates that an optimizer has made; waits for the device."""
    return 0 if optimizer is None else int(_number(optimizer.iterations))


def last_learning_rate(optimizer: Any) -> float:
    """Return the learning rate of the optimizer's last update; waits for the device.

    That of a schedule is computed again, because `optimizer.learning_rate` is that of the next update.
    """
    count = optimizer.iterations
    counted = isinstance(count, keras.Variable) and iterations(optimizer) > 0
    with keras.StatelessScope(state_mapping=[(count, count.value - 1)] if counted else []):
        return _number(optimizer.learning_rate)


def _number(value: Any) -> float:
    return float(keras.ops.convert_to_tensor(value))


def find_obstacle(model: Any) -> str:
    """Return why the steps of a model cannot be seen one by one and in Python, or an empty string."""
    backend = keras.backend.backend()
    if model.steps_per_execution > 1:
        return f"steps_per_execution={model.steps_per_execution} runs several steps in one call"
    if backend == "torch" and model.jit_compile:
        return "jit_compile=True hides the train step in torch.compile"
    if backend == "tensorflow" and model.distribute_strategy.num_replicas_in_sync > 1:
        return f"the steps of {model.distribute_strategy.num_replicas_in_sync} replicas are added up outside of the train step"
    return ""
