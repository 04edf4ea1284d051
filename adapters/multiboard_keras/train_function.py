"""What stands in for `model.train_function` while a fit is logged.

Keras makes three functions: its own, one whose steps return the metrics of their batch, and one whose steps return a capture as
well. Each is compiled when it is first used. The step number decides which one runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from multiboard import tags
from multiboard_keras.backend import BACKEND
from multiboard_keras.examples import Examples, LastOf
from multiboard_keras.reads import ParameterReads
from multiboard_keras.sight import replaced
from multiboard_keras.train_step import EXTRAS, STACK, TrainStep, extras_of, logs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from multiboard.exact import Exact
    from multiboard.selection import Selection
    from multiboard_keras.scopes_tensorflow import Scopes

_CALLS_TO_TRACE: Final = 2
"""Calls of Keras' own function in which TensorFlow traces it, if it has not been traced before."""


class Due(NamedTuple):
    """What one call of the train function has to yield.

    Attributes:
        done: batches of the epoch that are done after the call.
        first: global step of its first update.
        step: global step of its last one.
        metrics: whether metrics are logged at this step.
        capture: whether a capture is taken at this step.
        complete: whether its last batch is the last one of an update, as far as their number tells.
        shapes: whether the shapes of the batch are wanted.
        waiting: returns what marks the work inside as waiting for a batch; None if nobody wants to know.
    """

    done: int
    first: int
    step: int
    metrics: bool
    capture: bool
    complete: bool
    shapes: bool = False
    waiting: Callable[[], AbstractContextManager[Any]] | None = None


class Yield(NamedTuple):
    """What one call of the train function has yielded.

    Attributes:
        logs: what Keras gets, on the device.
        extras: what the train step returned besides, on the device.
        step: the train step that did it, None for Keras' own.
        examples: in the batches of the call, pending on TensorFlow; None if it is not known.
        params: of a capture of parameters that were read before the call, what `statistics.pending` takes, or why that failed;
            None if there was none.
        shapes: of the first batch of the call, if they are wanted, see `Examples`.
    """

    logs: dict[str, Any]
    extras: dict[str, Any]
    step: TrainStep | None
    examples: int | LastOf | None
    params: Any = None
    shapes: Any = None


class Listener(Protocol):
    """Who decides what is logged, and logs it. Called on the training thread."""

    def due(self) -> Due | None:
        """Return what the next call has to yield, or None if it belongs to no logged fit."""
        ...

    def deliver(self, due: Due, found: Yield) -> None:
        """Take what a call yielded; raises nothing."""
        ...

    def in_fit(self) -> bool:
        """Tell whether the fit goes on."""
        ...


class TrainFunction:
    """Runs the right function for each batch and takes the extras out of the logs before Keras sees them.

    Args:
        model: a compiled model with its train function made.
        seen: whether the steps of the model can be seen, see `find_obstacle`; otherwise there is Keras' own function only, and
            parameters are read before it is called.
        metrics: whether to make a function that yields the metrics of its batch.
        rates: whether it yields the learning rate as well; captures always do.
        groups: what a capture holds; None makes no function that captures.
        selection: the layers whose outputs a capture holds, too.
        profiled: whether a profile may ask for the names of layers.
        exact: which tensors are kept element by element, at which captured steps; None for none.

    Attributes:
        reads: reads parameters; None if they are captured with the rest.
        scopes: which scope of TensorFlow's graph is which layer; None on the other backends, and if no profile asks.
        draws: whether the last call has drawn its batches itself; otherwise Keras draws them before it announces the batch.
    """

    def __init__(
        self,
        model: Any,
        *,
        seen: bool,
        metrics: bool,
        rates: bool,
        groups: Sequence[str] | None,
        selection: Selection | None,
        profiled: bool,
        exact: Exact | None = None,
    ) -> None:
        self._model = model
        self._original: Callable[..., Any] = model.train_function
        self._plain = self._capturing = self._keeping = None
        sized = BACKEND == "tensorflow"  # elsewhere the number of examples is seen outside of the step
        self.scopes = _scopes(model) if profiled and sized else None
        self.draws = BACKEND != "torch"
        if seen and (metrics or sized):
            rated = () if metrics and rates else None
            self._plain = _Variant(model, TrainStep(model, metrics=metrics, groups=rated, scopes=self.scopes))
        if seen and groups is not None:
            step = TrainStep(model, metrics=metrics, groups=groups, activations=selection, scopes=self.scopes)
            self._capturing = _Variant(model, step)
        self._exact = exact
        if seen and groups is not None and exact is not None:
            step = TrainStep(model, metrics=metrics, groups=groups, activations=selection, scopes=self.scopes, exact=exact)
            self._keeping = _Variant(model, step)
        self._variants = [variant for variant in (self._plain, self._capturing, self._keeping) if variant is not None]
        self._unseen = 0 if self._plain is not None else _CALLS_TO_TRACE
        hidden = not seen and groups is not None and tags.PARAMS in groups
        self.reads = ParameterReads(model) if hidden else None
        self._stand_in = self._call
        self._listener: Listener | None = None

    def install(self, listener: Listener) -> None:
        """Stand in for the model's train function.

        Args:
            listener: is asked before each call and told after it.
        """
        self._listener = listener
        self._model.train_function = self._stand_in

    def remove(self) -> None:
        """Give the model its own train function back, unless that of another callback is on top; a second call does nothing."""
        self._listener = None
        function = self._model.train_function
        while (owner := stand_in_of(function)) is not None and owner._listener is None:  # noqa: SLF001  # another one of these
            function = owner._original  # noqa: SLF001
        self._model.train_function = function

    def belongs_to(self, model: Any) -> bool:
        """Whether Keras still has the function that this one was made for, so that what it compiled is of use."""
        return self._model is model and model.train_function is self._original

    def in_use(self) -> bool:
        """Whether the fit goes on that this function was installed for."""
        return self._listener is not None and self._listener.in_fit()

    def _read(self, args: tuple[Any, ...]) -> Any:
        try:
            return None if self.reads is None else self.reads.begin(args)
        except Exception as error:  # noqa: BLE001  # nothing of ours may end a training
            return error

    def _call_original(self, *args: Any) -> Any:
        if self.scopes is None or not self._unseen:
            return self._original(*args)
        self._unseen -= 1
        with self.scopes.watching():
            return self._original(*args)

    def traces(self) -> int:
        """Return how often a train step was traced, or called where it is not traced."""
        return sum([variant.step.calls for variant in self._variants])

    def _call(self, *args: Any) -> Any:
        due = None if self._listener is None else self._listener.due()
        if self._listener is None or due is None:
            return self._original(*args)
        variant, params = self._plain, None
        if due.capture:
            variant, params = self._capturing_one(due), self._read(args)
        if BACKEND == "jax":
            self.draws = not isinstance(args[1], (list, tuple))  # as in older versions of Keras
        examples = Examples(shapes=due.shapes, waiting=due.waiting)
        result = (self._call_original if variant is None else variant)(*examples.watch(args))
        logs = logs_of(result)
        found = logs if isinstance(logs, dict) else {}
        extras = extras_of(found.pop(EXTRAS, {}))
        step = None if variant is None else variant.step
        count: int | LastOf | None = examples.count
        if step is not None and step.sized and STACK in extras:
            count = LastOf(extras[STACK])
        self._listener.deliver(due, Yield(found, extras, step, count, params, examples.shapes))
        return result

    def _capturing_one(self, due: Due) -> _Variant | None:
        if self._keeping is not None and self._exact is not None and due.complete and self._exact.has_step(due.step):
            return self._keeping
        return self._plain if self._capturing is None else self._capturing


def remove_left(model: Any) -> None:
    """Remove what stands in for the train function of a model since a fit that ended in an exception."""
    while (owner := stand_in_of(model.train_function)) is not None and not owner.in_use():
        owner.remove()


def stand_in_of(function: Any) -> TrainFunction | None:
    """Return what a train function stands in for, or None if it is none of ours."""
    owner = getattr(function, "__self__", None)
    return owner if isinstance(owner, TrainFunction) else None


def _scopes(model: Any) -> Scopes:
    from multiboard_keras.scopes_tensorflow import Scopes

    return Scopes(model)


def _train_function(model: Any) -> Callable[..., Any]:
    if BACKEND != "tensorflow":
        function: Callable[..., Any] = model.train_function
        return function
    from multiboard_keras.compiled_step_tensorflow import direct

    return direct(model)


class _Variant:
    """A train function that Keras made around another train step."""

    def __init__(self, model: Any, step: TrainStep) -> None:
        self.step = step
        self._model = model
        before = model.train_function
        try:
            with replaced(model, "train_step", step):
                model.make_train_function(force=True)
            self._function: Callable[..., Any] = _train_function(model)
        finally:
            model.train_function = before

    def __call__(self, *args: Any) -> Any:
        with replaced(self._model, "train_step", self.step):  # on PyTorch the function looks it up at each call
            return self._function(*args)
