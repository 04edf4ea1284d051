"""What an optimizer keeps of each parameter, by the names that its variables have in Keras."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import keras

from multiboard import tags
from multiboard_keras._compat import built_variables
from multiboard_keras.gradients import innermost
from multiboard_keras.layers import native_path

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACCUMULATOR: Final = "gradient_accumulator"
_FIRST_MOMENT: Final = tags.state("mu")


class State(NamedTuple):
    """A variable of an optimizer that belongs to one parameter.

    Attributes:
        variable: of the optimizer.
        owner: the parameter.
        native: what Keras calls it, e.g. 'velocity'.
        name: what every adapter calls it, e.g. 'second_moment'.
        optimizer_class: e.g. 'Adam'.
    """

    variable: Any
    owner: Any
    native: str
    name: str
    optimizer_class: str


def states(optimizer: Any) -> list[State]:
    """Return the floating variables of an optimizer that have the shape of their parameter; no accumulated gradients."""
    inner = innermost(optimizer)
    found = list(_owned(inner))
    averaging = {id(owner) for _, owner, native in found if native in {"velocity", "norm"}}
    if isinstance(inner, keras.optimizers.RMSprop):
        averaging = set()  # its momentum is a sum of scaled gradients, like that of SGD
    elif isinstance(inner, keras.optimizers.Lion):
        averaging = {id(owner) for _, owner, _ in found}
    return [
        State(
            variable,
            owner,
            native,
            _FIRST_MOMENT if native == "momentum" and id(owner) in averaging else tags.state(native),
            type(inner).__name__,
        )
        for variable, owner, native in found
    ]


def is_float(variable: Any) -> bool:
    """Tell whether a variable holds floating-point numbers."""
    return bool(keras.backend.is_float_dtype(keras.backend.standardize_dtype(variable.dtype)))


def _owned(optimizer: Any) -> Iterator[tuple[Any, Any, str]]:
    """Yield variables with their parameter and their native name: '<path of the parameter>_<name>' is how Keras calls them."""
    owners: dict[str, list[Any]] = {}
    for parameter in built_variables(optimizer):
        owners.setdefault(native_path(parameter).replace("/", "_").replace(":", "_"), []).append(parameter)
    seen: Counter[str] = Counter()
    for variable in optimizer.variables:
        prefix, native = _split(variable.name, owners)
        twins = owners.get(prefix, [])
        owner = twins[seen[variable.name]] if seen[variable.name] < len(twins) else None
        seen[variable.name] += 1  # parameters of the same path have their variables in the same order
        if owner is not None and native != _ACCUMULATOR and is_float(variable) and tuple(variable.shape) == tuple(owner.shape):
            yield variable, owner, native


def _split(name: str, owners: dict[str, list[Any]]) -> tuple[str, str]:
    """Cut a name into the longest path of a parameter and the rest."""
    prefix = name
    while prefix:
        prefix, _, _ = prefix.rpartition("_")
        if prefix in owners:
            return prefix, name[len(prefix) + 1 :]
    return "", ""
