"""What the optimizers of a model do in one train step: parameters and gradients before an update, changes and state after it.

`apply` and `stateless_apply` of each optimizer are replaced while the train step runs. The first update of each counts.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import keras

from multiboard import tags
from multiboard.torch_values import on_host
from multiboard_keras import statistics
from multiboard_keras._compat import buffers, built_variables
from multiboard_keras.backend import BACKEND
from multiboard_keras.exact import ExactTensors
from multiboard_keras.gradients import true_gradients, updates_made
from multiboard_keras.layers import identity
from multiboard_keras.optimizer_state import is_float, states
from multiboard_keras.rates import find_optimizers, rates_by_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from multiboard.exact import Exact
    from multiboard_keras.layers import Names
    from multiboard_keras.sight import Replacements, Sight

    Tensor = Any


_LISTS: Final = ("grads", "trainable_variables", "optimizer_variables")


class _Update(NamedTuple):
    """An update on its way.

    Attributes:
        optimizer: makes it.
        variables: all that the optimizer is given.
        own: those that no other optimizer has updated in this step.
        before: what `Draft.keep` returned for them; empty if changes are not captured.
        exact: what is kept of them element by element, for the changes.
        made: `updates_made` before it.
    """

    optimizer: Any
    variables: list[Any]
    own: list[Any]
    before: Sequence[Tensor]
    exact: Sequence[Any] = ()
    made: Tensor | None = None


class Updates:
    """What one run of a train step after the other shows of its optimizers, and of the buffers after it.

    Args:
        model: a compiled model.
        groups: any of `tags.GROUPS`.
        names: of the model's variables.
        sight: of this run.
        kind: of the extras that problems are kept under.
        exact: which tensors are kept element by element; None for none.

    Attributes:
        exact: what is kept element by element.
        complete: whether the optimizer of the model has made an update in the run; None if the number of the batch tells.
        descriptions: by tag, in the order of the rows.
        notes: what is left out, as cause and message.
    """

    def __init__(
        self, model: Any, groups: Sequence[str], names: Names, sight: Sight, kind: str, exact: Exact | None = None
    ) -> None:
        self._model = model
        self._wanted = groups
        self._names = names
        self._sight = sight
        self._look = functools.partial(sight.guarded, kind)
        self._optimizers: dict[str, Any] = {}
        self.exact = ExactTensors(model, exact)
        self.forget()

    def watch(self, replacements: Replacements) -> None:
        """Add the methods of the optimizers that are to be replaced in a run."""
        with self._look():
            self._optimizers = find_optimizers(self._model)
            for name, optimizer in self._optimizers.items():
                for method in ("apply", "stateless_apply"):
                    replacements.add(optimizer, method, functools.partial(self._watched, name, optimizer, method))

    def fits(self) -> bool:
        """Whether the model still has the optimizers whose methods are replaced."""
        return find_optimizers(self._model) == self._optimizers

    def forget(self) -> None:
        """Forget the last run."""
        self.descriptions: dict[str, str] = {}
        self.notes: list[tuple[str, str]] = []
        self._groups: Sequence[str] = ()
        self._rates: dict[str, Tensor | float] = {}
        self.complete: Tensor | None = None
        self._draft: Any = None
        self.exact.begin()
        self._updated: set[int] = set()
        self._inside = False

    def begin(self) -> None:
        """Begin a run, with a capture if there is anything to capture."""
        self.forget()
        if self._wanted:
            with self._look():
                self._draft = statistics.start(self._model)
                self._groups = self._wanted

    def add_buffers(self, result: Any) -> None:
        """Take the buffers into the capture as the train step leaves them.

        Args:
            result: of the train step.
        """
        with self._look():
            if tags.BUFFERS in self._groups:
                self._take_buffers(result)

    def rates(self) -> dict[str, Tensor | float]:
        """Return the learning rates by tag, with the optimizer's name if there are several."""
        return rates_by_tag(self._model, self._optimizers, self._rates)

    def finished(self) -> Any | None:
        """Return what `statistics.pending` takes, or None if there is nothing."""
        begun = None
        with self._look():
            begun = self._draft.finished() if self.descriptions else None
        if begun is None:
            self.descriptions = {}
        return begun

    # ------------------------------------------------------------------ where it looks

    def _watched(self, name: str, optimizer: Any, method: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if self._inside or self._sight.busy or not self._is_first(name):
                return original(*args, **kwargs)
            update = None
            with self._look():
                if not self._groups and method == "apply":  # its variables have their values
                    self._take_rate(name, optimizer)
                else:
                    call = inspect.signature(original).bind(*args, **kwargs)
                    lists = {key: list(call.arguments[key]) for key in _LISTS if call.arguments.get(key) is not None}
                    call.arguments |= lists
                    args, kwargs = call.args, call.kwargs  # what came as an iterator can be read twice
                    update = self._take_before(name, optimizer, **lists)
            self._inside = True
            try:
                result = original(*args, **kwargs)
            finally:
                self._inside = False
            if update is not None:
                with self._look():
                    self._take_after(update, result)
            return result

        return watched

    def _is_first(self, name: str) -> bool:
        if not self._sight.is_clear():
            where = "inside of a gradient, a condition or a loop of the train step, from where no tensor can be taken"
            self._note(name, f"is applied {where}: these updates are not captured.")
            return False
        if name in self._rates:
            self._note(name, "is applied several times in one train step: only the first update of a step is captured.")
            return False
        return True

    def _note(self, name: str, message: str) -> None:
        self.notes.append((f"optimizer {name}", f"the optimizer {name!r} {message}"))

    # ------------------------------------------------------------------ what it takes

    def _take_buffers(self, result: Any) -> None:
        other = {id(variable) for optimizer in self._optimizers.values() for variable in optimizer.variables}
        found = [variable for variable in buffers(self._model) if is_float(variable) and id(variable) not in other]
        values = [] if BACKEND != "jax" else zip(self._model.non_trainable_variables, result[1][1], strict=True)
        with _reading(values):
            self._draft.add([_value(variable) for variable in found])
        self._describe(tags.BUFFERS, found)

    def _take_before(
        self, name: str, optimizer: Any, grads: list[Any], trainable_variables: Any = None, optimizer_variables: Any = None
    ) -> _Update | None:
        stateless = optimizer_variables is not None
        variables = built_variables(optimizer) if stateless or trainable_variables is None else trainable_variables
        values = _pairs(optimizer, variables, trainable_variables, optimizer_variables) if stateless else []
        with _reading(values):
            self._take_rate(name, optimizer)
            if not self._groups:
                return None
            made = updates_made(optimizer) if optimizer is self._model.optimizer else None
            own = self._not_yet_updated(name, variables)
            before = self._take_params(own)
            kept = self.exact.copies(tags.UPDATES, self._paths(own), [_value(variable) for variable in own], self._read)
            if tags.GRADS in self._groups:
                self._take_grads(optimizer, variables, grads, {identity(variable) for variable in own})
        return _Update(optimizer, variables, own, before, kept, made)

    def _take_rate(self, name: str, optimizer: Any) -> None:
        rate = keras.ops.convert_to_tensor(optimizer.learning_rate)
        number = on_host([rate])
        self._rates[name] = keras.ops.copy(rate) if number is None else number[0]

    def _not_yet_updated(self, name: str, variables: list[Any]) -> list[Any]:
        own = [variable for variable in variables if identity(variable) not in self._updated]
        if len(own) < len(variables):
            self._note(name, "updates variables that another one has updated in the same train step: only the first is captured.")
        self._updated |= {identity(variable) for variable in own}
        return own

    def _take_params(self, variables: list[Any]) -> Sequence[Tensor]:
        tensors, before = [_value(variable) for variable in variables], ()
        if tags.UPDATES in self._groups:
            before = self._draft.keep(tensors)
        if tags.PARAMS in self._groups:
            self._draft.add_kept(before) if before else self._draft.add(tensors)
            self._describe(tags.PARAMS, variables)
            self._keep(tags.PARAMS, variables, tensors)
        return before

    def _take_grads(self, optimizer: Any, variables: list[Any], grads: list[Any], own: set[int]) -> None:
        tensors, stage = true_gradients(optimizer, variables, grads)
        found = [
            (variable, grad)
            for variable, grad in zip(variables, tensors, strict=True)
            if grad is not None and identity(variable) in own
        ]
        self._draft.add([grad for _, grad in found])
        self._describe(tags.GRADS, [variable for variable, _ in found], stage)
        self._keep(tags.GRADS, [variable for variable, _ in found], [grad for _, grad in found], stage=stage)

    def _take_after(self, update: _Update, result: Any) -> None:
        with _reading([] if result is None else _pairs(update.optimizer, update.variables, *result)):
            if update.made is not None:
                self.complete = keras.ops.greater(updates_made(update.optimizer), update.made)
            if tags.UPDATES in self._groups:
                tensors = [_value(variable) for variable in update.own]
                self._draft.add_changes(tensors, update.before)
                self._describe(tags.UPDATES, update.own)
                self._keep(tags.UPDATES, update.own, tensors, before=update.exact)
            if tags.OPTIMIZER_STATE in self._groups:
                self._take_state(update)

    def _take_state(self, update: _Update) -> None:
        own = {identity(variable) for variable in update.own}
        found = [state for state in states(update.optimizer) if identity(state.owner) in own]
        self._draft.add([_value(state.variable) for state in found])
        for state in found:
            named = self._names.of(state.owner)
            stage = f"{state.native} of {state.optimizer_class}"
            tag = f"{tags.OPTIMIZER_STATE}/{named.path}/{state.name}"
            self.descriptions[tag] = tags.description(named.native, named.layer_class, stage)

    def _paths(self, variables: Iterable[Any]) -> list[str]:
        return [self._names.of(variable).path for variable in variables]

    def _read(self, tensor: Tensor) -> Tensor:
        return self._draft.read(tensor) if hasattr(self._draft, "read") else tensor

    def _keep(
        self,
        group: str,
        variables: Sequence[Any],
        tensors: Sequence[Tensor],
        *,
        stage: str = "",
        before: Sequence[Any] | None = None,
    ) -> None:
        """Keep tensors element by element, those that are asked for."""
        named = [self._names.of(variable) for variable in variables]
        described = [(one.path, tags.description(one.native, one.layer_class, stage)) for one in named]
        self.exact.add(group, described, tensors, self._read, before)

    def _describe(self, group: str, variables: Iterable[Any], stage: str = "") -> None:
        for variable in variables:
            named = self._names.of(variable)
            self.descriptions[f"{group}/{named.path}"] = tags.description(named.native, named.layer_class, stage)


def _pairs(optimizer: Any, variables: list[Any], values: Sequence[Tensor], state: Sequence[Tensor]) -> list[tuple[Any, Tensor]]:
    return [*zip(variables, values, strict=True), *zip(optimizer.variables, state, strict=True)]


def _reading(values: Iterable[tuple[Any, Tensor]]) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which variables have these values."""
    pairs = list(values)
    return keras.StatelessScope(state_mapping=pairs) if pairs else contextlib.nullcontext()


def _value(variable: Any) -> Tensor:
    return keras.ops.convert_to_tensor(variable)
