"""Where a variable belongs: its canonical layer path, its role, and what it is called in Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras

from multiboard import tags
from multiboard_keras.backend import BACKEND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Named(NamedTuple):
    """The names of one variable.

    Attributes:
        path: layer path and role, e.g. 'conv1/kernel': what follows 'params/' in the tag.
        native: the path in Keras, e.g. 'sequential/conv1/kernel'.
        layer_class: the class of the layer, e.g. 'Conv2D'; empty for a variable that no layer has.
    """

    path: str
    native: str
    layer_class: str


class Names:
    """The names of the variables of a model, looked up again when an unknown one comes.

    The model's own name is left out, that of a nested model stays. The second of two layers with the same path gets the suffix
    '_1', the third '_2', whether or not the others are trained. A variable that the model does not have is called by its own
    path.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._named: dict[int, tuple[Any, Named]] = {}

    def of(self, variable: Any) -> Named:
        """Return the names of a variable of Keras, or of one of TensorFlow."""
        key = identity(variable)
        if key not in self._named:
            self._named |= {identity(own): (own, named) for own, named in _name_weights(self._model)}
        if key not in self._named:
            self._named[key] = variable, self._name_foreign(variable)
        return self._named[key][1]

    def _name_foreign(self, variable: Any) -> Named:
        native = native_path(variable)
        layer, _, own = tags.layer_path(native).rpartition("/")
        role, used = tags.role(own), {named.path for _, named in self._named.values()}
        return Named(_join(_free(layer, role, used), role), native, "")


def identity(variable: Any) -> int:
    """Return what is the same for a variable of Keras and the variable of TensorFlow inside it."""
    on_tensorflow = BACKEND == "tensorflow"  # elsewhere the value is a tensor that comes and goes
    return id(variable.value if on_tensorflow and isinstance(variable, keras.Variable) else variable)


def native_path(variable: Any) -> str:
    """Return the path of a variable of Keras, or the name of one of TensorFlow."""
    return str(getattr(variable, "path", None) or variable.name.split(":")[0])


def _name_weights(model: keras.Model) -> Iterator[tuple[Any, Named]]:
    owners = {id(variable): owner for variable, owner in reversed(list(_owners(model, ())))}
    names: dict[tuple[int, str], str] = {}
    used: set[str] = set()
    for variable in model.weights:
        prefix, layer = owners.get(id(variable), ((), model))
        inner = _path_inside(variable, layer)
        path = tags.layer_path("/".join([*prefix, *inner[:-1]]))
        role = tags.role(inner[-1])
        key = (id(layer), path)
        if key not in names or _join(names[key], role) in used:
            names[key] = _free(path, role, used)
        used.add(_join(names[key], role))
        yield variable, Named(_join(names[key], role), variable.path, type(layer).__name__)


def _owners(layer: Any, prefix: tuple[str, ...]) -> Iterator[tuple[Any, tuple[tuple[str, ...], Any]]]:
    """Yield each variable of the layers of a model with the names of the models and the layer around it, and that layer."""
    for inner in getattr(layer, "layers", ()):
        names = (*prefix, inner.name)
        if isinstance(inner, keras.Model):
            yield from _owners(inner, names)
        for variable in inner.weights:
            yield variable, (names, inner)


def _path_inside(variable: Any, layer: Any) -> Sequence[str]:
    """Return the names below a layer, e.g. ['query', 'kernel'] of an attention layer; at least the variable's own."""
    parts = variable.path.split("/")
    below = parts[parts.index(layer.name) + 1 :] if layer.name in parts else []
    return below or [variable.name]


def unused(path: str, taken: Callable[[str], bool]) -> str:
    """Return a path, with the first of the suffixes '_1', '_2', … that makes it a new one if it is taken."""
    name, number = path, 0
    while taken(name):
        number += 1
        name = f"{path}_{number}"
    return name


def _free(layer: str, role: str, used: set[str]) -> str:
    return unused(layer, lambda name: _join(name, role) in used)


def _join(layer: str, role: str) -> str:
    return f"{layer}/{role}" if layer else role
