"""A train step that also returns what it computed: the metrics of its batch, gradients, parameters and the learning rate.

While the model's own train step runs (on JAX and TensorFlow: while it is traced) three methods of instances are replaced:
`optimizer.apply` (on JAX `stateless_apply`) shows gradients and parameters before the update, `update_state` of each metric shows
what the batch adds to it, and `compute_metrics` shows the predictions. Afterwards the instances are as they were.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard import tags
from multiboard_keras import statistics
from multiboard_keras._compat import compiled_loss, trace_level
from multiboard_keras.layers import name_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from multiboard_keras.layers import Named

    Tensor = Any
    Function = Callable[..., Any]

EXTRAS: Final = "__multiboard__"
"""The key under which the extras travel in the logs of a train step; they are taken out before Keras sees the logs."""
METRICS: Final = "metrics"
CAPTURE: Final = "capture"
RATE: Final = "learning_rate"

_STAGE: Final = "before the optimizer's clipping"
_MICRO_BATCH: Final = "one micro-batch, before the optimizer's accumulation and clipping"


class TrainStep:
    """The train step of a model with extras in its logs.

    Args:
        model: a compiled model.
        metrics: whether to return the metrics of the batch.
        groups: any of 'params' and 'grads' to capture, with the learning rate; None captures nothing.

    Attributes:
        tags: one per captured tensor; known after the first trace.
        descriptions: by tag: what the tensor is called in Keras.
        problems: by kind of extras, why they were not collected in the last trace.
    """

    def __init__(self, model: keras.Model, *, metrics: bool, groups: Sequence[str] | None) -> None:
        self.tags: tuple[str, ...] = ()
        self.descriptions: dict[str, str] = {}
        self.problems: dict[str, Exception] = {}
        self.metrics = metrics
        self.groups = groups
        self._model = model
        self._inner: Function = model.train_step

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the model's own train step and return its result, with the extras in its logs."""
        self.problems.clear()
        collected = _Collected(self._model, self)
        with contextlib.ExitStack() as stack:
            collected.replace_methods(stack)
            result = self._inner(*args, **kwargs)
        extras = collected.extras()
        if keras.backend.backend() == "jax":
            logs, state = result
            return _with_extras(logs, extras), state
        return _with_extras(result, extras)


def _with_extras(logs: Any, extras: Mapping[str, Any]) -> Any:
    return {**logs, EXTRAS: extras} if isinstance(logs, dict) and extras else logs


@contextlib.contextmanager
def replaced(target: Any, name: str, replacement: Function) -> Iterator[None]:
    """Replace a method of one instance for a while, without the attribute tracking of Keras."""
    namespace = vars(target)
    before = {name: namespace[name]} if name in namespace else {}
    namespace[name] = replacement
    try:
        yield
    finally:
        del namespace[name]
        namespace.update(before)


class _Collected:
    """What one run of a train step shows. Nothing here raises into it."""

    def __init__(self, model: Any, step: TrainStep) -> None:
        self._model = model
        self._step = step
        self._busy = False
        self._level: object = None
        self._states: dict[int, tuple[Any, list[Tensor]]] = {}
        self._output_losses: dict[str, Tensor] = {}
        self._capture: dict[str, Any] = {}

    # ------------------------------------------------------------------ where it looks

    def replace_methods(self, stack: contextlib.ExitStack) -> None:
        self._level = trace_level()
        if self._step.groups is not None:
            with self._guarded(CAPTURE):
                self._watch_optimizer(stack)
        if self._step.metrics:
            with self._guarded(METRICS):
                self._watch_metrics(stack)

    def _watch_optimizer(self, stack: contextlib.ExitStack) -> None:
        on_jax = keras.backend.backend() == "jax"
        optimizer = self._model.optimizer
        name, take = ("stateless_apply", self._take_stateless) if on_jax else ("apply", self._take_stateful)
        original: Function = getattr(optimizer, name)

        def apply(*args: Any, **kwargs: Any) -> Any:
            if self._may_look() and not self._capture:
                with self._guarded(CAPTURE):
                    take(optimizer, **inspect.signature(original).bind(*args, **kwargs).arguments)
            return original(*args, **kwargs)

        stack.enter_context(replaced(optimizer, name, apply))

    def _watch_metrics(self, stack: contextlib.ExitStack) -> None:
        loss = compiled_loss(self._model)
        by_output = {id(tracker) for tracker in loss.metrics} if loss is not None else set()
        for metric in self._model.metrics:
            if id(metric) not in by_output:
                stack.enter_context(replaced(metric, "update_state", self._watched_update(metric)))
        compute: Function = self._model.compute_metrics

        def compute_metrics(*args: Any, **kwargs: Any) -> Any:
            result = compute(*args, **kwargs)
            if self._may_look():
                with self._guarded(METRICS):
                    self._take_output_losses(**inspect.signature(compute).bind(*args, **kwargs).arguments)
            return result

        stack.enter_context(replaced(self._model, "compute_metrics", compute_metrics))

    def _watched_update(self, metric: Any) -> Function:
        original: Function = metric.update_state

        def update_state(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if self._may_look():
                with self._guarded(METRICS):
                    _, state = self._states.get(id(metric)) or (metric, metric.stateless_reset_state())
                    self._states[id(metric)] = metric, metric.stateless_update_state(state, *args, **kwargs)
            return result

        return update_state

    def _may_look(self) -> bool:
        """Whether tensors seen here can leave the step: not those inside a gradient, a condition or a computation of ours."""
        return not self._busy and trace_level() == self._level

    @contextlib.contextmanager
    def _guarded(self, kind: str) -> Iterator[None]:
        self._busy = True
        try:
            yield
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            self._step.problems[kind] = error
        finally:
            self._busy = False

    # ------------------------------------------------------------------ what it takes

    def _take_stateless(self, optimizer: Any, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> None:
        with keras.StatelessScope(state_mapping=list(zip(optimizer.variables, optimizer_variables, strict=True))):
            self._take(optimizer, grads, trainable_variables, name_variables(self._model))

    def _take_stateful(self, optimizer: Any, grads: Any, trainable_variables: Any = None) -> None:
        ours = self._model.trainable_variables
        by_id = {id(variable): named for variable, named in zip(ours, name_variables(self._model), strict=True)}
        variables = list(trainable_variables or ours)
        values = [keras.ops.convert_to_tensor(variable) for variable in variables]
        self._take(optimizer, grads, values, [by_id[id(variable)] for variable in variables])

    def _take(self, optimizer: Any, grads: Sequence[Tensor], params: Sequence[Tensor], named: Sequence[Named]) -> None:
        self._capture[RATE] = keras.ops.copy(keras.ops.convert_to_tensor(optimizer.learning_rate))
        found: dict[str, Tensor] = {}
        descriptions = {}
        groups = {
            tags.PARAMS: (params, ""),
            tags.GRADS: (_unscaled(optimizer, grads), _MICRO_BATCH if micro_batches(optimizer) > 1 else _STAGE),
        }
        for group in (group for group in groups if group in (self._step.groups or ())):
            tensors, stage = groups[group]
            for name, tensor in zip(named, tensors, strict=True):
                if tensor is not None:
                    tag = f"{group}/{name.path}"
                    found[tag] = tensor
                    descriptions[tag] = tags.description(name.native, name.layer_class, stage)
        if found:
            self._capture[CAPTURE] = statistics.begin(list(found.values()))
            self._step.tags, self._step.descriptions = tuple(found), descriptions

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
        extras = dict(self._capture)
        with self._guarded(METRICS):
            numbers = dict(self._output_losses)
            for metric, state in self._states.values():
                result = metric.stateless_result(state)
                numbers |= result if isinstance(result, dict) else {metric.name: result}
            if numbers:
                extras[METRICS] = {name: keras.ops.stop_gradient(number) for name, number in numbers.items()}
        return extras


def _unscaled(optimizer: Any, grads: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradients without the loss scale that the optimizer is going to take off."""
    scale = optimizer.loss_scale_factor
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        scale = optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale
    if scale is None:
        return list(grads)
    return [None if grad is None else keras.ops.divide(grad, scale) for grad in grads]


def micro_batches(optimizer: Any) -> int:
    """Return how many batches the optimizer accumulates into one update."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "gradient_accumulation_steps", None) or 1
