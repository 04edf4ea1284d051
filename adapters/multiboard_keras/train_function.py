"""What stands in for `model.train_function` while a fit is logged.

Keras makes three functions: its own, one whose steps return the metrics of their batch, and one whose steps return a capture as
well. Each is compiled when it is first used. The step number decides which one runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import keras

from multiboard_keras.train_step import EXTRAS, TrainStep, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Due(NamedTuple):
    """What one call of the train function has to yield.

    Attributes:
        done: batches of the epoch that are done after the call.
        step: global step of its update, the last one if there are several.
        metrics: whether metrics are logged at this step.
        capture: whether a capture is taken at this step.
    """

    done: int
    step: int
    metrics: bool
    capture: bool


class Listener(Protocol):
    """Who decides what is logged, and logs it. Called on the training thread."""

    def due(self) -> Due | None:
        """Return what the next call has to yield, or None if it belongs to no logged fit."""
        ...

    def deliver(self, due: Due, logs: dict[str, Any], extras: dict[str, Any], step: TrainStep | None) -> None:
        """Take what a call yielded; raises nothing.

        Args:
            due: what was asked for.
            logs: what Keras gets, on the device.
            extras: what the train step returned besides, on the device.
            step: the train step that did it, None for Keras' own.
        """
        ...


class TrainFunction:
    """Runs the right function for each batch and takes the extras out of the logs before Keras sees them.

    Args:
        model: a compiled model with its train function made.
        listener: is asked before each call and told after it.
        metrics: whether to make a function that yields the metrics of its batch.
        groups: what a capture holds; None makes no function that captures.
    """

    def __init__(self, model: Any, listener: Listener, *, metrics: bool, groups: Sequence[str] | None) -> None:
        self._model = model
        self._listener = listener
        self._original: Callable[..., Any] = model.train_function
        self._plain = _Variant(model, TrainStep(model, metrics=True, groups=None)) if metrics else None
        self._capturing = None if groups is None else _Variant(model, TrainStep(model, metrics=metrics, groups=groups))
        self._stand_in = self._call

    def install(self) -> None:
        """Stand in for the model's train function."""
        self._model.train_function = self._stand_in

    def remove(self) -> None:
        """Give the model its own train function back; a second call does nothing."""
        if self._model.train_function is self._stand_in:
            self._model.train_function = self._original

    def belongs_to(self, model: Any) -> bool:
        """Whether Keras still has the function that this one was made for, so that what it compiled is of use."""
        return self._model is model and model.train_function is self._original

    def _call(self, *args: Any) -> Any:
        due = self._listener.due()
        if due is None:
            return self._original(*args)
        variant = self._capturing if due.capture and self._capturing is not None else self._plain
        result = self._original(*args) if variant is None else variant(*args)
        logs = result[0] if keras.backend.backend() == "jax" else result
        extras = logs.pop(EXTRAS, {}) if isinstance(logs, dict) else {}
        self._listener.deliver(due, logs if isinstance(logs, dict) else {}, extras, variant.step if variant is not None else None)
        return result


class _Variant:
    """A train function that Keras made around another train step."""

    def __init__(self, model: Any, step: TrainStep) -> None:
        self.step = step
        self._model = model
        before = model.train_function
        try:
            with replaced(model, "train_step", step):
                model.make_train_function(force=True)
            self._function: Callable[..., Any] = model.train_function
        finally:
            model.train_function = before

    def __call__(self, *args: Any) -> Any:
        with replaced(self._model, "train_step", self.step):  # on PyTorch the function looks it up at each call
            return self._function(*args)
