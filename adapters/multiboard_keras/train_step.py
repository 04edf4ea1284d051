"""A train step that also returns what it computed: the metrics of its batch, tensors around the update, learning rates.

While the model's own train step runs (on JAX and TensorFlow: while it is traced) methods of instances are replaced: those of
optimizers (see `optimizer`) and of metrics (see `batch_metrics`). Afterwards the instances are as they were.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import keras

from multiboard import tags
from multiboard_keras.activations import Activations
from multiboard_keras.backend import BACKEND
from multiboard_keras.layer_info import FirstCalls
from multiboard_keras.layers import Names
from multiboard_keras.naming import TAKEN
from multiboard_keras.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from multiboard.exact import Exact
    from multiboard.exact_samples import Kept
    from multiboard.selection import Selection
    from multiboard_keras.optimizer import Updates
    from multiboard_keras.scopes_tensorflow import Scopes
    from multiboard_keras.sight import Sight

    Function = Callable[..., Any]

EXTRAS: Final = "__multiboard__"
"""The key under which the extras travel in the logs of a train step; they are taken out before Keras sees the logs."""
METRICS: Final = "metrics"
STACK: Final = "stack"
CAPTURE: Final = "capture"
ACTIVATIONS: Final = "activations"
EXACT: Final = "exact"
EXACT_ACTIVATIONS: Final = "exact_activations"
COMPLETE: Final = "complete"
RATE: Final = "learning_rate"
SIZE: Final = "size"
LAYERS: Final = "layers"
_IN_FLOAT32: Final = frozenset({"float32", "float16", "bfloat16"})


class TrainStep:
    """The train step of a model with extras in its logs.

    The extras are `STACK`: the metrics that float32 holds and, without a capture, the learning rates, as one array `[k]`, on
    TensorFlow with the number of examples behind them, and on PyTorch as a tuple of numbers; `METRICS`: the other ones, by name;
    `RATE`: learning rates by tag; `CAPTURE` and `ACTIVATIONS`: what `statistics.pending` takes, one row per tag; `EXACT` and
    `EXACT_ACTIVATIONS`: tensors that are kept element by element; `COMPLETE`: whether the batch completes an update, if only the
    optimizer knows. A stack that is all there is travels alone: the fewer outputs a compiled step of TensorFlow has, the sooner
    its caller has them, most of all where Keras takes them apart (40 µs for each, and more for nested ones).

    Args:
        model: a compiled model.
        metrics: whether to return the metrics of the batch, for the uniform tags.
        groups: any of `tags.GROUPS` to capture, with the learning rates; None captures nothing.
        activations: the layers whose outputs are captured, too; None for none.
        scopes: notes which scope of the graph is which layer, on TensorFlow; None for nobody who wants to know.
        exact: which tensors are kept element by element; None for none.

    Attributes:
        calls: number of calls, of which all are traces where the train step is traced.
        stacked: the tags of the numbers in `STACK`.
        sized: whether the number of examples is behind them.
        apart: the names of Keras' logs that are not in there.
        tags: one per captured tensor; known after the first trace.
        descriptions: by tag: what the tensor is called in Keras.
        activation_tags: one per captured output of a layer, as `tags`.
        activation_descriptions: by tag: which layer returns it.
        kept: what is kept element by element, one per tensor in the extras.
        kept_activations: likewise of the outputs of layers.
        problems: by kind of extras, why they were not collected in the last trace.
        notes: what the last trace leaves out, as cause and message.
        layer_calls: the layers in the order of their first calls in the first run that captured.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        metrics: bool,
        groups: Sequence[str] | None,
        activations: Selection | None = None,
        scopes: Scopes | None = None,
        exact: Exact | None = None,
    ) -> None:
        self.calls = 0
        self.stacked: tuple[str, ...] = ()
        self.sized = False
        self.apart: frozenset[str] = frozenset()
        self.tags: tuple[str, ...] = ()
        self.descriptions: dict[str, str] = {}
        self.activation_tags: tuple[str, ...] = ()
        self.activation_descriptions: dict[str, str] = {}
        self.problems: dict[str, Exception] = {}
        self.notes: list[tuple[str, str]] = []
        self.layer_calls: tuple[str, ...] = ()
        self.kept: tuple[Kept, ...] = ()
        self.kept_activations: tuple[Kept, ...] = ()
        self.metrics = metrics
        self.groups = groups
        self._model, self._scopes, self._exact = model, scopes, exact
        self._names = Names(model)
        self._watch: Watch | None = None
        self._inner: Function = model.train_step
        self._activations = None if activations is None else Activations(model, activations, exact)

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
        extras = {} if begun is None else {ACTIVATIONS: begun}
        self.kept_activations = tuple(self._activations.exact.kept)
        if self.kept_activations:
            extras[EXACT_ACTIVATIONS] = self._activations.exact.finished()
        return _with_extras(result, extras)

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        watch = self._current_watch()
        calls = FirstCalls(self._model) if self.groups and not self.layer_calls else None
        with watch if self._scopes is None and calls is None else self._looking(watch, calls):
            result = self._inner(*args, **kwargs)
            if self.groups:
                watch.updates.add_buffers(result)
        self.layer_calls = self.layer_calls if calls is None else tuple(calls.order)
        extras = self._captured(watch.updates)
        rates = extras.pop(RATE, {}) if self.metrics and not self.groups else {}
        own, logs = (watch.metrics.numbers(), logs_of(result)) if self.metrics else ({}, {})
        extras |= self._numbers(own, logs, rates, _size(args, watch.sight), watch.sight)
        watch.forget()
        return _with_extras(result, extras)

    @contextlib.contextmanager
    def _looking(self, watch: Watch, calls: FirstCalls | None) -> Iterator[None]:
        """Look into a run, at the scopes of its graph and the order of its layers as well."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(watch)
            if self._scopes is not None:
                stack.enter_context(self._scopes.watching())
            if calls is not None:
                with watch.sight.guarded(LAYERS):
                    calls.watch(stack)
            yield

    def _current_watch(self) -> Watch:
        """Return what looks into this run: as a rule that of the last one."""
        watch = self._watch
        if watch is None or not watch.fits():
            metrics = METRICS if self.metrics else None
            watch = Watch(
                self._model, self._names, self.problems, metrics=metrics, capture=CAPTURE, groups=self.groups, exact=self._exact
            )
            self._watch = None if self.problems else watch
        return watch

    def _numbers(
        self, own: dict[str, Any], logs: Any, rates: dict[str, Any], size: tuple[Any, ...], sight: Sight
    ) -> dict[str, Any]:
        """Return the metrics of the batch, learning rates and the number of examples as extras."""
        names = frozenset(logs if isinstance(logs, dict) else ())
        self.stacked, self.sized, self.apart = (), False, names
        extras: dict[str, Any] = {METRICS: own, RATE: rates} if rates else {METRICS: own}
        with sight.guarded(STACK):
            inside = [name for name, number in own.items() if name in names and name not in TAKEN and _fits(number)]
            numbers = {f"{tags.TRAIN}{name}": own[name] for name in inside} | rates
            stack = _stacked((*numbers.values(), *size))
            extras = {METRICS: others} if (others := {name: own[name] for name in own if name not in inside}) else {}
            extras |= {STACK: stack} if numbers or size else {}
            self.stacked, self.sized, self.apart = tuple(numbers), bool(size), names.difference(inside)
        return extras

    def _captured(self, updates: Updates) -> dict[str, Any]:
        self.notes += updates.notes
        extras: dict[str, Any] = {RATE: rates} if (rates := updates.rates()) else {}
        if self.groups:
            begun = updates.finished()
            self.tags, self.descriptions = tuple(updates.descriptions), updates.descriptions
            extras |= {} if begun is None else {CAPTURE: begun}
            self.kept = tuple(updates.exact.kept)
            extras |= {EXACT: updates.exact.finished()} if self.kept else {}
            extras |= {} if updates.complete is None else {COMPLETE: updates.complete}
        return extras


def _stacked(numbers: tuple[Any, ...]) -> Any:
    """Return numbers as one array, on PyTorch as they are: the run stacks those that are on a device."""
    if BACKEND == "torch" or not numbers:
        return numbers
    return keras.ops.stack([keras.ops.cast(number, "float32") for number in numbers])


def _fits(number: Any) -> bool:
    """Whether a number is a single one that float32 holds exactly, or one on the host."""
    if isinstance(number, float):
        return True
    return tuple(number.shape) == () and keras.backend.standardize_dtype(number.dtype) in _IN_FLOAT32


def logs_of(result: Any) -> Any:
    """Return the logs in the result of a train step or a train function."""
    return result[0] if BACKEND == "jax" else result


def extras_of(found: Any) -> dict[str, Any]:
    """Return the extras that logs hold under `EXTRAS`."""
    return found if isinstance(found, dict) else {STACK: found}


def _size(args: tuple[Any, ...], sight: Sight) -> tuple[Any, ...]:
    """Return the number of examples of a batch on TensorFlow, where it is not seen outside of the train step; else nothing."""
    if BACKEND == "tensorflow":
        with sight.guarded(SIZE):
            first = next(leaf for leaf in keras.tree.flatten(args) if leaf is not None)
            return (keras.ops.shape(first)[0],)
    return ()


def _with_extras(result: Any, extras: Mapping[str, Any]) -> Any:
    """Return the result of a train step with more extras in its logs."""
    logs = _with_more(logs_of(result), extras)
    return (logs, result[1]) if BACKEND == "jax" else logs


def _with_more(logs: Any, extras: Mapping[str, Any]) -> Any:
    if not isinstance(logs, dict) or not extras:
        return logs
    extras = {**extras_of(logs.get(EXTRAS, {})), **extras}
    return {**logs, EXTRAS: extras[STACK] if extras.keys() == {STACK} else extras}
