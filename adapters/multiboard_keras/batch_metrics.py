"""The metrics of one batch, apart from those that Keras accumulates over the epoch.

What a mean or a sum of Keras' own adds to its variables is its state of the batch. Each other metric is updated a second time,
from its reset state. What it keeps in variables stays as it was; what it keeps in attributes is put back. A metric without
variables is left alone: what it keeps is not known.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np

from multiboard_keras._compat import compiled_loss
from multiboard_keras.additions import Additions
from multiboard_keras.means import divide
from multiboard_keras.metric_parts import inside, parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from multiboard_keras.sight import Replacements, Sight

    Tensor = Any
    Function = Callable[..., Any]

_CHANGEABLE: Final = (list, dict, set, bytearray, np.ndarray)


class BatchMetrics:
    """The metrics of the batch of one run of a train step after the other.

    Args:
        model: a compiled model.
        sight: tells what can be seen, and keeps what goes wrong.
        kind: under which `sight` keeps it.
    """

    def __init__(self, model: Any, sight: Sight, kind: str) -> None:
        self._model = model
        self._sight = sight
        self._kind = kind
        self._additions: dict[int, Additions] = {}
        self._watched: list[Any] = []
        self.begin()

    def begin(self) -> None:
        """Begin a run, with nothing left of the last one."""
        self._states: dict[int, tuple[Any, list[Tensor]]] = {}
        self._numbers: dict[str, Tensor] = {}
        self._in_python = False

    def watch(self, replacements: Replacements) -> None:
        """Add the methods of the model and its metrics that are to be replaced in a run."""
        with self._sight.guarded(self._kind):
            loss = compiled_loss(self._model)
            by_output = {id(tracker) for tracker in loss.metrics} if loss is not None else set()
            self._watched = [*self._model.metrics]
            for metric in self._watched:
                if id(metric) not in by_output:
                    replacements.add(metric, "update_state", functools.partial(self._watched_update, metric))
            replacements.add(self._model, "compute_metrics", self._watched_compute)

    def fits(self) -> bool:
        """Whether the model still has the metrics whose methods are replaced."""
        return [*self._model.metrics] == self._watched

    def numbers(self) -> dict[str, Tensor]:
        """Return the metrics by name; those that fail are left out."""
        means: dict[str, tuple[Tensor, Tensor]] = {}
        for metric, state in self._states.values():
            additions = self._additions[id(metric)]
            if additions.means:
                means |= {name: (state[total], state[count]) for name, (total, count) in additions.means.items()}
                continue
            with self._sight.guarded(self._kind):
                for name in self._take_result(metric, state, contextlib.nullcontext() if additions else _put_back(metric)):
                    means.pop(name, None)  # as with Keras, the last one of a name counts
        self._take_means(means)
        if self._in_python:
            with self._sight.guarded(self._kind):
                raise LookupError("they keep their state outside of variables")
        return self._numbers

    def _take_means(self, means: dict[str, tuple[Tensor, Tensor]]) -> None:
        """Take means all at once, or one by one if that fails."""
        try:
            self._numbers |= divide(means) if means else {}
        except Exception:  # noqa: BLE001  # of one of them
            for name, mean in means.items():
                with self._sight.guarded(self._kind):
                    self._numbers |= divide({name: mean})

    def _take_result(self, metric: Any, state: list[Tensor], context: contextlib.AbstractContextManager[None]) -> list[str]:
        """Take the result of a metric, and return its names."""
        with context:
            result = metric.stateless_result(state)
        named = result if isinstance(result, dict) else {metric.name: result}
        for name, number in named.items():
            self._take(name, number)
        return list(named)

    def _take(self, name: str, number: Any) -> None:
        if number is not None:
            with self._sight.guarded(self._kind):
                self._numbers[name] = keras.ops.stop_gradient(keras.ops.convert_to_tensor(number))

    def _watched_update(self, metric: Any, original: Function) -> Function:
        def update_state(*args: Any, **kwargs: Any) -> Any:
            if not self._sight.is_clear():
                return original(*args, **kwargs)
            additions = self._additions.get(id(metric))
            if additions is not None and additions.active:  # the metric updates itself in its update
                return original(*args, **kwargs)
            if not additions:  # a metric that was not built yet has no variables
                additions = self._additions[id(metric)] = Additions(metric)
            with additions:
                result = original(*args, **kwargs)
            with self._sight.guarded(self._kind):
                if (added := additions.take()) is not None:
                    self._add(metric, added)
                else:
                    self._update_again(metric, args, kwargs)
            return result

        return update_state

    def _add(self, metric: Any, added: list[Tensor]) -> None:
        _, state = self._states.get(id(metric), (metric, None))
        self._states[id(metric)] = metric, added if state is None else [a + b for a, b in zip(state, added, strict=True)]

    def _update_again(self, metric: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._in_python = self._in_python or any(_is_hidden(part) for part in parts(metric))
        if metric.variables:
            with _put_back(metric):
                _, state = self._states.get(id(metric)) or (metric, metric.stateless_reset_state())
                self._states[id(metric)] = metric, metric.stateless_update_state(state, *args, **kwargs)

    def _watched_compute(self, compute: Function) -> Function:
        def compute_metrics(*args: Any, **kwargs: Any) -> Any:
            result = compute(*args, **kwargs)
            loss = compiled_loss(self._model)  # which a model of one output has not
            if loss is not None and self._sight.is_clear():
                with self._sight.guarded(self._kind):
                    self._take_output_losses(loss, **inspect.signature(compute).bind(*args, **kwargs).arguments)
            return result

        return compute_metrics

    def _take_output_losses(self, loss: Any, y: Any, y_pred: Any, sample_weight: Any = None, **_: Any) -> None:
        """Compute the loss of each output again: on JAX the first time is inside the gradient, from where nothing gets out."""
        variables = [variable for tracker in loss.metrics for variable in tracker.variables]
        zeros = [(variable, keras.ops.zeros(variable.shape, variable.dtype)) for variable in variables]
        with keras.StatelessScope(state_mapping=zeros) as scope:
            loss(y, y_pred, sample_weight)
        for tracker in loss.metrics:
            state = [scope.get_current_value(variable) for variable in tracker.variables]
            self._take(tracker.name, tracker.stateless_result(state))


@contextlib.contextmanager
def _put_back(metric: Any) -> Iterator[None]:
    """Let a computation of ours change no attribute of a metric or of those inside it, and not reach those without variables."""
    with contextlib.ExitStack() as stack:
        for part in parts(metric):
            namespace = vars(part)
            stack.callback(_set_attributes, namespace, dict(namespace))
            namespace |= {name: copy.copy(value) for name, value in namespace.items() if isinstance(value, _CHANGEABLE)}
            if _is_hidden(part):
                namespace |= dict.fromkeys(("reset_state", "update_state", "result"), lambda *_args, **_kwargs: None)
        yield


def _set_attributes(namespace: dict[str, Any], attributes: dict[str, Any]) -> None:
    namespace.clear()
    namespace |= attributes


def _is_hidden(metric: Any) -> bool:
    """Whether a metric has no variables, nor others inside it that may have."""
    return not metric.variables and not inside(metric)
