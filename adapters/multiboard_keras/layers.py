"""Where a variable belongs: its canonical layer path, its role, and what it is called in Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Named(NamedTuple):
    """The names of one trainable variable.

    Attributes:
        path: layer path and role, e.g. 'conv1/kernel': what follows 'params/' in the tag.
        native: the path in Keras, e.g. 'sequential/conv1/kernel'.
        layer_class: the class of the layer, e.g. 'Conv2D'.
    """

    path: str
    native: str
    layer_class: str


def name_variables(model: keras.Model) -> list[Named]:
    """Return the names of `model.trainable_variables`, in their order.

    The model's own name is left out, that of a nested model stays. The second of two layers with the same path gets the
    suffix '_1', the third '_2'.
    """
    owners = {id(variable): owner for variable, owner in reversed(list(_owners(model, ())))}
    names: dict[tuple[int, str], str] = {}
    used: set[str] = set()
    named = []
    for variable in model.trainable_variables:
        prefix, layer = owners.get(id(variable), ((), model))
        inner = _path_inside(variable, layer)
        path = tags.layer_path("/".join([*prefix, *inner[:-1]]))
        role = tags.role(inner[-1])
        key = (id(layer), path)
        if key not in names or _join(names[key], role) in used:
            names[key] = _unused(path, role, used)
        used.add(_join(names[key], role))
        named.append(Named(_join(names[key], role), variable.path, type(layer).__name__))
    return named


def _owners(layer: Any, prefix: tuple[str, ...]) -> Iterator[tuple[Any, tuple[tuple[str, ...], Any]]]:
    """Yield each variable of the layers of a model with the names of the models and the layer around it, and that layer."""
    for inner in getattr(layer, "layers", ()):
        names = (*prefix, inner.name)
        if isinstance(inner, keras.Model):
            yield from _owners(inner, names)
        for variable in inner.trainable_variables:
            yield variable, (names, inner)


def _path_inside(variable: Any, layer: Any) -> Sequence[str]:
    """Return the names below a layer, e.g. ['query', 'kernel'] of an attention layer; at least the variable's own."""
    parts = variable.path.split("/")
    below = parts[parts.index(layer.name) + 1 :] if layer.name in parts else []
    return below or [variable.name]


def _unused(layer: str, role: str, used: set[str]) -> str:
    name, number = layer, 0
    while _join(name, role) in used:
        number += 1
        name = f"{layer}_{number}"
    return name


def _join(layer: str, role: str) -> str:
    return f"{layer}/{role}" if layer else role
