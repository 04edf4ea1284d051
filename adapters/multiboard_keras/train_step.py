"""A train step that also returns what it computed: the metrics of its batch, tensors around the update, learning rates.

While the model's own train step runs (on JAX and TensorFlow: while it is traced) methods of instances are replaced: `apply` and
`stateless_apply` of optimizers (see `optimizer`), `update_state` of each metric, which shows what the batch adds to it, and
`compute_metrics`, which shows the predictions. Afterwards the instances are as they were.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard_keras._compat import compiled_loss
from multiboard_keras.activations import Activations
from multiboard_keras.layers import Names
from multiboard_keras.optimizer import Updates
from multiboard_keras.sight import Sight, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from multiboard.selection import Selection

    Tensor = Any
    Function = Callable[..., Any]

EXTRAS: Final = "__multiboard__"
"""The key under which the extras travel in the logs of a train step; they are taken out before Keras sees the logs."""
METRICS: Final = "metrics"
CAPTURE: Final = "capture"
ACTIVATIONS: Final = "activations"
RATE: Final = "learning_rate"
SIZE: Final = "size"


class TrainStep:
    """The train step of a model with extras in its logs.

    The extras are `METRICS`: numbers by name; `CAPTURE` and `ACTIVATIONS`: what `statistics.pending` takes, one
    row per tag; `RATE`: learning rates by tag; `SIZE`: the number of examples, on TensorFlow.

    Args:
        model: a compiled model.
        metrics: whether to return the metrics of the batch.
        groups: any of `tags.GROUPS` to capture, with the learning rates; None captures nothing.
        activations: the layers whose outputs are captured, too; None for none.

    Attributes:
        calls: number of calls, of which all are traces where the train step is traced.
        tags: one per captured tensor; known after the first trace.
        descriptions: by tag: what the tensor is called in Keras.
        activation_tags: one per captured output of a layer, as `tags`.
        activation_descriptions: by tag: which layer returns it.
        problems: by kind of extras, why they were not collected in the last trace.
        notes: what the last trace leaves out, as cause and message.
    """

    def __init__(
        self, model: keras.Model, *, metrics: bool, groups: Sequence[str] | None, activations: Selection | None = None
    ) -> None:
        self.calls = 0
        self.tags: tuple[str, ...] = ()
        self.descriptions: dict[str, str] = {}
        self.activation_tags: tuple[str, ...] = ()
        self.activation_descriptions: dict[str, str] = {}
        self.problems: dict[str, Exception] = {}
        self.notes: list[tuple[str, str]] = []
        self.metrics = metrics
        self.groups = groups
        self._model = model
        self._names = Names(model)
        self._inner: Function = model.train_step
        self._activations = None if activations is None else Activations(model, activations)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model's own train step and return its result, with the extras in its logs."""
        self.calls += 1
        self.problems.clear()
        self.notes.clear()
        if self._activations is None:
            return self._run(*args, **kwargs)
        result, begun = self._activations.run(self._run, *args, **kwargs)
        self.activation_tags, self.activation_descriptions = self._activations.tags, self._activations.descriptions
        self.notes += self._activations.notes
        return _with_extras(result, {} if begun is None else {ACTIVATIONS: begun})

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        sight = Sight(self.problems)
        metrics = _BatchMetrics(self._model, sight)
        updates = Updates(self._model, self.groups or (), self._names, sight, CAPTURE)
        with contextlib.ExitStack() as stack:
            if self.metrics:
                metrics.watch(stack)
            if self.groups is not None:
                updates.watch(stack, args)
            result = self._inner(*args, **kwargs)
        return _with_extras(result, self._captured(updates) | metrics.extras() | _size(args, sight))

    def _captured(self, updates: Updates) -> dict[str, Any]:
        self.notes += updates.notes
        begun = updates.finished()
        self.tags, self.descriptions = tuple(updates.descriptions), updates.descriptions
        extras = {} if begun is None else {CAPTURE: begun}
        return extras | ({RATE: rates} if (rates := updates.rates()) else {})


def _size(args: tuple[Any, ...], sight: Sight) -> dict[str, Any]:
    """Return the number of examples of a batch on TensorFlow, where it is not seen outside of the train step."""
    if keras.backend.backend() == "tensorflow":
        with sight.guarded(SIZE):
            first = next(leaf for leaf in keras.tree.flatten(args) if leaf is not None)
            return {SIZE: keras.ops.convert_to_tensor(keras.ops.shape(first)[0])}
    return {}


def _with_extras(result: Any, extras: Mapping[str, Any]) -> Any:
    """Return the result of a train step with more extras in its logs."""
    if keras.backend.backend() == "jax":
        logs, state = result
        return _with_more(logs, extras), state
    return _with_more(result, extras)


def _with_more(logs: Any, extras: Mapping[str, Any]) -> Any:
    return {**logs, EXTRAS: {**logs.get(EXTRAS, {}), **extras}} if isinstance(logs, dict) and extras else logs


class _BatchMetrics:
    """The metrics of the batch of one run of a train step."""

    def __init__(self, model: Any, sight: Sight) -> None:
        self._model = model
        self._sight = sight
        self._states: dict[int, tuple[Any, list[Tensor]]] = {}
        self._output_losses: dict[str, Tensor] = {}

    def watch(self, stack: contextlib.ExitStack) -> None:
        with self._sight.guarded(METRICS):
            self._watch(stack)

    def _watch(self, stack: contextlib.ExitStack) -> None:
        loss = compiled_loss(self._model)
        by_output = {id(tracker) for tracker in loss.metrics} if loss is not None else set()
        for metric in self._model.metrics:
            if id(metric) not in by_output:
                stack.enter_context(replaced(metric, "update_state", self._watched_update(metric)))
        compute: Function = self._model.compute_metrics

        def compute_metrics(*args: Any, **kwargs: Any) -> Any:
            result = compute(*args, **kwargs)
            if self._sight.is_clear():
                with self._sight.guarded(METRICS):
                    self._take_output_losses(**inspect.signature(compute).bind(*args, **kwargs).arguments)
            return result

        stack.enter_context(replaced(self._model, "compute_metrics", compute_metrics))

    def _watched_update(self, metric: Any) -> Function:
        original: Function = metric.update_state

        def update_state(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if self._sight.is_clear():
                with self._sight.guarded(METRICS):
                    _, state = self._states.get(id(metric)) or (metric, metric.stateless_reset_state())
                    self._states[id(metric)] = metric, metric.stateless_update_state(state, *args, **kwargs)
            return result

        return update_state

    def _take_output_losses(self, y: Any, y_pred: Any, sample_weight: Any = None, **_: Any) -> None:
        """Compute the loss of each output again: on JAX the first time is inside the gradient, from where nothing gets out."""
        loss = compiled_loss(self._model)
        if loss is None:
            return
        variables = [variable for tracker in loss.metrics for variable in tracker.variables]
        zeros = [(variable, keras.ops.zeros(variable.shape, variable.dtype)) for variable in variables]
        with keras.StatelessScope(state_mapping=zeros) as scope:
            loss(y, y_pred, sample_weight)
        for tracker in loss.metrics:
            state = [scope.get_current_value(variable) for variable in tracker.variables]
            self._output_losses[tracker.name] = tracker.stateless_result(state)

    def extras(self) -> dict[str, Any]:
        extras = {}
        with self._sight.guarded(METRICS):
            numbers = dict(self._output_losses)
            for metric, state in self._states.values():
                result = metric.stateless_result(state)
                numbers |= result if isinstance(result, dict) else {metric.name: result}
            if numbers:
                extras[METRICS] = {name: keras.ops.stop_gradient(number) for name, number in numbers.items()}
        return extras
